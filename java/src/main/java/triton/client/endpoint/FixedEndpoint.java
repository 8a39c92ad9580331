package triton.client.endpoint;

/** One address. */
public class FixedEndpoint extends AbstractEndpoint {
  private final String endpoint;

  /**
   * Creates an endpoint.
   *
   * @param endpoint "host:port", with "/path" behind it where the server is below a path
   * @throws IllegalArgumentException the address is empty or has a scheme
   */
  public FixedEndpoint(String endpoint) {
    if (endpoint == null || endpoint.isEmpty() || endpoint.contains("://")) {
      throw new IllegalArgumentException(
          "endpoint is "
              + (endpoint == null ? "null" : "\"" + endpoint + "\"")
              + ", expected host:port[/path] without a scheme, for example localhost:8000");
    }
    this.endpoint = endpoint;
  }

  @Override
  protected String getEndpointImpl() {
    return endpoint;
  }

  @Override
  protected int getEndpointNum() {
    return 1;
  }
}
