package triton.client.messages;

/** One version of a model in the repository. */
public final class ModelIndex {
  private final String name;
  private final String version;
  private final String state;
  private final String reason;

  /**
   * Creates one, for tests of programs that use them.
   *
   * @param name the model's name
   * @param version the version, or "" for a model that was never loaded
   * @param state READY, UNAVAILABLE, LOADING, UNLOADING or ""
   * @param reason why it is not ready, or ""
   */
  public ModelIndex(String name, String version, String state, String reason) {
    this.name = name;
    this.version = version;
    this.state = state;
    this.reason = reason;
  }

  /** {@return the model's name} */
  public String name() {
    return name;
  }

  /** {@return the version, or "" for a model that was never loaded} */
  public String version() {
    return version;
  }

  /** {@return READY, UNAVAILABLE, LOADING, UNLOADING or ""} */
  public String state() {
    return state;
  }

  /** {@return why it is not ready, or ""} */
  public String reason() {
    return reason;
  }

  @Override
  public String toString() {
    return "ModelIndex["
        + "name="
        + name
        + ", version="
        + version
        + ", state="
        + state
        + ", reason="
        + reason
        + "]";
  }
}
