package triton.client;

/** The answer is not HTTP, or not the v2 inference protocol. */
public class InferenceProtocolException extends InferenceException {
  private static final long serialVersionUID = 1L;

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
  public InferenceProtocolException(
      String message,
      int status,
      String endpoint,
      String modelName,
      String requestId,
      Throwable cause) {
    super(message, status, endpoint, modelName, requestId, cause);
  }
}
