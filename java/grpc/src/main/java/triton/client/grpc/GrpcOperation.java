package triton.client.grpc;

import io.grpc.CallOptions;
import io.grpc.ClientCall;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;
import triton.client.Compression;
import triton.client.InferenceCancelledException;
import triton.client.InferenceConnectionException;
import triton.client.InferenceException;
import triton.client.Operation;

/** An operation over gRPC with one message each way. */
final class GrpcOperation<Q, A, T> extends Operation<T> {
  /** Makes the result of a message. */
  interface Reader<A, T> {
    T read(A message);
  }

  private final GrpcClient client;
  private final MethodDescriptor<Q, A> method;
  private final Supplier<Q> request;
  private final Reader<A, T> reader;
  private String model = "";
  private String requestId = "";
  private T unreachable;

  GrpcOperation(
      GrpcClient client, MethodDescriptor<Q, A> method, Supplier<Q> request, Reader<A, T> reader) {
    this.client = client;
    this.method = method;
    this.request = request;
    this.reader = reader;
  }

  GrpcOperation<Q, A, T> about(String model, String requestId) {
    this.model = model;
    this.requestId = requestId;
    return this;
  }

  /** Makes this the answer where the server can't be reached. */
  GrpcOperation<Q, A, T> orUnreachable(T answer) {
    this.unreachable = answer;
    return this;
  }

  private CallOptions options() {
    CallOptions options = GrpcClient.within(timeout() == null ? client.timeout() : timeout());
    Compression packed =
        requestCompression() == null ? client.requestCompression() : requestCompression();
    if (packed == Compression.DEFLATE) {
      throw new IllegalArgumentException("requestCompression is DEFLATE, expected GZIP or NONE");
    }
    return packed == Compression.GZIP ? options.withCompression("gzip") : options;
  }

  private ClientCall<Q, A> call() {
    Metadata metadata = new Metadata();
    headers()
        .forEach(
            (name, value) ->
                metadata.put(Metadata.Key.of(name, Metadata.ASCII_STRING_MARSHALLER), value));
    return io.grpc.ClientInterceptors.intercept(
            client.channel(), MetadataUtils.newAttachHeadersInterceptor(metadata))
        .newCall(method, options());
  }

  @Override
  public T execute() throws InferenceException {
    CompletableFuture<T> future = executeAsync();
    try {
      return future.get();
    } catch (InterruptedException e) {
      future.cancel(true);
      Thread.currentThread().interrupt();
      throw new InferenceCancelledException(
          "the thread was interrupted", 0, client.url(), model, requestId, e);
    } catch (ExecutionException e) {
      InferenceException failure = GrpcFailures.of(e.getCause(), client.url(), model, requestId);
      failure.setStackTrace(new Throwable().getStackTrace());
      throw failure;
    }
  }

  @Override
  public CompletableFuture<T> executeAsync() {
    Q message = request.get();
    CompletableFuture<T> result = new CompletableFuture<>();
    ClientCall<Q, A> call = call();
    result.whenComplete(
        (value, failure) -> {
          if (result.isCancelled()) {
            call.cancel("the call was cancelled", null);
          }
        });
    ClientCalls.asyncUnaryCall(call, message, new Receiver(result));
    return result;
  }

  /** Takes the one message of the answer. */
  private final class Receiver implements StreamObserver<A> {
    private final CompletableFuture<T> result;
    private A message;

    Receiver(CompletableFuture<T> result) {
      this.result = result;
    }

    @Override
    public void onNext(A value) {
      message = value;
    }

    @Override
    public void onError(Throwable error) {
      InferenceException failure = GrpcFailures.of(error, client.url(), model, requestId);
      if (unreachable != null && failure instanceof InferenceConnectionException) {
        result.complete(unreachable);
      } else {
        result.completeExceptionally(failure);
      }
    }

    @Override
    public void onCompleted() {
      try {
        result.complete(reader.read(message));
      } catch (RuntimeException e) {
        result.completeExceptionally(GrpcFailures.of(e, client.url(), model, requestId));
      }
    }
  }
}
