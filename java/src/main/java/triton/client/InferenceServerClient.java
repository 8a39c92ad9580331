package triton.client;

import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import triton.client.endpoint.AbstractEndpoint;
import triton.client.endpoint.FixedEndpoint;
import triton.client.internal.Checks;
import triton.client.internal.Target;
import triton.client.internal.Targets;
import triton.client.internal.Transport;

/**
 * The client with the names and arguments of the classic library. It does inference; {@link Client}
 * does everything. It may be shared by threads, and needs not be closed for a program to end.
 */
@SuppressWarnings("try") // close() throws Exception, as programs expect
public class InferenceServerClient implements AutoCloseable {
  private static final int DEFAULT_RETRIES = 3;

  private final Transport transport;
  private final Client client;

  /**
   * Creates a client.
   *
   * @param ipPort the server, "host:port[/path]"
   * @param connectionTimeout the time that connecting may take, in milliseconds; 0 or less waits
   *     for ever
   * @param networkTimeout the time that a call may take, in milliseconds; 0 or less waits for ever
   * @throws IOException never; programs expect to catch it
   * @throws IllegalArgumentException the address is empty or has a scheme
   */
  public InferenceServerClient(String ipPort, int connectionTimeout, int networkTimeout)
      throws IOException {
    this(new FixedEndpoint(ipPort), connectionTimeout, networkTimeout);
  }

  /**
   * Creates a client.
   *
   * @param endpoint where the servers are; it is asked for each attempt of a call
   * @param connectionTimeout the time that connecting may take, in milliseconds; 0 or less waits
   *     for ever
   * @param networkTimeout the time that a call may take, in milliseconds; 0 or less waits for ever
   * @throws IOException never; programs expect to catch it
   */
  public InferenceServerClient(AbstractEndpoint endpoint, int connectionTimeout, int networkTimeout)
      throws IOException {
    this(endpoint, config(connectionTimeout, networkTimeout));
  }

  private static HttpConfig config(int connectionTimeout, int networkTimeout) {
    HttpConfig config = new HttpConfig();
    config.setConnectTimeout(connectionTimeout);
    config.setReadTimeout(networkTimeout);
    return config;
  }

  /**
   * Creates a client.
   *
   * @param endpoint where the servers are; it is asked for each attempt of a call
   * @param httpConfig further options
   * @throws IOException never; programs expect to catch it
   */
  public InferenceServerClient(AbstractEndpoint endpoint, HttpConfig httpConfig)
      throws IOException {
    Checks.notNull("endpoint", endpoint);
    Checks.notNull("httpConfig", httpConfig);
    transport =
        new Transport(
            new EndpointTargets(endpoint),
            duration(httpConfig.getConnectTimeout()),
            null,
            Transport.CALLBACKS,
            DEFAULT_RETRIES,
            Integer.MAX_VALUE);
    int limit =
        httpConfig.getRequestTimeout() > 0
            ? httpConfig.getRequestTimeout()
            : httpConfig.getReadTimeout();
    client = new Client(transport, duration(limit), Map.of(), Compression.NONE, Compression.NONE);
  }

  private static Duration duration(int millis) {
    return millis <= 0 ? null : Duration.ofMillis(millis);
  }

  /** Asks an endpoint, and makes URLs of what it says. */
  private static final class EndpointTargets implements Targets {
    private final AbstractEndpoint endpoint;
    private volatile String lastText = "";
    private volatile Target last;

    EndpointTargets(AbstractEndpoint endpoint) {
      this.endpoint = endpoint;
    }

    @Override
    public Target next() throws Exception {
      String text = endpoint.getEndpoint();
      Target known = last;
      if (known != null && lastText.equals(text) && known.url().endsWith(text)) {
        return known;
      }
      Target target = Target.of("http://" + Checks.name("endpoint", text));
      last = target;
      lastText = text;
      return target;
    }
  }

