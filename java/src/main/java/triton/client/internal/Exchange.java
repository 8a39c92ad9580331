package triton.client.internal;

import java.io.IOException;
import java.net.ConnectException;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import triton.client.InferenceCancelledException;
import triton.client.InferenceException;

/** One call on its way: its attempts, its deadline and its end. */
final class Exchange implements Abortable {
  /** Since Java 16 a cancelled future of HttpClient ends the request that it stands for. */
  private static final boolean CANCELS = Runtime.version().feature() >= 16;

  private final Transport transport;
  private final HttpClient http;
  private final Call call;
  private final long startNanos = System.nanoTime();
  private final long timeoutNanos;
  private final CompletableFuture<Answer> done = new CompletableFuture<>();

  private int attempts;
  private Target target;
  private volatile Receiver receiver;
  private volatile CompletableFuture<HttpResponse<byte[]>> request;

  /** Creates a call; its first attempt goes to this server, or, for null, to the next one. */
  Exchange(Transport transport, HttpClient http, Call call, Target first) {
    this.transport = transport;
    this.target = first;
    this.http = http;
    this.call = call;
    this.timeoutNanos = call.timeoutNanos();
  }

  /** The answer; failures are InferenceExceptions. */
  CompletableFuture<Answer> done() {
    return done;
  }

  @Override
  public Call call() {
    return call;
  }

  private long remainingNanos() {
    return timeoutNanos == Long.MAX_VALUE
        ? Long.MAX_VALUE
        : timeoutNanos - (System.nanoTime() - startNanos);
  }

  /** Sends the call and waits for its answer. */
  Answer await() throws InferenceException {
    if (Thread.currentThread().isInterrupted()) {
      throw interrupted();
    }
    attempt();
    try {
      return done.get(Math.max(0, remainingNanos()), TimeUnit.NANOSECONDS);
    } catch (TimeoutException e) {
      InferenceException timeout = timedOut();
      abort(timeout);
      throw timeout;
    } catch (InterruptedException e) {
      InferenceException interrupted = interrupted();
      abort(interrupted);
      Thread.currentThread().interrupt();
      throw interrupted;
    } catch (ExecutionException e) {
      throw rethrown((InferenceException) e.getCause());
    }
  }

  /** An exception from another thread, with the stack of the caller's, who looks for it there. */
  private static InferenceException rethrown(InferenceException failure) {
    failure.setStackTrace(new Throwable().getStackTrace());
    return failure;
  }

  private InferenceException interrupted() {
    return new InferenceCancelledException(
        "the thread was interrupted" + Failures.where(call, url()),
        0,
        url(),
        call.model,
        call.requestId,
        null);
  }

  /** Sends the call and ends it at its deadline; the answer comes to {@link #done}. */
  void start() {
    attempt();
    if (timeoutNanos != Long.MAX_VALUE && !done.isDone()) {
      CompletableFuture<Void> timer = new CompletableFuture<>();
      timer
          .orTimeout(Math.max(0, remainingNanos()), TimeUnit.NANOSECONDS)
          .whenComplete(
              (nothing, late) -> {
                if (late instanceof TimeoutException) {
                  transport.executor().execute(() -> abort(timedOut()));
                }
              });
      done.whenComplete((answer, failure) -> timer.complete(null));
    }
  }

  private InferenceException timedOut() {
    return Failures.timeout(call, url());
  }

  /** Ends the call, unless it has ended, and the connection that it is on. */
  @Override
  public void abort(InferenceException reason) {
    if (done.completeExceptionally(reason)) {
      endRequest(reason);
    }
  }

  private void endRequest(Throwable reason) {
    CompletableFuture<?> running = request;
    if (running != null) {
      running.cancel(true);
    }
    Receiver receiving = receiver;
    if (receiving != null) {
      receiving.abort(reason);
    }
  }

  private void attempt() {
    attempts++;
    Receiver receiving = new Receiver(transport.maxResponseSize());
    receiver = receiving;
    try {
      if (attempts > 1 || target == null) {
        target = transport.targets().next();
      }
    } catch (Exception e) {
      if (e instanceof InterruptedException) {
        Thread.currentThread().interrupt();
      }
      done.completeExceptionally(Failures.noEndpoint(e, call));
      return;
    }
    CompletableFuture<HttpResponse<byte[]>> sent;
    try {
      sent = http.sendAsync(request(), receiving);
    } catch (RuntimeException e) {
      done.completeExceptionally(Failures.of(e, call, url(), Failures.where(call, url())));
      return;
    }
    request = sent;
    sent.whenComplete(
        (response, error) -> {
          if (error != null) {
            failed(Failures.unwrap(error));
          } else {
            done.complete(answer(response));
          }
        });
    if (done.isDone()) { // ended meanwhile by another thread
      endRequest(new IOException("the call has ended"));
    }
  }

  private HttpRequest request() {
    HttpRequest.Builder builder =
        HttpRequest.newBuilder(target.resolve(call.path))
            .method(
                call.method, call.body == null ? HttpRequest.BodyPublishers.noBody() : call.body);
    for (int i = 0; i < call.headers.size(); i += 2) {
      builder.setHeader(call.headers.get(i), call.headers.get(i + 1));
    }
    if (!CANCELS && timeoutNanos != Long.MAX_VALUE) {
      builder.timeout(java.time.Duration.ofNanos(Math.max(1, remainingNanos())));
    }
    return builder.build();
  }

  /**
   * Receives the answer. It knows nothing of this exchange: an idle connection of the JDK refers to
   * it, and would keep the client that was dropped without being closed.
   */
  private static final class Receiver implements HttpResponse.BodyHandler<byte[]> {
    private final long limit;
    private Collector collector;
    private Throwable aborted;

    Receiver(long limit) {
      this.limit = limit;
    }

    @Override
    public synchronized HttpResponse.BodySubscriber<byte[]> apply(HttpResponse.ResponseInfo info) {
      long told = info.headers().firstValueAsLong("content-length").orElse(-1);
      collector = new Collector(told, limit);
      if (aborted != null) {
        collector.abort(aborted);
      }
      return collector;
    }

    /** Whether the answer has begun. */
    synchronized boolean isAnswering() {
      return collector != null;
    }

    void abort(Throwable reason) {
      Collector receiving;
      synchronized (this) {
        aborted = reason;
        receiving = collector;
      }
      if (receiving != null) {
        receiving.abort(reason);
      }
    }
  }

  private Answer answer(HttpResponse<byte[]> response) {
    return new Answer(
        url(),
        response.statusCode(),
        response.headers().firstValue("inference-header-content-length").orElse(null),
        response.headers().firstValue("content-encoding").orElse(null),
        response.headers().firstValue("location").orElse(null),
        response.body());
  }

  private void failed(Throwable error) {
    if (done.isDone()) {
      return;
    }
    boolean unreached =
        error instanceof ConnectException || error instanceof HttpConnectTimeoutException;
    if (unreached) {
      transport.targets().unreachable(target);
    }
    boolean unanswered =
        call.idempotent && !receiver.isAnswering() && Failures.lostConnection(error);
    if ((unreached || unanswered) && attempts <= transport.retries() && remainingNanos() > 0) {
      transport.executor().execute(this::attempt);
    } else {
      done.completeExceptionally(Failures.of(error, call, url(), Failures.where(call, url())));
    }
  }

  private String url() {
    return target == null ? "" : target.url();
  }
}
