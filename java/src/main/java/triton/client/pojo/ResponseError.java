package triton.client.pojo;

/** The JSON of a refusal. */
public class ResponseError {
  private String error;

  /** Creates an empty bean. */
  public ResponseError() {}

  /** {@return the server's text} */
  public String getError() {
    return error;
  }

  /**
   * Sets the server's text.
   *
   * @param error the text
   */
  public void setError(String error) {
    this.error = error;
  }
}
