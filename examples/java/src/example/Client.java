package example;

import io.grpc.ChannelCredentials;
import io.grpc.Context;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.TlsChannelCredentials;
import io.grpc.stub.MetadataUtils;
import io.userstream.v1.AverageAgeRequest;
import io.userstream.v1.AverageAgeResponse;
import io.userstream.v1.BatchUsersRequest;
import io.userstream.v1.BatchUsersResponse;
import io.userstream.v1.PaginateRequest;
import io.userstream.v1.PaginateResponse;
import io.userstream.v1.StreamAverageAgeRequest;
import io.userstream.v1.StreamAverageAgeResponse;
import io.userstream.v1.StreamUsersRequest;
import io.userstream.v1.StreamUsersResponse;
import io.userstream.v1.User;
import io.userstream.v1.UserServiceGrpc;
import io.userstream.v1.UserServiceGrpc.UserServiceBlockingStub;
import java.io.File;
import java.io.IOException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Iterator;
import java.util.List;
import java.util.concurrent.Executors;
import java.util.concurrent.Future;
import java.util.concurrent.ScheduledExecutorService;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.function.BooleanSupplier;
import java.util.function.Function;

/** Reads users from USERSTREAM_TARGET, with USERSTREAM_TOKEN and USERSTREAM_TLS_CA where they are set. */
final class Client implements AutoCloseable {
  /** Takes one message; false cancels the call. */
  interface Take<MessageT> {
    boolean accept(MessageT message) throws IntegrityException;
  }

