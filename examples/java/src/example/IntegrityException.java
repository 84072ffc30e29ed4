package example;

/** The answer is not what the service promises; calling again in silence would hide it. */
final class IntegrityException extends Exception {
  IntegrityException(String message) {
    super(message);
  }
}
