package triton.client.internal;

import java.io.IOException;
import java.net.ConnectException;
import java.net.http.HttpClient;
import java.net.http.HttpConnectTimeoutException;
import java.net.http.HttpRequest;
import java.net.http.HttpResponse;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import triton.client.InferenceCancelledException;
import triton.client.InferenceException;

/** One call on its way: its attempts, its deadline and its end. */
final class Exchange {
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
  private volatile boolean answering;
  private volatile Collector collector;
  private volatile CompletableFuture<HttpResponse<byte[]>> request;

  Exchange(Transport transport, HttpClient http, Call call) {
    this.transport = transport;
    this.http = http;
    this.call = call;
    this.timeoutNanos = call.timeout == null ? Long.MAX_VALUE : nanos(call.timeout);
  }

  private static long nanos(java.time.Duration timeout) {
    try {
      return timeout.toNanos();
    } catch (ArithmeticException e) {
      return Long.MAX_VALUE; // more than 292 years
    }
  }

  /** The answer; failures are InferenceExceptions. */
  CompletableFuture<Answer> done() {
    return done;
  }

  Call call() {
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
        "the thread was interrupted" + where(), 0, url(), call.model, call.requestId, null);
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
    return Failures.timeout(
        "no complete answer within " + call.timeout.toMillis() + " ms" + where(), call, url());
  }

  /** Ends the call, unless it has ended, and the connection that it is on. */
  void abort(InferenceException reason) {
    if (done.completeExceptionally(reason)) {
      endRequest(reason);
    }
  }

  private void endRequest(Throwable reason) {
    CompletableFuture<?> running = request;
    if (running != null) {
      running.cancel(true);
    }
    Collector receiving = collector;
    if (receiving != null) {
      receiving.abort(reason);
    }
  }

  private void attempt() {
    attempts++;
    answering = false;
    try {
      target = transport.targets().next();
    } catch (Exception e) {
      if (e instanceof InterruptedException) {
        Thread.currentThread().interrupt();
      }
      done.completeExceptionally(Failures.noEndpoint(e, call));
      return;
    }
    CompletableFuture<HttpResponse<byte[]>> sent;
    try {
      sent = http.sendAsync(request(), this::receive);
    } catch (RuntimeException e) {
      done.completeExceptionally(Failures.of(e, call, url(), where()));
      return;
    }
    request = sent;
    sent.whenComplete(
        (response, error) -> {
          if (error != null) {
            failed(Failures.unwrap(error));
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
    for (Map.Entry<String, String> header : call.headers.entrySet()) {
      builder.setHeader(header.getKey(), header.getValue());
    }
    if (!CANCELS && timeoutNanos != Long.MAX_VALUE) {
      builder.timeout(java.time.Duration.ofNanos(Math.max(1, remainingNanos())));
    }
    return builder.build();
  }

  private HttpResponse.BodySubscriber<byte[]> receive(HttpResponse.ResponseInfo info) {
    answering = true;
    String at = target.url();
    Collector receiving =
        new Collector(
            info.headers().firstValueAsLong("content-length").orElse(-1),
            transport.maxResponseSize(),
            (body, error) -> {
              if (error != null) {
                failed(error);
              } else {
                done.complete(new Answer(at, info.statusCode(), info.headers(), body));
              }
            });
    collector = receiving;
    if (done.isDone()) {
      receiving.abort(new IOException("the call has ended"));
    }
    return receiving;
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
    boolean unanswered = call.idempotent && !answering && Failures.lostConnection(error);
    if ((unreached || unanswered) && attempts <= transport.retries() && remainingNanos() > 0) {
      transport.executor().execute(this::attempt);
    } else {
      done.completeExceptionally(Failures.of(error, call, url(), where()));
    }
  }

  private String url() {
    return target == null ? "" : target.url();
  }

  /** What the call was, for messages in our own words. */
  private String where() {
    StringBuilder text = new StringBuilder(" (").append(call.method);
    text.append(' ').append(url()).append(call.path);
    if (!call.requestId.isEmpty()) {
      text.append(", request id ").append(call.requestId);
    }
    return text.append(')').toString();
  }
}