  private static final int LARGEST_MESSAGE_BYTES = 64 * 1024 * 1024;
  private static final Metadata.Key<String> AUTHORIZATION =
      Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER);

  private final Duration timeout;
  private final Duration messageTimeout;
  private final double backoffSecondsMax;
  private final ScheduledExecutorService timers = Executors.newSingleThreadScheduledExecutor();
  private ManagedChannel channel = connect();

  /** timeout: of each whole call, zero for none; messageTimeout: the longest wait for a message. */
  Client(Duration timeout, Duration messageTimeout, double backoffSecondsMax) throws IOException {
    this.timeout = timeout;
    this.messageTimeout = messageTimeout;
    this.backoffSecondsMax = backoffSecondsMax;
  }

  @Override
  public void close() {
    timers.shutdownNow();
    channel.shutdownNow();
  }

  /** Reads StreamUsers, resumed until all users have come; returns false if the caller cancelled. */
  boolean stream(StreamUsersRequest.Builder request, Verifier verifier, Take<List<User>> deliver) throws Exception {
    Function<UserServiceBlockingStub, Iterator<StreamUsersResponse>> start = stub -> {
      verifier.beginAttempt(request.getResumeToken());
      return stub.streamUsers(request.build());
    };
    boolean whole = messages(start, verifier::complete, message -> {
      verifier.add(message.getUsersList(), message.getKeyOrder());
      if (!message.getResumeToken().isEmpty()) request.setResumeToken(message.getResumeToken());
      if (message.hasReceipt()) verifier.close(message.getReceipt());
      return deliver.accept(message.getUsersList());
    });
    return ended(whole, verifier);
  }

  /** Reads BatchUsers, resumed until all batches have come; returns false if the caller cancelled. */
  boolean batches(BatchUsersRequest.Builder request, Verifier verifier, Take<List<User>> deliver) throws Exception {
    Function<UserServiceBlockingStub, Iterator<BatchUsersResponse>> start = stub -> {
      verifier.beginAttempt(request.getResumeToken());
      return stub.batchUsers(request.build());
    };
    boolean whole = messages(start, verifier::complete, message -> {
      verifier.add(message.getUsersList(), message.getKeyOrder());
      if (!message.getResumeToken().isEmpty()) request.setResumeToken(message.getResumeToken());
      if (message.hasReceipt()) verifier.close(message.getReceipt());
      return deliver.accept(message.getUsersList());
    });
    return ended(whole, verifier);
  }

  private static boolean ended(boolean whole, Verifier verifier) throws IntegrityException {
    if (whole && !verifier.complete()) {
      throw new IntegrityException("the stream ended without its receipt: users may be missing");
    }
    return whole;
  }

  /** Reads page by page; the next one is read from the database when it is asked for. */
  boolean pages(PaginateRequest.Builder request, Verifier verifier, Take<List<User>> deliver) throws Exception {
    request.setPageLimit(1);
    do {
      List<PaginateResponse> pages = new ArrayList<>();
      messages(stub -> stub.paginate(request.build()), () -> false, pages::add);
      if (pages.size() != 1) throw new IntegrityException("the answer is not one page");
      PaginateResponse page = pages.get(0);
      verifier.add(page.getUsersList(), page.getKeyOrder());
      if (!deliver.accept(page.getUsersList())) return false;
      request.setPageToken(page.getNextPageToken()).setOffset(0);
    } while (!request.getPageToken().isEmpty());
    return true;
  }

  /** Reads figures about once a second; returns the last ones, which are final and exact. */
  StreamAverageAgeResponse runningAverage(StreamAverageAgeRequest.Builder request) throws Exception {
    StreamAverageAgeResponse[] last = {StreamAverageAgeResponse.getDefaultInstance()};
    messages(stub -> stub.streamAverageAge(request.build()), () -> last[0].getFinal(), figures -> {
      last[0] = figures;
      request.setResumeToken(figures.getResumeToken());
      return true;
    });
    if (!last[0].getFinal()) throw new IntegrityException("the final figures never came");
    return last[0];
  }

  /** Returns the exact average. */
  AverageAgeResponse average(AverageAgeRequest request) throws Exception {
    Attempts attempts = new Attempts(timeout, backoffSecondsMax);
    while (true) {
      try {
        return stub(attempts).averageAge(request);
      } catch (StatusRuntimeException error) {
        attempts.waitAfter(CallException.of(error));
      }
    }
  }

  /** Hands on the messages of a stream, over as many attempts as it takes; returns false if the caller cancelled. */
  private <MessageT> boolean messages(
      Function<UserServiceBlockingStub, Iterator<MessageT>> start, BooleanSupplier done, Take<MessageT> take)
      throws Exception {
    Attempts attempts = new Attempts(timeout, backoffSecondsMax);
    while (!done.getAsBoolean()) {
      try {
        return attempt(attempts, start, take);
      } catch (CallException error) {
        if (!done.getAsBoolean()) attempts.waitAfter(error);
      }
    }
    return true;
  }

  /** Makes one attempt. A wait for a message that is too long ends it. */
  private <MessageT> boolean attempt(
      Attempts attempts, Function<UserServiceBlockingStub, Iterator<MessageT>> start, Take<MessageT> take)
      throws Exception {
    Context.CancellableContext context = Context.current().withCancellation();
    AtomicBoolean silent = new AtomicBoolean();
    try {
      Iterator<MessageT> responses = context.call(() -> start.apply(stub(attempts)));
      while (hasNext(responses, context, silent)) {
        MessageT message = responses.next();
        attempts.progressed();
        if (!take.accept(message)) return false;
      }
      return true;
    } catch (StatusRuntimeException error) {
      if (!silent.get()) throw CallException.of(error);
      channel.shutdownNow(); // The library may take the silent connection for a live one.
      channel = connect();
      throw new CallException(Status.Code.DEADLINE_EXCEEDED, "no message came for too long");
    } finally {
      context.cancel(null); // However this ends, the call ends at the server.
    }
  }

  private boolean hasNext(Iterator<?> responses, Context.CancellableContext context, AtomicBoolean silent) {
    Runnable end = () -> {
      silent.set(true);
      context.cancel(null);
    };
    Future<?> timer = timers.schedule(end, messageTimeout.toMillis(), TimeUnit.MILLISECONDS);
    try {
      return responses.hasNext();
    } finally {
      timer.cancel(false);
    }
  }

  private UserServiceBlockingStub stub(Attempts attempts) {
    Metadata metadata = new Metadata();
    String token = System.getenv("USERSTREAM_TOKEN");
    if (token != null) metadata.put(AUTHORIZATION, "Bearer " + token);
    return UserServiceGrpc.newBlockingStub(channel)
        .withMaxInboundMessageSize(LARGEST_MESSAGE_BYTES)
        .withInterceptors(MetadataUtils.newAttachHeadersInterceptor(metadata))
        .withDeadline(attempts.deadline);
  }

  private static ManagedChannel connect() throws IOException {
    String target = System.getenv().getOrDefault("USERSTREAM_TARGET", "127.0.0.1:50051");
    String authority = System.getenv("USERSTREAM_TLS_CA");
    ChannelCredentials credentials = authority == null
        ? InsecureChannelCredentials.create()
        : TlsChannelCredentials.newBuilder().trustManager(new File(authority)).build();
    return Grpc.newChannelBuilder(target, credentials)
        .keepAliveTime(10, TimeUnit.SECONDS)
        .keepAliveTimeout(60, TimeUnit.SECONDS)
        .disableRetry()
        .build();
  }
}
