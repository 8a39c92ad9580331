package triton.client.internal;

import java.net.http.HttpResponse;
import java.nio.ByteBuffer;
import java.util.Arrays;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.Flow;

/**
 * Receives the body of an answer into one array, which is as long as the answer says. A length that
 * is told and not sent costs no more than a fixed part of it.
 */
final class Collector implements HttpResponse.BodySubscriber<byte[]> {
  private static final int TRUSTED = 64 * 1024 * 1024;
  private static final int FIRST = 4096;
  private static final int LARGEST = Integer.MAX_VALUE - 8;

  private final CompletableFuture<byte[]> body = new CompletableFuture<>();
  private final long limit;
  private final int told;
  private byte[] array;
  private int size;
  private volatile Flow.Subscription subscription;
  private boolean ended;

  Collector(long told, long limit) {
    this.limit = Math.min(limit, LARGEST);
    this.told = (int) Math.min(told, this.limit);
    this.array = new byte[told < 0 ? FIRST : Math.min(this.told, TRUSTED)];
    if (told > this.limit) {
      finish(null, tooLarge());
    }
  }

  @Override
  public CompletionStage<byte[]> getBody() {
    return body;
  }

  @Override
  public void onSubscribe(Flow.Subscription given) {
    subscription = given;
    if (body.isDone()) {
      given.cancel();
    } else {
      given.request(Long.MAX_VALUE);
    }
  }

  @Override
  public void onNext(List<ByteBuffer> pieces) {
    for (ByteBuffer piece : pieces) {
      if (ended) {
        return;
      }
      int count = piece.remaining();
      if (count > limit - size) {
        abort(tooLarge());
        return;
      }
      if (count > array.length - size && !grow(size + count)) {
        return;
      }
      piece.get(array, size, count);
      size += count;
    }
  }

  private boolean grow(int needed) {
    long wanted = Math.min(Math.max(needed, 2L * array.length), limit);
    if (told >= needed) {
      wanted = Math.min(wanted, told);
    }
    try {
      array = Arrays.copyOf(array, (int) wanted);
      return true;
    } catch (OutOfMemoryError e) {
      abort(new TooLargeException("the answer does not fit into the memory of the JVM"));
      return false;
    }
  }

  private TooLargeException tooLarge() {
    return new TooLargeException(
        "the answer has more than " + limit + " bytes, which is the client's limit");
  }

  @Override
  public void onError(Throwable error) {
    finish(null, error);
  }

  @Override
  public void onComplete() {
    finish(size == array.length ? array : Arrays.copyOf(array, size), null);
  }

  /** Ends the transfer, and with it the connection. */
  void abort(Throwable error) {
    finish(null, error);
    Flow.Subscription known = subscription;
    if (known != null) {
      known.cancel();
    }
  }

  private void finish(byte[] whole, Throwable error) {
    ended = true;
    if (error == null) {
      body.complete(whole);
    } else {
      body.completeExceptionally(error);
    }
  }
}
