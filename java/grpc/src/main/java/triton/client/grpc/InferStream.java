package triton.client.grpc;

import inference.GRPCInferenceServiceGrpc;
import inference.GrpcService.ModelInferRequest;
import inference.GrpcService.ModelStreamInferResponse;
import io.grpc.ClientCall;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.ClientResponseObserver;
import java.util.concurrent.CompletableFuture;
import triton.client.InferRequest;
import triton.client.InferResult;
import triton.client.InferenceException;

/**
 * A stream of requests and answers. Models that are decoupled answer a request as often as they
 * like. It may be used by several threads.
 */
public final class InferStream implements AutoCloseable {
  private final GrpcClient client;
  private final Receiver receiver;
  private final CompletableFuture<Void> ended = new CompletableFuture<>();
  private final Object lock = new Object();
  private boolean sending = true;

  /** Hears what comes, one thing after the other, on a thread of the client. */
  public interface Listener {
    /**
     * Takes an answer.
     *
     * @param result the answer, with its request's id
     */
    void onResult(InferResult result);

    /**
     * Hears that the server refused a request; the stream goes on.
     *
     * @param failure the server's text and the request's id
     */
    void onRefusal(InferenceException failure);
  }

  InferStream(GrpcClient client, Listener listener, java.time.Duration timeout) {
    this.client = client;
    ClientCall<ModelInferRequest, ModelStreamInferResponse> call =
        client
            .channel()
            .newCall(
                GRPCInferenceServiceGrpc.getModelStreamInferMethod(), GrpcClient.within(timeout));
    this.receiver = new Receiver(listener);
    ClientCalls.asyncBidiStreamingCall(call, receiver);
  }

  /**
   * Sends a request. Small numbers of requests do not wait; when the server takes none, the thread
   * waits until it does.
   *
   * @param request the request
   * @throws InferenceException the stream has ended, or the thread was interrupted
   * @throws IllegalArgumentException the request can't be sent
   */
  public void send(InferRequest request) throws InferenceException {
    ModelInferRequest message = InferMessages.encode(request);
    synchronized (lock) {
      while (sending && !ended.isDone() && !receiver.requests.isReady()) {
        try {
          lock.wait();
        } catch (InterruptedException e) {
          Thread.currentThread().interrupt();
          throw new triton.client.InferenceCancelledException(
              "the thread was interrupted", 0, client.url(), request.model(), request.id(), e);
        }
      }
      if (!sending || ended.isDone()) {
        throw new InferenceException(
            "the stream has ended", 0, client.url(), request.model(), request.id(), null);
      }
      receiver.requests.onNext(message);
    }
  }

  /**
   * Says that no more requests will come. Answers still do.
   *
   * @return what is completed when the last answer has come, and fails with an {@link
   *     InferenceException} when the stream breaks
   */
  public CompletableFuture<Void> finish() {
    synchronized (lock) {
      if (sending && !ended.isDone()) {
        sending = false;
        receiver.requests.onCompleted();
      }
    }
    return ended;
  }

  /** Ends the stream at once, with what is under way. */
  @Override
  public void close() {
    synchronized (lock) {
      sending = false;
      if (!ended.isDone()) {
        receiver.requests.cancel("the stream was closed", null);
      }
      lock.notifyAll();
    }
  }

  private final class Receiver
      implements ClientResponseObserver<ModelInferRequest, ModelStreamInferResponse> {
    private final Listener listener;
    private ClientCallStreamObserver<ModelInferRequest> requests;

    Receiver(Listener listener) {
      this.listener = listener;
    }

    @Override
    public void beforeStart(ClientCallStreamObserver<ModelInferRequest> given) {
      requests = given;
      given.setOnReadyHandler(
          () -> {
            synchronized (lock) {
              lock.notifyAll();
            }
          });
    }

    @Override
    public void onNext(ModelStreamInferResponse message) {
      String id = message.getInferResponse().getId();
      String model = message.getInferResponse().getModelName();
      if (!message.getErrorMessage().isEmpty()) {
        listener.onRefusal(
            new InferenceException(message.getErrorMessage(), 0, client.url(), model, id, null));
        return;
      }
      InferResult result;
      try {
        result = InferMessages.decode(message.getInferResponse());
      } catch (RuntimeException e) {
        listener.onRefusal(GrpcFailures.of(e, client.url(), model, id));
        return;
      }
      listener.onResult(result);
    }

    @Override
    public void onError(Throwable error) {
      end(GrpcFailures.of(error, client.url(), "", ""));
    }

    @Override
    public void onCompleted() {
      end(null);
    }

    private void end(InferenceException failure) {
      if (failure == null) {
        ended.complete(null);
      } else {
        ended.completeExceptionally(failure);
      }
      synchronized (lock) {
        lock.notifyAll();
      }
    }
  }
}
