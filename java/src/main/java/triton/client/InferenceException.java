package triton.client;

import triton.client.pojo.ResponseError;

/**
 * A call to an inference server failed. One of this class itself means that the server refused it,
 * and its message is the server's own text; the classes below it say what else went wrong.
 */
public class InferenceException extends Exception {
  private static final long serialVersionUID = 1L;

  /** The HTTP status, or 0. */
  private final int status;

  /** The server's URL, or "". */
  private final String endpoint;

  /** The model's name, or "". */
  private final String modelName;

  /** The request's id, or "". */
  private final String requestId;

  /**
   * Creates an exception with the text of a refusal.
   *
   * @param err the server's JSON
   */
  public InferenceException(ResponseError err) {
    this(err == null ? null : err.getError());
  }

  /**
   * Creates an exception.
   *
   * @param message what went wrong
   */
  public InferenceException(String message) {
    this(message, 0, "", "", "", null);
  }

  /**
   * Creates an exception.
   *
   * @param cause what went wrong; its text becomes the message
   */
  public InferenceException(Throwable cause) {
    this(cause == null ? null : cause.toString(), 0, "", "", "", cause);
  }

  /**
   * Creates an exception.
   *
   * @param message what went wrong
   * @param status the HTTP status, or 0
   * @param endpoint the server's URL, or ""
   * @param modelName the model's name, or ""
   * @param requestId the request's id, or ""
   * @param cause what led to it, or null
   */
  public InferenceException(
      String message,
      int status,
      String endpoint,
      String modelName,
      String requestId,
      Throwable cause) {
    super(message, cause);
    this.status = status;
    this.endpoint = endpoint;
    this.modelName = modelName;
    this.requestId = requestId;
  }

  /**
   * Returns the HTTP status.
   *
   * @return the status of the answer, or 0 when there was none; over gRPC the HTTP status that
   *     stands for the same
   */
  public int status() {
    return status;
  }

  /** {@return the server's URL, or "" when no server was chosen} */
  public String endpoint() {
    return endpoint;
  }

  /** {@return the name of the model that was asked for, or ""} */
  public String modelName() {
    return modelName;
  }

  /** {@return the id of the request, or ""} */
  public String requestId() {
    return requestId;
  }
}
