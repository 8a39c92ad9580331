package triton.client;

import java.io.BufferedInputStream;
import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.OutputStream;
import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.Map;
import java.util.Queue;
import java.util.TreeMap;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.atomic.AtomicInteger;

/** A server that does to each request whatever a test wants. */
final class Stub implements AutoCloseable {
  /** What it does to a request; closing the socket ends the connection. */
  interface Handler {
    void handle(Request request, Socket socket) throws Exception;
  }

  /** A request as it came. */
  static final class Request {
    final String method;
    final String path;
    final Map<String, String> headers = new TreeMap<>();
    final byte[] body;

    private Request(InputStream in, String first) throws IOException {
      String[] parts = first.split(" ");
      method = parts[0];
      path = parts[1];
      for (String line = line(in); line != null && !line.isEmpty(); line = line(in)) {
        int colon = line.indexOf(':');
        headers.put(
            line.substring(0, colon).toLowerCase(Locale.ROOT), line.substring(colon + 1).strip());
      }
      body = in.readNBytes(Integer.parseInt(headers.getOrDefault("content-length", "0")));
    }
  }

  final AtomicInteger connections = new AtomicInteger();
  final AtomicInteger requests = new AtomicInteger();
  final CountDownLatch stop = new CountDownLatch(1);
  private final Queue<Socket> sockets = new ConcurrentLinkedQueue<>();
  private final ServerSocket listener;
  private final Handler handler;
  private final boolean raw;

  Stub(Handler handler) throws IOException {
    this(handler, false);
  }

  /** With `raw` the handler gets each connection as soon as it is there, and null for a request. */
  Stub(Handler handler, boolean raw) throws IOException {
    this(handler, raw, new ServerSocket(0, 50, InetAddress.getByName("127.0.0.1")));
  }

  Stub(Handler handler, boolean raw, ServerSocket listener) {
    this.handler = handler;
    this.raw = raw;
    this.listener = listener;
    start(this::accept);
  }

  private static void start(Runnable work) {
    Thread thread = new Thread(work, "stub");
    thread.setDaemon(true);
    thread.start();
  }

  String address() {
    return "127.0.0.1:" + listener.getLocalPort();
  }

  String url() {
    return "http://" + address();
  }

  private void accept() {
    while (!listener.isClosed()) {
      try {
        Socket socket = listener.accept();
        socket.setTcpNoDelay(true);
        connections.incrementAndGet();
        sockets.add(socket);
        start(() -> serve(socket));
      } catch (IOException e) {
        return;
      }
    }
  }

  private void serve(Socket socket) {
    try (socket) {
      if (raw) {
        handler.handle(null, socket);
        return;
      }
      InputStream in = new BufferedInputStream(socket.getInputStream());
      while (!socket.isClosed()) {
        String first = line(in);
        if (first == null || first.isEmpty()) {
          return;
        }
        Request request = new Request(in, first);
        requests.incrementAndGet();
        handler.handle(request, socket);
      }
    } catch (Exception e) {
      // The client hung up, or the test has ended.
    }
  }

  private static String line(InputStream in) throws IOException {
    ByteArrayOutputStream line = new ByteArrayOutputStream();
    for (int c = in.read(); c != '\n'; c = in.read()) {
      if (c < 0) {
        return null;
      }
      if (c != '\r') {
        line.write(c);
      }
    }
    return line.toString(StandardCharsets.ISO_8859_1);
  }

  /** Sends bytes as they are. */
  static void send(Socket socket, byte[] bytes) throws IOException {
    OutputStream out = socket.getOutputStream();
    out.write(bytes);
    out.flush();
  }

  static void send(Socket socket, String text) throws IOException {
    send(socket, text.getBytes(StandardCharsets.ISO_8859_1));
  }

  /** An answer with a body. */
  static byte[] answer(String status, String headers, byte[] body) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    String head =
        "HTTP/1.1 " + status + "\r\n" + headers + "Content-Length: " + body.length + "\r\n\r\n";
    all.write(head.getBytes(StandardCharsets.ISO_8859_1));
    all.write(body);
    return all.toByteArray();
  }

  static byte[] answer(String status, String body) throws IOException {
    return answer(status, "", body.getBytes(StandardCharsets.UTF_8));
  }

  @Override
  public void close() throws IOException {
    stop.countDown();
    listener.close();
    for (Socket socket : sockets) {
      socket.close();
    }
  }
}
