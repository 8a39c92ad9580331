package triton.client;

import java.io.IOException;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.function.Supplier;
import triton.client.internal.Answer;
import triton.client.internal.Body;
import triton.client.internal.Call;
import triton.client.internal.Checks;
import triton.client.internal.Json;
import triton.client.internal.Paths;

/** An operation over HTTP. */
final class HttpOperation<T> extends Operation<T> {
  /** Makes the result of an answer's body. */
  interface Reader<T> {
    T read(Answer answer) throws IOException;
  }

  private final Client client;
  private final String method;
  private final String path;
  private final Supplier<Body> body;
  private final Reader<T> reader;
  private final StringBuilder query = new StringBuilder();
  private String model = "";
  private String requestId = "";
  private boolean health;

  HttpOperation(Client client, String method, String path, Supplier<Body> body, Reader<T> reader) {
    this.client = client;
    this.method = method;
    this.path = path;
    this.body = body;
    this.reader = reader;
  }

  HttpOperation<T> about(String model, String requestId) {
    this.model = model;
    this.requestId = requestId;
    return this;
  }

  /** Makes refusals and lost connections an answer, which the reader makes of the status. */
  HttpOperation<T> health() {
    this.health = true;
    return this;
  }

  @Override
  public Operation<T> queryParam(String name, String value) {
    query
        .append(query.length() == 0 ? '?' : '&')
        .append(Paths.encode(Checks.name("name of a query parameter", name)))
        .append('=')
        .append(Paths.encode(Checks.notNull("value of query parameter " + name, value)));
    return this;
  }

  @Override
  public T execute() throws InferenceException {
    Call call = call();
    try {
      return result(client.transport().send(call));
    } catch (InferenceConnectionException e) {
      if (health) {
        return unreachable();
      }
      throw e;
    }
  }

  @Override
  public CompletableFuture<T> executeAsync() {
    CompletableFuture<T> future = client.transport().sendAsync(call(), this::result);
    if (!health) {
      return future;
    }
    CompletableFuture<T> answered = new CompletableFuture<>();
    future.whenComplete(
        (value, failure) -> {
          if (failure instanceof InferenceConnectionException) {
            answered.complete(unreachable());
          } else if (failure != null) {
            answered.completeExceptionally(failure);
          } else {
            answered.complete(value);
          }
        });
    answered.whenComplete(
        (value, failure) -> {
          if (answered.isCancelled()) {
            future.cancel(true);
          }
        });
    return answered;
  }

  @SuppressWarnings("unchecked")
  private T unreachable() {
    return (T) Boolean.FALSE; // what health operations answer
  }

  private Call call() {
    Body content = body == null ? null : body.get();
    Duration limit = timeout() == null ? client.timeout() : timeout();
    boolean repeatable = isIdempotent() || method.equals("GET");
    Compression packed = either(requestCompression(), client.requestCompression());
    boolean packs = content != null && packed != Compression.NONE;
    Body sent = packs ? content.compressed(packed.coding()) : content;
    Call call = new Call(method, path + query, sent, limit, repeatable, model, requestId);
    call.header("User-Agent", "triton-client-java");
    if (content != null) {
      boolean json = content.headLength() < 0;
      call.header("Content-Type", json ? "application/json" : "application/octet-stream");
      if (!json) {
        call.header(InferCodec.HEAD_LENGTH, Integer.toString(content.headLength()));
      }
      if (packs) {
        call.header("Content-Encoding", packed.coding());
      }
    }
    Compression accepted = either(responseCompression(), client.responseCompression());
    if (accepted != Compression.NONE) {
      call.header("Accept-Encoding", accepted.coding());
    }
    for (Map.Entry<String, String> header : client.headers().entrySet()) {
      call.header(header.getKey(), header.getValue());
    }
    for (Map.Entry<String, String> header : headers().entrySet()) {
      call.header(header.getKey(), header.getValue());
    }
    return call;
  }

  private static Compression either(Compression own, Compression general) {
    return own == null ? general : own;
  }

  private T result(Answer answer) throws InferenceException {
    int status = answer.status();
    boolean told = health && status != 401 && status != 403;
    if (!told && (status < 200 || status >= 300)) {
      throw refusal(answer);
    }
    try {
      return reader.read(answer);
    } catch (IOException | RuntimeException | OutOfMemoryError e) {
      throw new InferenceProtocolException(
          "the answer to " + method + " " + path + " can't be read: " + e.getMessage(),
          status,
          answer.endpoint(),
          model,
          requestId,
          e);
    }
  }

  private InferenceException refusal(Answer answer) {
    return new InferenceException(
        refusalText(answer), answer.status(), answer.endpoint(), model, requestId, null);
  }

  private static String refusalText(Answer answer) {
    int status = answer.status();
    if (status >= 300 && status < 400 && answer.location() != null) {
      return "redirected to " + answer.location() + ", which is not followed";
    }
    if (answer.body().length == 0) {
      return "Inference return status: " + status;
    }
    try {
      Object json = Json.parse(answer.body(), 0, answer.body().length);
      if (json instanceof Map) {
        // "error" is the protocol's; the others are what gateways send.
        for (String member : new String[] {"error", "detail", "message"}) {
          Object text = ((Map<?, ?>) json).get(member);
          if (text instanceof String) {
            return (String) text;
          }
        }
      }
    } catch (IOException | RuntimeException e) {
      // No JSON, which the text below shows.
    }
    return "Malformed error response: " + answer.excerpt();
  }
}
