package example;

import io.userstream.v1.Consistency;
import io.userstream.v1.KeyOrder;
import io.userstream.v1.StreamReceipt;
import io.userstream.v1.User;
import java.nio.charset.StandardCharsets;
import java.util.HashSet;
import java.util.List;
import java.util.Set;
import java.util.zip.CRC32;

/** What to check before a result counts as complete: docs/clients.md as code. */
final class Verifier {
  private final long limit;
  private final CRC32 crc = new CRC32();
  private long count;
  private String lastId = "";
  private int resumes;
  private boolean resumedNow;
  private StreamReceipt receipt;

  /** limit: the most users; 0 for all. */
  Verifier(long limit) {
    this.limit = limit;
  }

  /** Whether another call would bring nothing. */
  boolean complete() {
    return receipt != null || limit > 0 && count == limit;
  }

  int resumedCount() {
    return receipt == null ? 0 : receipt.getResumedCount();
  }

  /** Notes where an attempt begins; it counts as a resume once it brings a message. */
  void beginAttempt(String token) {
    resumedNow = !token.isEmpty();
  }

  /** Checks one message and counts its users. */
  void add(List<User> users, KeyOrder order) throws IntegrityException {
    if (receipt != null) throw new IntegrityException("a message came after the receipt");
    if (resumedNow) resumes++;
    resumedNow = false;
    if (limit > 0 && count + users.size() > limit) throw new IntegrityException("more users came than the limit");
    boolean bytewise = order == KeyOrder.KEY_ORDER_UNSPECIFIED;
    Set<String> known = new HashSet<>(Set.of(lastId));
    for (User user : users) {
      String id = user.getUserId();
      // Ids are ASCII, so strings compare as bytes do.
      if (!known.add(id) || bytewise && id.compareTo(lastId) <= 0) {
        throw new IntegrityException("a user came out of order, or twice");
      }
      lastId = id;
      count++;
      crc.update(id.getBytes(StandardCharsets.UTF_8));
    }
  }

  /** Compares the receipt with what came. */
  void close(StreamReceipt received) throws IntegrityException {
    if (received.getUserCount() != count || Integer.toUnsignedLong(received.getUserIdCrc32()) != crc.getValue()) {
      throw new IntegrityException("the receipt's count or CRC-32 is not that of the users received");
    }
    if (received.getConsistency() != Consistency.CONSISTENCY_LIVE) {
      throw new IntegrityException("the receipt names another consistency than was requested");
    }
    if (received.getResumedCount() < resumes) {
      throw new IntegrityException("the receipt counts fewer resumes than there were");
    }
    receipt = received;
  }
}