  /**
   * Sets how often a call is repeated whose connection could not be made. Others are not repeated,
   * as the server may have executed them.
   *
   * @param retryCnt how often, 3 by default
   * @throws IllegalArgumentException the number is negative
   */
  public void setRetryCnt(int retryCnt) {
    transport.setRetries((int) Checks.notNegative("retryCnt", retryCnt));
  }

  /**
   * Runs a model.
   *
   * @param modelName the model's name
   * @param inputs its inputs
   * @param outputs the outputs to return; null or empty for all
   * @return the answer
   * @throws InferenceException the server refused, or no answer came
   * @throws IllegalArgumentException the request can't be sent
   */
  public InferResult infer(
      String modelName, List<InferInput> inputs, List<InferRequestedOutput> outputs)
      throws InferenceException {
    return infer(new InferArguments(modelName, inputs, outputs));
  }

  /**
   * Runs a model.
   *
   * @param arg the model, its inputs and options
   * @return the answer
   * @throws InferenceException the server refused, or no answer came
   * @throws IllegalArgumentException the request can't be sent
   */
  public InferResult infer(InferArguments arg) throws InferenceException {
    return Checks.notNull("arg", arg).operation(client).execute();
  }

  /**
   * Runs a model without waiting for the answer.
   *
   * @param arg the model, its inputs and options
   * @return the future answer; it fails with an {@link InferenceException}, and cancelling it
   *     cancels the call
   * @throws IllegalArgumentException the request can't be sent
   */
  public CompletableFuture<InferResult> inferAsync(InferArguments arg) {
    return Checks.notNull("arg", arg).operation(client).executeAsync();
  }

  @Override
  public void close() throws Exception {
    client.close();
  }

  /** What to run a model with. Every setter returns this object. */
  public static class InferArguments {
    private final InferRequest request;
    private final Map<String, String> headers = new LinkedHashMap<>();
    private final Map<String, String> query = new LinkedHashMap<>();
    private Compression requestCompression = Compression.NONE;
    private Compression responseCompression = Compression.NONE;

    /**
     * Creates arguments.
     *
     * @param modelName the model's name
     * @param inputs its inputs
     * @param outputs the outputs to return; null or empty for all
     */
    public InferArguments(
        String modelName, List<InferInput> inputs, List<InferRequestedOutput> outputs) {
      this.request = InferRequest.of(modelName);
      for (InferInput input : Checks.notNull("inputs", inputs)) {
        request.input(input);
      }
      if (outputs != null) {
        for (InferRequestedOutput output : outputs) {
          request.output(output);
        }
      }
    }

    /**
     * Creates arguments whose outputs all come back.
     *
     * @param modelName the model's name
     * @param inputs its inputs
     */
    public InferArguments(String modelName, List<InferInput> inputs) {
      this(modelName, inputs, null);
    }

    /**
     * Creates arguments whose outputs all come back.
     *
     * @param modelName the model's name
     * @param inputs its inputs
     */
    public InferArguments(String modelName, InferInput... inputs) {
      this(modelName, Arrays.asList(Checks.notNull("inputs", inputs)), null);
    }

    /**
     * Chooses a version of the model; by default the server does.
     *
     * @param modelVersion the version, or ""
     * @return this
     */
    public InferArguments setModelVersion(String modelVersion) {
      request.version(modelVersion);
      return this;
    }

    /**
     * Sets the request's id, which comes back with the answer.
     *
     * @param requestId the id, or ""
     * @return this
     */
    public InferArguments setRequestId(String requestId) {
      request.id(requestId);
      return this;
    }

    /**
     * Makes the request part of a sequence.
     *
     * @param sequenceId the sequence's id; 0 for none
     * @return this
     */
    public InferArguments setSequenceId(int sequenceId) {
      request.sequenceId(sequenceId);
      return this;
    }

