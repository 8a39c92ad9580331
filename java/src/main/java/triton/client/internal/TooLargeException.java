package triton.client.internal;

import java.io.IOException;

/** An answer is larger than the client takes. */
final class TooLargeException extends IOException {
  private static final long serialVersionUID = 1L;

  TooLargeException(String message) {
    super(message);
  }
}
