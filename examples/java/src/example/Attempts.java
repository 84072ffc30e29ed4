package example;

import io.grpc.Deadline;
import io.grpc.Status;
import java.time.Duration;
import java.util.concurrent.ThreadLocalRandom;
import java.util.concurrent.TimeUnit;

/** The attempts of one call, and what is left of the caller's own limit. */
final class Attempts {
  private static final int ATTEMPTS_MAX = 15;
  private static final double FIRST_BACKOFF_SECONDS = 0.1;

  /** The deadline of the whole call; null for none. */
  final Deadline deadline;

  private final double backoffSecondsMax;
  private int failed;

  Attempts(Duration timeout, double backoffSecondsMax) {
    this.deadline = timeout.isZero() ? null : Deadline.after(timeout.toMillis(), TimeUnit.MILLISECONDS);
    this.backoffSecondsMax = backoffSecondsMax;
  }

  /** Begins a new count: a message came. */
  void progressed() {
    failed = 0;
  }

  /** Waits before the next attempt, or throws the error if there must be none. */
  void waitAfter(CallException error) throws CallException, InterruptedException {
    failed++;
    if (!error.callsAgain() || failed >= ATTEMPTS_MAX) throw error;
    double longest = Math.min(backoffSecondsMax, FIRST_BACKOFF_SECONDS * (1 << (failed - 1)));
    long millis = (long) (ThreadLocalRandom.current().nextDouble() * longest * 1000);
    if (error.retryDelay != null) millis += error.retryDelay.toMillis() + 1;
    if (deadline != null && millis >= deadline.timeRemaining(TimeUnit.MILLISECONDS)) {
      throw new CallException(Status.Code.DEADLINE_EXCEEDED, "the time limit is over; before: " + error.getMessage());
    }
    System.err.printf("calling again in %.3f s after %s: %s%n", millis / 1000.0, error.code, error.getMessage());
    Thread.sleep(millis);
  }
}
