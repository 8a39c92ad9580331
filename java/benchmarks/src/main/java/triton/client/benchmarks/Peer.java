package triton.client.benchmarks;

import java.io.IOException;
import java.io.InputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;

/**
 * A server that answers every request with the tensor data of that request, in one output OUT. It
 * makes no garbage, so that what is measured is the client's.
 */
final class Peer implements AutoCloseable {
  private final ServerSocket listener = new ServerSocket(0, 50, InetAddress.getLoopbackAddress());
  private final byte[] head;
  private final int size;

  /** Answers an INT32 tensor of that many elements. */
  Peer(int elements) throws IOException {
    size = 4 * elements;
    String json =
        String.format(
            "{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":[{\"name\":\"OUT\","
                + "\"datatype\":\"INT32\",\"shape\":[1,%d],"
                + "\"parameters\":{\"binary_data_size\":%d}}]}",
            elements, size);
    String headers =
        String.format(
            "HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\n"
                + "Inference-Header-Content-Length: %d\r\nContent-Length: %d\r\n\r\n",
            json.length(), json.length() + size);
    head = (headers + json).getBytes(StandardCharsets.US_ASCII);
    daemon(this::accept);
  }

  private static void daemon(Runnable work) {
    Thread thread = new Thread(work);
    thread.setDaemon(true);
    thread.start();
  }

  String address() {
    return "127.0.0.1:" + listener.getLocalPort();
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket socket = listener.accept();
        socket.setTcpNoDelay(true);
        daemon(() -> serve(socket));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void serve(Socket socket) {
    byte[] answer = new byte[head.length + size];
    System.arraycopy(head, 0, answer, 0, head.length);
    byte[] buffer = new byte[1 << 16];
    try (socket) {
      InputStream in = socket.getInputStream();
      int filled = 0;
      while (true) {
        int end = headEnd(buffer, filled);
        if (end < 0) {
          int count = in.read(buffer, filled, buffer.length - filled);
          if (count < 0) {
            return;
          }
          filled += count;
          continue;
        }
        int length = contentLength(buffer, end);
        int rest = length - (filled - end);
        while (rest > 0) { // the tensor is always the same; its bytes need not be kept
          int count = in.read(buffer, 0, Math.min(buffer.length, rest));
          if (count < 0) {
            return;
          }
          rest -= count;
        }
        filled = 0;
        socket.getOutputStream().write(answer);
      }
    } catch (IOException e) {
      // The client hung up.
    }
  }

  private static int headEnd(byte[] buffer, int filled) {
    for (int i = 3; i < filled; i++) {
      if (buffer[i] == '\n' && buffer[i - 2] == '\n') {
        return i + 1;
      }
    }
    return -1;
  }

  private static int contentLength(byte[] buffer, int end) {
    for (int i = 0; i < end - 16; i++) {
      // The J of "Inference-Header-Content-Length" has a hyphen in front, this has a line feed.
      if (buffer[i] == '\n'
          && (buffer[i + 1] | 0x20) == 'c'
          && (buffer[i + 9] | 0x20) == 'l'
          && buffer[i + 15] == ':') {
        int length = 0;
        for (int at = i + 17; buffer[at] >= '0' && buffer[at] <= '9'; at++) {
          length = 10 * length + buffer[at] - '0';
        }
        return length;
      }
    }
    return 0;
  }

  @Override
  public void close() throws IOException {
    listener.close();
  }
}
