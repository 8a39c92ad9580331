package triton.client.internal;

import java.net.Proxy;
import java.net.ProxySelector;
import java.net.URI;
import java.util.concurrent.ConcurrentHashMap;

/** A server's URL, with the URLs below it that calls go to. */
public final class Target {
  private static final int REMEMBERED = 512;

  private final String url;
  private final String host;
  private final int port;
  private final String path;
  private final boolean direct;
  private final ConcurrentHashMap<String, URI> known = new ConcurrentHashMap<>();

  private Target(String scheme, String host, int port, String path) {
    this.url = scheme + "://" + host + ":" + port + path;
    this.host = host;
    this.port = port;
    this.path = path;
    this.direct = scheme.equals("http") && !isBehindProxy(URI.create(url));
  }

  private static boolean isBehindProxy(URI uri) {
    ProxySelector selector = ProxySelector.getDefault();
    return selector != null
        && selector.select(uri).stream().anyMatch(proxy -> proxy.type() != Proxy.Type.DIRECT);
  }

  /**
   * Returns the server of a URL. Without a port http means 8000, Triton's own.
   *
   * @throws IllegalArgumentException it is not a URL of http or https
   */
  public static Target of(String url) {
    URI uri;
    try {
      uri = URI.create(Checks.name("url", url));
    } catch (IllegalArgumentException e) {
      throw wrong(url, e.getMessage(), e);
    }
    String scheme =
        uri.getScheme() == null ? "" : uri.getScheme().toLowerCase(java.util.Locale.ROOT);
    if (!scheme.equals("http") && !scheme.equals("https")) {
      throw wrong(url, "its scheme is not http or https", null);
    }
    if (uri.getHost() == null) {
      throw wrong(url, "it names no host", null);
    }
    if (uri.getPort() > 65535 || uri.getPort() == 0) {
      throw wrong(url, "its port is not from 1 to 65535", null);
    }
    if (uri.getRawUserInfo() != null || uri.getRawQuery() != null || uri.getRawFragment() != null) {
      throw wrong(url, "it has a user, a query or a fragment", null);
    }
    int port = uri.getPort() > 0 ? uri.getPort() : scheme.equals("http") ? 8000 : 443;
    String path = uri.getRawPath() == null ? "" : uri.getRawPath();
    while (path.endsWith("/")) {
      path = path.substring(0, path.length() - 1);
    }
    return new Target(scheme, uri.getHost(), port, path);
  }

  private static IllegalArgumentException wrong(String url, String why, Throwable cause) {
    return new IllegalArgumentException(
        "url is \""
            + url
            + "\", expected http(s)://host[:port][/path], for example http://localhost:8000: "
            + why,
        cause);
  }

  /** Whether calls are encrypted. */
  public boolean secure() {
    return url.startsWith("https:");
  }

  /** Whether calls go to the server itself, unencrypted. */
  boolean isDirect() {
    return direct;
  }

  /** The server's name, as a URL has it. */
  String host() {
    return host;
  }

  /** The server's port. */
  int port() {
    return port;
  }

  /** The path that the server is below, or "". */
  String path() {
    return path;
  }

  /** The server's URL. */
  public String url() {
    return url;
  }

  /** The URL of a path below this one. */
  URI resolve(String path) {
    URI uri = known.get(path);
    if (uri == null) {
      uri = URI.create(url + path);
      if (known.size() >= REMEMBERED) {
        known.clear();
      }
      known.put(path, uri);
    }
    return uri;
  }
}
