package triton.client.messages;

import java.util.List;

/** Who a server is. */
public final class ServerMetadata {
  private final String name;
  private final String version;
  private final List<String> extensions;

  /**
   * Creates one, for tests of programs that use them.
   *
   * @param name its name
   * @param version its version
   * @param extensions the names of the protocol extensions that it speaks
   */
  public ServerMetadata(String name, String version, List<String> extensions) {
    this.name = name;
    this.version = version;
    this.extensions = List.copyOf(extensions);
  }

  /** {@return its name} */
  public String name() {
    return name;
  }

  /** {@return its version} */
  public String version() {
    return version;
  }

  /** {@return the names of the protocol extensions that it speaks} */
  public List<String> extensions() {
    return extensions;
  }

  @Override
  public String toString() {
    return "ServerMetadata["
        + "name="
        + name
        + ", version="
        + version
        + ", extensions="
        + extensions
        + "]";
  }
}
