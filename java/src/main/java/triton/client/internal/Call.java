package triton.client.internal;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;

/** One call as HTTP, before it is known where it goes. */
public final class Call {
  final String method;
  final String path;
  final Body body;

  /** Names and values by turns. */
  final List<String> headers = new ArrayList<>(8);

  final Duration timeout;
  final boolean idempotent;
  final String model;
  final String requestId;

  /**
   * Creates a call.
   *
   * @param path what follows the server's URL, percent-encoded, with the query
   * @param body the body, or null
   * @param timeout the time from the call's beginning to its end, or null for no limit
   * @param idempotent whether it may be repeated although it may have been executed
   */
  public Call(
      String method,
      String path,
      Body body,
      Duration timeout,
      boolean idempotent,
      String model,
      String requestId) {
    this.method = method;
    this.path = path;
    this.body = body;
    this.timeout = timeout;
    this.idempotent = idempotent;
    this.model = model;
    this.requestId = requestId;
  }

  /** The time that the call may take, or the largest number for no limit. */
  long timeoutNanos() {
    return nanos(timeout);
  }

  /** A time in nanoseconds, or the largest number for none and for more than 292 years. */
  static long nanos(Duration time) {
    try {
      return time == null ? Long.MAX_VALUE : time.toNanos();
    } catch (ArithmeticException e) {
      return Long.MAX_VALUE;
    }
  }

  /** Sets a header; names that differ in case alone are the same. */
  public Call header(String name, String value) {
    for (int i = 0; i < headers.size(); i += 2) {
      if (headers.get(i).equalsIgnoreCase(name)) {
        headers.set(i + 1, value);
        return this;
      }
    }
    headers.add(name);
    headers.add(value);
    return this;
  }
}
