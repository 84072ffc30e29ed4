package example;

import com.google.protobuf.Any;
import com.google.protobuf.InvalidProtocolBufferException;
import example.details.BadRequest;
import example.details.ErrorInfo;
import example.details.RetryInfo;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import java.time.Duration;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;

/** Why a call ended, with the details that the service gave. When to call again is docs/clients.md as code. */
final class CallException extends Exception {
  private static final Set<Status.Code> ALWAYS =
      Set.of(Status.Code.UNAVAILABLE, Status.Code.ABORTED, Status.Code.DEADLINE_EXCEEDED);
  private static final Set<Status.Code> WITHOUT_ERROR_INFO =
      Set.of(Status.Code.RESOURCE_EXHAUSTED, Status.Code.INTERNAL, Status.Code.UNKNOWN, Status.Code.CANCELLED);
  private static final Metadata.Key<byte[]> DETAILS =
      Metadata.Key.of("grpc-status-details-bin", Metadata.BINARY_BYTE_MARSHALLER);

  final Status.Code code;
  String reason = "";
  Duration retryDelay; // null for none
  final Map<String, String> fieldViolations = new TreeMap<>();

  CallException(Status.Code code, String message) {
    super(message);
    this.code = code;
  }

  /** Returns what an error of grpc-java says, its details decoded. */
  static CallException of(StatusRuntimeException error) {
    Status status = error.getStatus();
    String text = status.getDescription() == null ? "" : status.getDescription();
    CallException found = new CallException(status.getCode(), text);
    byte[] packed = error.getTrailers() == null ? null : error.getTrailers().get(DETAILS);
    try {
      if (packed != null) found.takeAll(packed);
    } catch (InvalidProtocolBufferException damaged) {
      // Damaged details are none.
    }
    return found;
  }

  private void takeAll(byte[] packed) throws InvalidProtocolBufferException {
    for (Any detail : example.details.Status.parseFrom(packed).getDetailsList()) {
      if (detail.is(ErrorInfo.class)) reason = detail.unpack(ErrorInfo.class).getReason();
      if (detail.is(RetryInfo.class)) {
        com.google.protobuf.Duration delay = detail.unpack(RetryInfo.class).getRetryDelay();
        retryDelay = Duration.ofSeconds(delay.getSeconds(), delay.getNanos());
      }
      if (detail.is(BadRequest.class)) {
        for (BadRequest.FieldViolation violation : detail.unpack(BadRequest.class).getFieldViolationsList()) {
          fieldViolations.put(violation.getField(), violation.getDescription());
        }
      }
    }
  }

  /** Whether another call may succeed. The text decides nothing: every library has its own. */
  boolean callsAgain() {
    if (ALWAYS.contains(code)) return true;
    if (reason.isEmpty()) return WITHOUT_ERROR_INFO.contains(code);
    return code == Status.Code.RESOURCE_EXHAUSTED && retryDelay != null;
  }
}
