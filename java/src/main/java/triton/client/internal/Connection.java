package triton.client.internal;

import java.io.EOFException;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.net.ProtocolException;
import java.net.StandardSocketOptions;
import java.nio.ByteBuffer;
import java.nio.channels.SelectionKey;
import java.nio.channels.Selector;
import java.nio.channels.SocketChannel;
import java.util.Arrays;
import java.util.List;

/**
 * A connection that one thread at a time sends a request on and waits for its answer. The thread
 * waits in a selector of the connection's own, so that a deadline, an interruption and another
 * thread that closes the connection end every wait.
 */
final class Connection {
  private static final int BUFFER = 16 * 1024;
  private static final int INTERNAL_SERVER_ERROR = 500;
  private static final int LARGEST_HEAD = 256 * 1024;
  private static final int LARGEST_PIECE = 128 * 1024;
  private static final int TRUSTED = 64 * 1024 * 1024;
  private static final int MOST_INTERIM = 16;
  private static final int LARGEST = Integer.MAX_VALUE - 8;

  private final SocketChannel channel;
  private final Selector selector;
  private final SelectionKey key;
  private byte[] buffer = new byte[BUFFER];
  private int position;
  private int filled;
  private boolean answering;
  long idleSince;

  private Connection(SocketChannel channel, Selector selector) throws IOException {
    this.channel = channel;
    this.selector = selector;
    this.key = channel.register(selector, SelectionKey.OP_CONNECT);
  }

  /** When a wait must end, and what then happens. */
  interface Limit {
    /**
     * Returns the milliseconds that are left.
     *
     * @throws IOException there are none, or the thread was interrupted
     */
    long millis() throws IOException;
  }

  /**
   * Opens a connection.
   *
   * @throws IOException it can't be had
   */
  static Connection open(InetSocketAddress address, Limit limit) throws IOException {
    SocketChannel channel = SocketChannel.open();
    Connection connection = null;
    try {
      channel.configureBlocking(false);
      channel.setOption(StandardSocketOptions.TCP_NODELAY, true);
      connection = new Connection(channel, Selector.open());
      boolean connected = channel.connect(address);
      while (!connected) {
        connection.await(limit);
        connected = channel.finishConnect();
      }
      connection.key.interestOps(SelectionKey.OP_READ);
      return connection;
    } catch (IOException | RuntimeException e) {
      if (connection == null) {
        channel.close();
      } else {
        connection.close();
      }
      throw e;
    }
  }

  /** Whether an idle connection is still good: not closed, and nothing came on it unasked. */
  boolean isAlive() {
    try {
      return channel.read(ByteBuffer.wrap(buffer, 0, 1)) == 0;
    } catch (IOException e) {
      return false;
    }
  }

  /** Whether a byte of the answer has come. */
  boolean isAnswering() {
    return answering;
  }

  /** Ends the connection; a thread that waits on it gets an error. */
  void close() {
    try {
      channel.close();
      selector.close();
    } catch (IOException e) {
      // It is gone all the same.
    }
  }

  private void await(Limit limit) throws IOException {
    selector.select(limit.millis());
    selector.selectedKeys().clear();
    limit.millis();
  }

  // Sending

  /**
   * Sends a request and takes its answer.
   *
   * @param head the request's line and headers
   * @param body its body, or null
   * @throws IOException the connection is lost, the limit reached, or the answer not one of HTTP
   */
  Received exchange(Bytes head, Body body, long largest, Limit limit) throws IOException {
    answering = false;
    position = 0;
    filled = 0;
    boolean whole;
    try {
      whole = send(head, body == null ? List.of() : body.parts(), limit);
    } catch (IOException e) {
      limit.millis();
      if (!hasArrived()) {
        throw e;
      }
      whole = false; // the server refused the body, and may have said why
    }
    ResponseHead answer = readHead(limit);
    byte[] content = answer.hasBody() ? readBody(answer, largest, limit) : new byte[0];
    // uvicorn, on which many servers are built, answers 500 and closes without saying so.
    boolean keptOpen = answer.keepAlive && answer.status != INTERNAL_SERVER_ERROR;
    boolean reusable = whole && keptOpen && position == filled && key.isValid();
    return new Received(answer, content, reusable);
  }

  /** An answer, and whether the connection may carry another call. */
  static final class Received {
    final ResponseHead head;
    final byte[] body;
    final boolean reusable;