    /**
     * Makes the request part of a sequence.
     *
     * @param sequenceId the sequence's id, read as unsigned; 0 for none
     * @return this
     */
    public InferArguments setSequenceId(long sequenceId) {
      request.sequenceId(sequenceId);
      return this;
    }

    /**
     * Makes the request part of a sequence.
     *
     * @param sequenceId the sequence's id; "" for none
     * @return this
     */
    public InferArguments setSequenceId(String sequenceId) {
      request.sequenceId(sequenceId);
      return this;
    }

    /**
     * Marks the first request of a sequence.
     *
     * @param sequenceStart whether it is
     * @return this
     */
    public InferArguments setSequenceStart(boolean sequenceStart) {
      request.sequenceStart(sequenceStart);
      return this;
    }

    /**
     * Marks the last request of a sequence.
     *
     * @param sequenceEnd whether it is
     * @return this
     */
    public InferArguments setSequenceEnd(boolean sequenceEnd) {
      request.sequenceEnd(sequenceEnd);
      return this;
    }

    /**
     * Sets the request's priority in the server's queue.
     *
     * @param priority the priority, read as unsigned; 0 for the model's own
     * @return this
     */
    public InferArguments setPriority(long priority) {
      request.priority(priority);
      return this;
    }

    /**
     * Sets how long the request may wait in the server's queue.
     *
     * @param timeout the time in microseconds; it is sent when it is more than 0
     * @return this
     */
    public InferArguments setTimeout(int timeout) {
      request.serverTimeoutMicros(timeout);
      return this;
    }

    /**
     * Sets a header of the request.
     *
     * @param key its name
     * @param value its value
     * @return this
     */
    public InferArguments setHeader(String key, String value) {
      Checks.header(key, value);
      headers.put(key, value);
      return this;
    }

    /**
     * Adds a query parameter to the URL.
     *
     * @param key its name
     * @param value its value
     * @return this
     */
    public InferArguments addQueryParam(String key, String value) {
      query.put(
          Checks.name("name of a query parameter", key),
          Checks.notNull("value of query parameter " + key, value));
      return this;
    }

    /**
     * Sets how the request is compressed.
     *
     * @param algorithm "gzip", "deflate", or null for not at all
     * @return this
     * @throws IllegalArgumentException it is another
     */
    public InferArguments setRequestCompressionAlgorithm(String algorithm) {
      requestCompression = compression(algorithm);
      return this;
    }

    /**
     * Sets how the answer is asked to be compressed.
     *
     * @param algorithm "gzip", "deflate", or null for not at all
     * @return this
     * @throws IllegalArgumentException it is another
     */
    public InferArguments setResponseCompressionAlgorithm(String algorithm) {
      responseCompression = compression(algorithm);
      return this;
    }

    private static Compression compression(String algorithm) {
      for (Compression known : Compression.values()) {
        if (algorithm == null || algorithm.equalsIgnoreCase(known.coding())) {
          return known;
        }
      }
      throw new IllegalArgumentException(
          "algorithm is \"" + algorithm + "\", expected \"gzip\", \"deflate\" or null");
    }

    Operation<InferResult> operation(Client client) {
      Operation<InferResult> operation =
          client
              .infer(request)
              .requestCompression(requestCompression)
              .responseCompression(responseCompression);
      headers.forEach(operation::header);
      query.forEach(operation::queryParam);
      return operation;
    }
  }

  /** Options of a client. Times are in milliseconds; 0 or less means no limit. */
  public static class HttpConfig {
    private int ioThreadNum = 10;
    private int readTimeout = 5000;
    private int connectTimeout = 5000;
    private int requestTimeout;
    private int maxConnectionCount = 1000;
    private int maxConnectionPerRoute = 1000;
    private boolean keepAlive = true;

    /** Creates the usual options. */
    public HttpConfig() {}

