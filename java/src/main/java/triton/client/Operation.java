package triton.client;

import java.time.Duration;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import triton.client.internal.Checks;

/**
 * Something that can be asked of a server, with the options of this call. {@link #execute} waits
 * for the answer, {@link #executeAsync} does not. An operation may be executed many times.
 *
 * @param <T> the type of the answer
 */
public abstract class Operation<T> {
  private final Map<String, String> headers = new LinkedHashMap<>();
  private Duration timeout;
  private boolean idempotent;
  private Compression requestCompression;
  private Compression responseCompression;

  /** Creates an operation without options. */
  protected Operation() {}

  /**
   * Sets the time that the call may take from its beginning to its end, its repetitions included.
   *
   * @param timeout the time, instead of the client's own
   * @return this
   */
  public Operation<T> timeout(Duration timeout) {
    this.timeout = Checks.positive("timeout", timeout);
    return this;
  }

  /**
   * Sets a header of the request, over gRPC a metadata entry.
   *
   * @param name its name
   * @param value its value
   * @return this
   */
  public Operation<T> header(String name, String value) {
    Checks.header(name, value);
    headers.put(name, value);
    return this;
  }

  /**
   * Adds a query parameter to the URL. Over gRPC there are none.
   *
   * @param name its name
   * @param value its value
   * @return this
   */
  public Operation<T> queryParam(String name, String value) {
    throw new IllegalArgumentException("queryParam: only calls over HTTP have query parameters");
  }

  /**
   * Says that the call may be repeated when the connection ends before the answer begins, although
   * the server may have executed it. Calls that only read are always repeated.
   *
   * @return this
   */
  public Operation<T> idempotent() {
    this.idempotent = true;
    return this;
  }

  /**
   * Sets how the request is compressed.
   *
   * @param compression the way, instead of the client's own
   * @return this
   */
  public Operation<T> requestCompression(Compression compression) {
    this.requestCompression = Checks.notNull("compression", compression);
    return this;
  }

  /**
   * Sets how the answer is asked to be compressed.
   *
   * @param compression the way, instead of the client's own
   * @return this
   */
  public Operation<T> responseCompression(Compression compression) {
    this.responseCompression = Checks.notNull("compression", compression);
    return this;
  }

  /** {@return how the request is compressed, or null when the client's own way is meant} */
  protected Compression requestCompression() {
    return requestCompression;
  }

  /**
   * {@return how the answer is asked to be compressed, or null when the client's own way is meant}
   */
  protected Compression responseCompression() {
    return responseCompression;
  }

  /** {@return the time that the call may take, or null when the client's own is meant} */
  protected Duration timeout() {
    return timeout;
  }

  /** {@return the headers that were set} */
  protected Map<String, String> headers() {
    return headers;
  }

  /** {@return whether the call may be repeated} */
  protected boolean isIdempotent() {
    return idempotent;
  }

  /**
   * Sends the request and waits for the answer. Interrupting the thread cancels the call.
   *
   * @return the answer
   * @throws InferenceException the server refused, or no answer came
   * @throws IllegalArgumentException the request can't be sent
   */
  public abstract T execute() throws InferenceException;

  /**
   * Sends the request. Cancelling the future cancels the call.
   *
   * @return the future answer; it fails with an {@link InferenceException}
   * @throws IllegalArgumentException the request can't be sent
   */
  public abstract CompletableFuture<T> executeAsync();
}
