package triton.client.internal;

/** Chooses the server for each attempt of a call. */
public interface Targets {
  /**
   * Returns a server.
   *
   * @throws Exception none can be found
   */
  Target next() throws Exception;

  /** Hears that a server could not be reached. */
  default void unreachable(Target target) {}

  /** How many servers are known. */
  default int count() {
    return 1;
  }
}
