package triton.client.internal;

import java.io.IOException;
import java.lang.ref.Cleaner;
import java.net.http.HttpClient;
import java.time.Duration;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Executor;
import java.util.concurrent.SynchronousQueue;
import java.util.concurrent.ThreadFactory;
import java.util.concurrent.ThreadPoolExecutor;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import javax.net.ssl.SSLContext;
import triton.client.InferenceCancelledException;
import triton.client.InferenceException;
import triton.client.InferenceProtocolException;

/**
 * Sends calls over HTTP/1.1. Asynchronous calls and those over TLS or by a proxy go by the JDK's
 * client. Blocking ones go on connections of our own: handing a small call to another thread and
 * back takes longer than the rest of it, and makes ten times the garbage.
 */
public final class Transport implements AutoCloseable {
  /** Closes the connections of clients that were dropped without being closed. */
  private static final Cleaner CLEANER = Cleaner.create();

  private static final AtomicInteger THREADS = new AtomicInteger();

  /** Where callbacks of asynchronous calls run: threads that end when they have nothing to do. */
  public static final Executor CALLBACKS =
      new ThreadPoolExecutor(
          0, Integer.MAX_VALUE, 5, TimeUnit.SECONDS, new SynchronousQueue<>(), daemons());

  private final Targets targets;
  private final Executor executor;
  private volatile int retries;
  private final long maxResponseSize;
  private final Set<Abortable> running = ConcurrentHashMap.newKeySet();
  private final Duration connectTimeout;
  private final Pool pool = new Pool();
  private final SSLContext tls;
  private HttpClient http; // made when it is first needed, as it has a thread
  private volatile boolean closed;

  /**
   * Creates a transport.
   *
   * @param executor where callbacks of asynchronous calls run
   * @param tls null where no target is https
   */
  public Transport(
      Targets targets,
      Duration connectTimeout,
      SSLContext tls,
      Executor executor,
      int retries,
      long maxResponseSize) {
    this.targets = targets;
    this.connectTimeout = connectTimeout;
    Pool idle = pool; // the cleaner must not hold this transport
    CLEANER.register(this, idle::close);
    this.executor = executor;
    this.retries = retries;
    this.maxResponseSize = maxResponseSize;
    this.tls = tls;
  }

  private synchronized HttpClient http() {
    if (http == null) {
      HttpClient.Builder builder =
          HttpClient.newBuilder()
              .version(HttpClient.Version.HTTP_1_1)
              .executor(CALLBACKS)
              .followRedirects(HttpClient.Redirect.NEVER);
      if (connectTimeout != null) {
        builder.connectTimeout(connectTimeout);
      }
      if (tls != null) {
        builder.sslContext(tls);
      }
      http = builder.build();
    }
    return http;
  }

  private static ThreadFactory daemons() {
    return task -> {
      Thread thread = new Thread(task, "triton-client-" + THREADS.incrementAndGet());
      thread.setDaemon(true);
      return thread;
    };
  }

  Targets targets() {
    return targets;
  }

  Executor executor() {
    return executor;
  }

  int retries() {
    return retries;
  }

  /** Sets how often a call is repeated. */
  public void setRetries(int retries) {
    this.retries = retries;
  }

  /** The time that connecting may take, or null for no limit. */
  Duration connectTimeout() {
    return connectTimeout;
  }

  long maxResponseSize() {
    return maxResponseSize;
  }

  /** Sends a call and waits for its answer. */
  public Answer send(Call call) throws InferenceException {
    if (closed) {
      throw closed(call);
    }
    Target first;
    try {
      first = targets.next();
    } catch (Exception e) {
      throw Failures.noEndpoint(e, call);
    }
    if (!first.isDirect()) {
      Exchange exchange = new Exchange(this, http(), call, first);
      running.add(exchange);
      try {
        return decompressed(call, exchange.await());
      } finally {
        running.remove(exchange);
      }
    }
    BlockingCall blocking = new BlockingCall(this, pool, call, first);
    running.add(blocking);
    try {
      return decompressed(call, blocking.execute());
    } finally {
      running.remove(blocking);
    }
  }

  /**
   * Sends a call. The future's failures are InferenceExceptions, it is completed on the executor,
   * and the call ends when it is cancelled.
   */
  public <T> CompletableFuture<T> sendAsync(Call call, Reader<T> reader) {
    CompletableFuture<T> result = new CompletableFuture<>();
    if (closed) {
      result.completeExceptionally(closed(call));
      return result;
    }
    Exchange exchange = new Exchange(this, http(), call, null);
    running.add(exchange);
    exchange
        .done()
        .whenComplete(
            (answer, failure) -> {
              running.remove(exchange);
              if (!result.isDone()) {
                executor.execute(() -> finish(result, call, reader, answer, failure));
              }
            });
    result.whenComplete(
        (value, failure) -> {
          if (result.isCancelled()) {
            exchange.abort(
                new InferenceCancelledException(
                    "the call was cancelled", 0, "", call.model, call.requestId, null));
          }
        });
    exchange.start();
    return result;
  }

  private <T> void finish(
      CompletableFuture<T> result, Call call, Reader<T> reader, Answer answer, Throwable failure) {
    if (failure != null) {
      result.completeExceptionally(Failures.unwrap(failure));
      return;
    }
    try {
      result.complete(reader.read(decompressed(call, answer)));
    } catch (InferenceException | RuntimeException | Error e) {
      result.completeExceptionally(e);
    }
  }

  /** Makes the result of an answer. */
  public interface Reader<T> {
    /**
     * Returns the result.
     *
     * @throws InferenceException the server refused, or the answer is not one of the protocol
     */
    T read(Answer answer) throws InferenceException;
  }

  private Answer decompressed(Call call, Answer answer) throws InferenceException {
    try {
      answer.decompress(maxResponseSize);
      return answer;
    } catch (IOException | OutOfMemoryError e) {
      throw new InferenceProtocolException(
          "the answer can't be decompressed: " + e.getMessage(),
          answer.status(),
          answer.endpoint(),
          call.model,
          call.requestId,
          e);
    }
  }

  private static InferenceException closed(Call call) {
    return new InferenceCancelledException(
        "the client is closed", 0, "", call.model, call.requestId, null);
  }

  /**
   * Ends the calls that are under way, and lets go of the connections. Before Java 21 the JDK
   * closes them once it notices that nobody holds its client any more.
   */
  @Override
  public void close() {
    closed = true;
    pool.close();
    for (Abortable each : running) {
      each.abort(closed(each.call()));
    }
    HttpClient open;
    synchronized (this) {
      open = http;
      http = null;
    }
    if (open instanceof AutoCloseable) {
      try {
        HttpClient.class.getMethod("shutdownNow").invoke(open);
      } catch (ReflectiveOperationException e) {
        // Then they are closed as before Java 21.
      }
    }
  }
}