    /**
     * Creates options.
     *
     * @param ioThreadNum has no effect, as one thread does for all connections
     * @param readTimeout the time that a call may take
     * @param connectTimeout the time that connecting may take
     * @param maxConnectionCount has no effect; there are as many connections as calls at a time
     * @param maxConnectionPerRoute has no effect, likewise
     */
    public HttpConfig(
        int ioThreadNum,
        int readTimeout,
        int connectTimeout,
        int maxConnectionCount,
        int maxConnectionPerRoute) {
      this(ioThreadNum, readTimeout, connectTimeout, maxConnectionCount, maxConnectionPerRoute, 0);
    }

    /**
     * Creates options.
     *
     * @param ioThreadNum has no effect, as one thread does for all connections
     * @param readTimeout the time that a call may take, where requestTimeout does not say so
     * @param connectTimeout the time that connecting may take
     * @param maxConnectionCount has no effect; there are as many connections as calls at a time
     * @param maxConnectionPerRoute has no effect, likewise
     * @param requestTimeout the time that a call may take
     */
    public HttpConfig(
        int ioThreadNum,
        int readTimeout,
        int connectTimeout,
        int maxConnectionCount,
        int maxConnectionPerRoute,
        int requestTimeout) {
      this.ioThreadNum = ioThreadNum;
      this.readTimeout = readTimeout;
      this.connectTimeout = connectTimeout;
      this.maxConnectionCount = maxConnectionCount;
      this.maxConnectionPerRoute = maxConnectionPerRoute;
      this.requestTimeout = requestTimeout;
    }

    /** {@return the number of threads that read and write, which has no effect} */
    public int getIoThreadNum() {
      return ioThreadNum;
    }

    /**
     * Sets the number of threads that read and write, which has no effect.
     *
     * @param ioThreadNum the value
     */
    public void setIoThreadNum(int ioThreadNum) {
      this.ioThreadNum = ioThreadNum;
    }

    /** {@return the time that a call may take, where requestTimeout does not say so} */
    public int getReadTimeout() {
      return readTimeout;
    }

    /**
     * Sets the time that a call may take, where requestTimeout does not say so.
     *
     * @param readTimeout the value
     */
    public void setReadTimeout(int readTimeout) {
      this.readTimeout = readTimeout;
    }

    /** {@return the time that connecting may take} */
    public int getConnectTimeout() {
      return connectTimeout;
    }

    /**
     * Sets the time that connecting may take.
     *
     * @param connectTimeout the value
     */
    public void setConnectTimeout(int connectTimeout) {
      this.connectTimeout = connectTimeout;
    }

    /** {@return the time that a call may take} */
    public int getRequestTimeout() {
      return requestTimeout;
    }

    /**
     * Sets the time that a call may take.
     *
     * @param requestTimeout the value
     */
    public void setRequestTimeout(int requestTimeout) {
      this.requestTimeout = requestTimeout;
    }

    /** {@return the number of connections, which has no effect} */
    public int getMaxConnectionCount() {
      return maxConnectionCount;
    }

    /**
     * Sets the number of connections, which has no effect.
     *
     * @param maxConnectionCount the value
     */
    public void setMaxConnectionCount(int maxConnectionCount) {
      this.maxConnectionCount = maxConnectionCount;
    }

    /** {@return the number of connections to a server, which has no effect} */
    public int getMaxConnectionPerRoute() {
      return maxConnectionPerRoute;
    }

    /**
     * Sets the number of connections to a server, which has no effect.
     *
     * @param maxConnectionPerRoute the value
     */
    public void setMaxConnectionPerRoute(int maxConnectionPerRoute) {
      this.maxConnectionPerRoute = maxConnectionPerRoute;
    }

    /** {@return whether connections are kept, which has no effect: they are} */
    public boolean isKeepAlive() {
      return keepAlive;
    }

    /**
     * Sets whether connections are kept, which has no effect: they are.
     *
     * @param keepAlive the value
     */
    public void setKeepAlive(boolean keepAlive) {
      this.keepAlive = keepAlive;
    }
  }
}