    Received(ResponseHead head, byte[] body, boolean reusable) {
      this.head = head;
      this.body = body;
      this.reusable = reusable;
    }
  }

  /** Whether something has come, although sending has failed. */
  private boolean hasArrived() {
    try {
      int count = fill(buffer, 0, buffer.length);
      filled = Math.max(0, count);
      return count > 0;
    } catch (IOException e) {
      return false;
    }
  }

  /** Sends all, and returns false when the answer came before that. */
  private boolean send(Bytes head, List<ByteBuffer> parts, Limit limit) throws IOException {
    ByteBuffer first = ByteBuffer.wrap(head.array(), 0, head.size());
    if (parts.size() == 1 && parts.get(0).remaining() <= LARGEST_PIECE) {
      return write(new ByteBuffer[] {first, parts.get(0).duplicate()}, limit);
    }
    if (!write(new ByteBuffer[] {first}, limit)) {
      return false;
    }
    for (ByteBuffer part : parts) {
      ByteBuffer rest = part.duplicate();
      int end = rest.limit();
      while (rest.position() < end) {
        // The JDK copies all that it is given to send some of it, so that it must not get much.
        rest.limit(Math.min(end, rest.position() + LARGEST_PIECE));
        if (!write(new ByteBuffer[] {rest}, limit)) {
          return false;
        }
      }
    }
    return true;
  }

  private boolean write(ByteBuffer[] pieces, Limit limit) throws IOException {
    ByteBuffer last = pieces[pieces.length - 1];
    channel.write(pieces);
    if (!pieces[0].hasRemaining() && !last.hasRemaining()) {
      return true;
    }
    key.interestOps(SelectionKey.OP_READ | SelectionKey.OP_WRITE);
    try {
      while (pieces[0].hasRemaining() || last.hasRemaining()) {
        selector.select(limit.millis());
        boolean readable = key.isReadable();
        selector.selectedKeys().clear();
        limit.millis();
        if (readable) {
          return false;
        }
        channel.write(pieces);
      }
    } finally {
      if (key.isValid()) {
        key.interestOps(SelectionKey.OP_READ);
      }
    }
    return true;
  }

  // Receiving

  private int fill(byte[] into, int offset, int length) throws IOException {
    return channel.read(ByteBuffer.wrap(into, offset, Math.min(length, LARGEST_PIECE)));
  }

  /** Reads at least a byte, or returns -1 at the end. */
  private int read(byte[] into, int offset, int length, Limit limit) throws IOException {
    int count = 0;
    if (filled > position) {
      count = Math.min(length, filled - position);
      System.arraycopy(buffer, position, into, offset, count);
      position += count;
      return count;
    }
    while (true) {
      count = fill(into, offset, length);
      if (count != 0) {
        return count;
      }
      await(limit);
    }
  }

  /** Reads more into the buffer, behind what is there. */
  private void more(Limit limit) throws IOException {
    if (filled == buffer.length) {
      if (position > 0) {
        System.arraycopy(buffer, position, buffer, 0, filled - position);
        filled -= position;
        position = 0;
      } else if (buffer.length >= LARGEST_HEAD) {
        throw new ProtocolException("its head has more than " + LARGEST_HEAD + " bytes");
      } else {
        buffer = Arrays.copyOf(buffer, 2 * buffer.length);
      }
    }
    while (true) {
      int count = fill(buffer, filled, buffer.length - filled);
      if (count > 0) {
        filled += count;
        answering = true;
        return;
      }
      if (count < 0) {
        throw new EOFException(
            answering
                ? "the server closed it within the answer"
                : "the server closed it before it answered");
      }
      await(limit);
    }
  }

  private ResponseHead readHead(Limit limit) throws IOException {
    for (int interim = 0; interim < MOST_INTERIM; interim++) {
      if (position > 0) {
        System.arraycopy(buffer, position, buffer, 0, filled - position);
        filled -= position;
        position = 0;
      }
      answering |= filled > 0;
      int end = ResponseHead.end(buffer, 0, filled);
      while (end < 0) {
        int before = filled;
        more(limit);
        end = ResponseHead.end(buffer, before, filled);
      }
      ResponseHead head = new ResponseHead(buffer, end);
      position = end;
      if (head.status >= 200) {
        return head;
      }
      if (head.status == 101) {
        throw new ProtocolException("it switches to another protocol");
      }
    }
    throw new ProtocolException("more than " + MOST_INTERIM + " interim answers came");
  }

