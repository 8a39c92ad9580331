package triton.client.endpoint;

/**
 * Tells the address for each attempt to call a server. Extend it to take addresses from a registry
 * of services. It may be shared by clients and threads.
 */
public abstract class AbstractEndpoint {
  private static final int ATTEMPTS = 10;

  private final Object lock = new Object();
  private String last = "";

  /** Creates an endpoint. */
  protected AbstractEndpoint() {}

  /**
   * Returns an address. It differs from the last one when there are several.
   *
   * @return "host:port", with "/path" behind it where servers are below a path
   * @throws Exception the address can't be found; a RuntimeException when there are several
   *     addresses and the same was told 10 times
   */
  public String getEndpoint() throws Exception {
    synchronized (lock) {
      String next = getEndpointImpl();
      if (getEndpointNum() >= 2) {
        for (int attempt = 1; last.equals(next); attempt++) {
          if (attempt == ATTEMPTS) {
            throw new RuntimeException(
                "no endpoint other than " + last + " was told in " + ATTEMPTS + " attempts");
          }
          next = getEndpointImpl();
        }
      }
      last = next == null ? "" : next;
      return next;
    }
  }

  /**
   * Returns an address, any of those that there are.
   *
   * @return "host:port[/path]"
   * @throws Exception the address can't be found
   */
  protected abstract String getEndpointImpl() throws Exception;

  /**
   * Returns how many addresses there are.
   *
   * @return their number
   * @throws Exception they can't be counted
   */
  protected abstract int getEndpointNum() throws Exception;
}
