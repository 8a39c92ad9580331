package triton.client.internal;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;

/** One call as HTTP, before it is known where it goes. */
public final class Call {
  final String method;
  final String path;
  final Body body;
  final Map<String, String> headers = new LinkedHashMap<>();
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

  /** Sets a header; names that differ in case alone are the same. */
  public Call header(String name, String value) {
    headers.keySet().removeIf(known -> known.equalsIgnoreCase(name));
    headers.put(name, value);
    return this;
  }
}
