package triton.client.internal;

import java.io.IOException;
import java.io.OutputStream;
import java.io.UncheckedIOException;
import java.net.http.HttpRequest;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.concurrent.Flow;
import java.util.zip.DeflaterOutputStream;
import java.util.zip.GZIPOutputStream;

/**
 * The body of a request, as pieces of the memory that its parts lie in. Small bodies are one piece;
 * large ones are cut, since the JDK copies the rest of a piece again whenever a socket took a part.
 */
public final class Body implements HttpRequest.BodyPublisher {
  private static final int PIECE = 64 * 1024;
  private static final int SMALL = 16 * 1024;

  private final List<ByteBuffer> parts;
  private final long length;
  private final int headLength;

  private Body(List<ByteBuffer> parts, int headLength) {
    this.parts = parts;
    this.headLength = headLength;
    long total = 0;
    for (ByteBuffer part : parts) {
      total += part.remaining();
    }
    this.length = total;
  }

  /** A body of JSON alone. */
  public static Body of(byte[] json) {
    return new Body(List.of(ByteBuffer.wrap(json)), -1);
  }

  /** A body of a JSON head with tensors behind it, which are not copied unless they are small. */
  public static Body of(Bytes head, List<ByteBuffer> tensors) {
    int headLength = tensors.isEmpty() ? -1 : head.size();
    long total = head.size();
    for (ByteBuffer tensor : tensors) {
      total += tensor.remaining();
    }
    if (total <= SMALL) {
      for (ByteBuffer tensor : tensors) {
        if (tensor.hasArray()) {
          int offset = tensor.arrayOffset() + tensor.position();
          head.write(tensor.array(), offset, tensor.remaining());
        } else {
          byte[] copy = new byte[tensor.remaining()];
          tensor.duplicate().get(copy);
          head.append(copy);
        }
      }
      return new Body(List.of(ByteBuffer.wrap(head.array(), 0, head.size())), headLength);
    }
    List<ByteBuffer> parts = new ArrayList<>(tensors.size() + 1);
    parts.add(ByteBuffer.wrap(head.array(), 0, head.size()));
    for (ByteBuffer tensor : tensors) {
      if (tensor.hasRemaining()) {
        parts.add(tensor);
      }
    }
    return new Body(parts, headLength);
  }

  /** The length of the JSON head, or -1 when all is JSON. */
  public int headLength() {
    return headLength;
  }

  /** Returns this body compressed by "gzip" or "deflate". */
  public Body compressed(String coding) {
    Bytes out = new Bytes(Math.max(512, (int) Math.min(length / 2, 1 << 20)));
    try (OutputStream compressing =
        coding.equals("gzip") ? new GZIPOutputStream(out) : new DeflaterOutputStream(out)) {
      byte[] copy = new byte[(int) Math.min(length, PIECE)];
      for (ByteBuffer part : parts) {
        ByteBuffer rest = part.duplicate();
        while (rest.hasRemaining()) {
          int size = Math.min(copy.length, rest.remaining());
          rest.get(copy, 0, size);
          compressing.write(copy, 0, size);
        }
      }
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory does not fail
    }
    return new Body(List.of(ByteBuffer.wrap(out.array(), 0, out.size())), headLength);
  }

  /** Returns all bytes, for tests and messages. */
  public byte[] toByteArray() {
    Bytes all = new Bytes((int) length);
    for (ByteBuffer part : parts) {
      byte[] copy = new byte[part.remaining()];
      part.duplicate().get(copy);
      all.append(copy);
    }
    return all.toByteArray();
  }

  @Override
  public long contentLength() {
    return length;
  }

  @Override
  public void subscribe(Flow.Subscriber<? super ByteBuffer> subscriber) {
    subscriber.onSubscribe(new Pieces(subscriber));
  }

  /** The parts of the body in the order in which they are sent. */
  public List<ByteBuffer> parts() {
    return Collections.unmodifiableList(parts);
  }

  /** Hands out the pieces as they are asked for. */
  private final class Pieces implements Flow.Subscription {
    private final Flow.Subscriber<? super ByteBuffer> subscriber;
    private long demand;
    private boolean busy;
    private boolean ended;
    private int part;
    private int position;

    Pieces(Flow.Subscriber<? super ByteBuffer> subscriber) {
      this.subscriber = subscriber;
    }

    @Override
    public void request(long count) {
      synchronized (this) {
        if (count <= 0) {
          ended = true;
        } else {
          demand = Math.max(demand, demand + count); // an overflow means no limit
        }
        if (busy) {
          return; // whoever is handing out goes on
        }
        busy = true;
      }
      if (count <= 0) {
        subscriber.onError(new IllegalArgumentException("request of " + count));
        return;
      }
      handOut();
    }

    private void handOut() {
      while (true) {
        ByteBuffer piece;
        synchronized (this) {
          boolean done = part == parts.size();
          if (ended || (!done && demand == 0)) {
            busy = false;
            return;
          }
          if (done) {
            ended = true;
            piece = null;
          } else {
            demand--;
            piece = next();
          }
        }
        if (piece == null) {
          subscriber.onComplete();
        } else {
          subscriber.onNext(piece);
        }
      }
    }

    private ByteBuffer next() {
      ByteBuffer from = parts.get(part).duplicate();
      from.position(from.position() + position);
      if (from.remaining() > PIECE) {
        from.limit(from.position() + PIECE);
        position += PIECE;
      } else {
        part++;
        position = 0;
      }
      return from;
    }

    @Override
    public synchronized void cancel() {
      ended = true;
    }
  }
}
