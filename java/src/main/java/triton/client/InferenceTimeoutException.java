package triton.client;

/** The call's deadline passed before its answer was complete. */
public class InferenceTimeoutException extends InferenceException {
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
  public InferenceTimeoutException(
      String message,
      int status,
      String endpoint,
      String modelName,
      String requestId,
      Throwable cause) {
    super(message, status, endpoint, modelName, requestId, cause);
  }
}
