package triton.client;

import java.security.NoSuchAlgorithmException;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Executor;
import javax.net.ssl.SSLContext;
import triton.client.internal.Checks;
import triton.client.internal.RoundRobin;
import triton.client.internal.Target;
import triton.client.internal.Transport;

/** The options of a {@link Client}. Every setter returns this builder. */
public final class ClientBuilder {
  private final List<Target> targets = new ArrayList<>();
  private Duration connectTimeout = Duration.ofSeconds(5);
  private SSLContext tls;
  private Executor executor = Transport.CALLBACKS;
  private int retries = -1;
  private long maxResponseSize = Integer.MAX_VALUE - 8;
  private final Map<String, String> headers = new LinkedHashMap<>();
  private Duration timeout = Duration.ofSeconds(60);
  private Compression requestCompression = Compression.NONE;
  private Compression responseCompression = Compression.NONE;

  ClientBuilder(List<String> urls) {
    if (urls.isEmpty()) {
      throw new IllegalArgumentException("urls is empty, expected at least one");
    }
    for (String url : urls) {
      targets.add(Target.of(url));
    }
  }

  /**
   * Sets the time that a call may take from its beginning to its end.
   *
   * @param timeout the time, 60 seconds by default; null for no limit
   * @return this
   */
  public ClientBuilder timeout(Duration timeout) {
    this.timeout = timeout == null ? null : Checks.positive("timeout", timeout);
    return this;
  }

  /**
   * Sets the time that connecting to one server may take.
   *
   * @param timeout the time, 5 seconds by default
   * @return this
   */
  public ClientBuilder connectTimeout(Duration timeout) {
    this.connectTimeout = Checks.positive("connectTimeout", timeout);
    return this;
  }

  /**
   * Sets how often a call is repeated. Only what can't have been executed is repeated: a call whose
   * connection could not be made, and, where {@link Operation#idempotent} allows it, one whose
   * connection ended before the answer began.
   *
   * @param retries how often; by default 2, or as often as there are other servers
   * @return this
   */
  public ClientBuilder retries(int retries) {
    this.retries = (int) Checks.notNegative("retries", retries);
    return this;
  }

  /**
   * Sets a header of all requests.
   *
   * @param name its name
   * @param value its value
   * @return this
   */
  public ClientBuilder header(String name, String value) {
    Checks.header(name, value);
    headers.put(name, value);
    return this;
  }

  /**
   * Sets how requests are compressed.
   *
   * @param compression the way, {@link Compression#NONE} by default
   * @return this
   */
  public ClientBuilder requestCompression(Compression compression) {
    this.requestCompression = Checks.notNull("compression", compression);
    return this;
  }

  /**
   * Sets how answers are asked to be compressed.
   *
   * @param compression the way, {@link Compression#NONE} by default
   * @return this
   */
  public ClientBuilder responseCompression(Compression compression) {
    this.responseCompression = Checks.notNull("compression", compression);
    return this;
  }

  /**
   * Sets whom to trust over https, and who we are; see {@link Tls}.
   *
   * @param tls the context, the JDK's own by default
   * @return this
   */
  public ClientBuilder tls(SSLContext tls) {
    this.tls = Checks.notNull("tls", tls);
    return this;
  }

  /**
   * Sets where the futures of asynchronous calls are completed.
   *
   * @param executor the executor, by default threads that do not keep a program from ending
   * @return this
   */
  public ClientBuilder executor(Executor executor) {
    this.executor = Checks.notNull("executor", executor);
    return this;
  }

  /**
   * Sets how large an answer may be, also when it was compressed.
   *
   * @param bytes the size in bytes, 2 GiB by default
   * @return this
   */
  public ClientBuilder maxResponseSize(long bytes) {
    if (bytes < 1) {
      throw new IllegalArgumentException("maxResponseSize is " + bytes + ", expected 1 or more");
    }
    this.maxResponseSize = Math.min(bytes, Integer.MAX_VALUE - 8);
    return this;
  }

  /**
   * Creates the client. It connects when it is first used.
   *
   * @return the client
   */
  public Client build() {
    boolean secure = targets.stream().anyMatch(Target::secure);
    Transport transport =
        new Transport(
            new RoundRobin(targets),
            connectTimeout,
            secure ? context() : null,
            executor,
            retries < 0 ? Math.max(2, targets.size() - 1) : retries,
            maxResponseSize);
    return new Client(transport, timeout, headers, requestCompression, responseCompression);
  }

  private SSLContext context() {
    try {
      return tls == null ? SSLContext.getDefault() : tls;
    } catch (NoSuchAlgorithmException e) {
      throw new IllegalStateException("the JVM has no TLS: " + e.getMessage(), e);
    }
  }
}