  private byte[] readBody(ResponseHead head, long largest, Limit limit) throws IOException {
    if (head.contentLength > largest) {
      throw tooLarge(largest);
    }
    if (head.chunked) {
      return readChunks(largest, limit);
    }
    if (head.contentLength == ResponseHead.UNKNOWN) {
      head.keepAlive = false;
      return readToEnd(largest, limit);
    }
    int length = (int) head.contentLength;
    // A length that is told and not sent costs no more than a fixed part of it.
    byte[] body = allocate(Math.min(length, TRUSTED));
    for (int size = 0; size < length; ) {
      if (size == body.length) {
        body = grown(body, length);
      }
      int count = read(body, size, body.length - size, limit);
      if (count < 0) {
        throw new EOFException("the server closed it after " + size + " of " + length + " bytes");
      }
      size += count;
    }
    return body;
  }

  private byte[] readToEnd(long largest, Limit limit) throws IOException {
    byte[] body = new byte[BUFFER];
    int size = 0;
    while (true) {
      if (size == body.length) {
        if (size >= largest) {
          throw tooLarge(largest);
        }
        body = grown(body, largest);
      }
      int count = read(body, size, body.length - size, limit);
      if (count < 0) {
        return Arrays.copyOf(body, size);
      }
      size += count;
    }
  }

  private byte[] readChunks(long largest, Limit limit) throws IOException {
    byte[] body = new byte[BUFFER];
    int size = 0;
    while (true) {
      long chunk = chunkSize(line(limit));
      if (chunk == 0) {
        skipTrailers(limit);
        return Arrays.copyOf(body, size);
      }
      if (chunk > largest - size) {
        throw tooLarge(largest);
      }
      for (long rest = chunk; rest > 0; ) {
        if (size == body.length) {
          body = grown(body, largest);
        }
        int count = read(body, size, (int) Math.min(rest, body.length - size), limit);
        if (count < 0) {
          throw new EOFException("the server closed it within a chunk");
        }
        size += count;
        rest -= count;
      }
      if (!line(limit).isEmpty()) {
        throw new ProtocolException("a chunk is longer than it says");
      }
    }
  }

  private void skipTrailers(Limit limit) throws IOException {
    int total = 0;
    for (String line = line(limit); !line.isEmpty(); line = line(limit)) {
      total += line.length();
      if (total > LARGEST_HEAD) {
        throw new ProtocolException("its trailers have more than " + LARGEST_HEAD + " bytes");
      }
    }
  }

  private static long chunkSize(String line) throws ProtocolException {
    int end = line.indexOf(';');
    String digits = (end < 0 ? line : line.substring(0, end)).strip();
    if (digits.isEmpty() || digits.length() > 15) {
      throw new ProtocolException("a chunk has no size");
    }
    long size = 0;
    for (int i = 0; i < digits.length(); i++) {
      int digit = Character.digit(digits.charAt(i), 16);
      if (digit < 0 || digits.charAt(i) > 'f') {
        throw new ProtocolException("a chunk has no size");
      }
      size = 16 * size + digit;
    }
    return size;
  }

  private String line(Limit limit) throws IOException {
    int from = position;
    while (true) {
      for (int i = from; i < filled; i++) {
        if (buffer[i] == '\n') {
          if (i == position || buffer[i - 1] != '\r') {
            throw new ProtocolException("a line of a chunk ends without a carriage return");
          }
          String line =
              new String(
                  buffer, position, i - 1 - position, java.nio.charset.StandardCharsets.ISO_8859_1);
          position = i + 1;
          return line;
        }
      }
      int length = filled - position;
      more(limit);
      from = position + length;
    }
  }

  private static byte[] allocate(int size) throws IOException {
    try {
      return new byte[size];
    } catch (OutOfMemoryError e) {
      throw new TooLargeException("the answer does not fit into the memory of the JVM");
    }
  }

  private static byte[] grown(byte[] body, long largest) throws IOException {
    long size = Math.min(Math.min(2L * body.length, largest), LARGEST);
    byte[] larger = allocate((int) Math.max(size, body.length));
    System.arraycopy(body, 0, larger, 0, body.length);
    return larger;
  }

  private static TooLargeException tooLarge(long largest) {
    return new TooLargeException(
        "the answer has more than " + largest + " bytes, which is the client's limit");
  }
}
