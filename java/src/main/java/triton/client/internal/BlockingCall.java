package triton.client.internal;

import java.io.IOException;
import java.net.ConnectException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.net.UnknownHostException;
import java.net.http.HttpConnectTimeoutException;
import java.util.List;
import triton.client.InferenceCancelledException;
import triton.client.InferenceException;

/** One call that its thread waits for, with its attempts and its deadline. */
final class BlockingCall implements Abortable, Connection.Limit {
  private static final long NEVER = Long.MAX_VALUE;

  private final Transport transport;
  private final Pool pool;
  private final Call call;
  private final long start = System.nanoTime();
  private final long timeout;
  private long connectBy = NEVER;
  private Target target;
  private volatile InferenceException aborted;
  private volatile Connection connection;

  /** Creates a call whose first attempt goes to this server. */
  BlockingCall(Transport transport, Pool pool, Call call, Target first) {
    this.transport = transport;
    this.pool = pool;
    this.call = call;
    this.target = first;
    this.timeout = call.timeoutNanos();
  }

  /** The deadline has passed. */
  private static final class Late extends IOException {
    private static final long serialVersionUID = 1L;
  }

  @Override
  public Call call() {
    return call;
  }

  @Override
  public void abort(InferenceException reason) {
    aborted = reason;
    Connection open = connection;
    if (open != null) {
      open.close();
    }
  }

  @Override
  public long millis() throws IOException {
    if (aborted != null || Thread.currentThread().isInterrupted()) {
      throw new IOException("the call has ended");
    }
    long gone = System.nanoTime() - start;
    if (gone >= timeout) {
      throw new Late();
    }
    if (gone >= connectBy) {
      throw new HttpConnectTimeoutException("no connection in time");
    }
    long left = Math.min(timeout, connectBy);
    return left == NEVER ? 0 : (left - gone) / 1_000_000 + 1; // for a selector, 0 is no limit
  }

  Answer execute() throws InferenceException {
    for (int attempt = 1; ; attempt++) {
      try {
        return attempt();
      } catch (IOException | RuntimeException | OutOfMemoryError e) {
        boolean answering = connection != null && connection.isAnswering();
        drop();
        InferenceException failure = failure(e);
        boolean unreached =
            e instanceof ConnectException || e instanceof HttpConnectTimeoutException;
        if (unreached) {
          transport.targets().unreachable(target);
        }
        boolean repeatable =
            unreached || (call.idempotent && !answering && Failures.lostConnection(e));
        if (!repeatable || attempt > transport.retries() || isOver()) {
          throw failure;
        }
        next();
      }
    }
  }

  private boolean isOver() {
    return aborted != null
        || Thread.currentThread().isInterrupted()
        || System.nanoTime() - start >= timeout;
  }

  private void next() throws InferenceException {
    try {
      target = transport.targets().next();
    } catch (Exception e) {
      throw Failures.noEndpoint(e, call);
    }
  }

  private InferenceException failure(Throwable error) {
    InferenceException reason = aborted;
    if (reason != null) {
      return reason;
    }
    String where = Failures.where(call, target.url());
    if (Thread.currentThread().isInterrupted()) {
      return new InferenceCancelledException(
          "the thread was interrupted" + where, 0, target.url(), call.model, call.requestId, null);
    }
    if (error instanceof Late) {
      return Failures.timeout(call, target.url());
    }
    return Failures.of(error, call, target.url(), where);
  }

  private void drop() {
    Connection open = connection;
    connection = null;
    if (open != null) {
      open.close();
    }
  }

  private Answer attempt() throws IOException {
    millis();
    Connection open = pool.take(target);
    if (open == null) {
      open = connect();
    }
    connection = open;
    Connection.Received received =
        open.exchange(
            head(), call.body, Math.min(transport.maxResponseSize(), Integer.MAX_VALUE - 8), this);
    connection = null;
    if (received.reusable) {
      pool.give(target, open);
    } else {
      open.close();
    }
    ResponseHead head = received.head;
    return new Answer(
        target.url(),
        head.status,
        head.inferenceHeadLength,
        head.contentEncoding,
        head.location,
        received.body);
  }

  private Connection connect() throws IOException {
    if (transport.connectTimeout() != null) {
      connectBy = System.nanoTime() - start + Call.nanos(transport.connectTimeout());
    }
    InetAddress[] addresses;
    try {
      addresses = InetAddress.getAllByName(target.host());
    } catch (UnknownHostException e) {
      throw refused("the host's name is unknown", e);
    }
    try {
      for (InetAddress address : List.of(addresses)) {
        try {
          return Connection.open(new InetSocketAddress(address, target.port()), this);
        } catch (Late | HttpConnectTimeoutException e) {
          throw e;
        } catch (IOException e) {
          millis();
          if (address == addresses[addresses.length - 1]) {
            throw refused(Failures.text(e), e);
          }
        }
      }
      throw refused("the host has no address", null);
    } finally {
      connectBy = NEVER;
    }
  }

  private static ConnectException refused(String text, Throwable cause) {
    ConnectException refused = new ConnectException(text);
    refused.initCause(cause);
    return refused;
  }

  private Bytes head() {
    Bytes head = new Bytes(384);
    head.append(call.method).append(" ").append(target.path()).append(call.path);
    head.append(" HTTP/1.1\r\nHost: ").append(target.host()).append(":");
    head.append(Integer.toString(target.port())).append("\r\n");
    if (call.body != null || !call.method.equals("GET")) {
      long length = call.body == null ? 0 : call.body.contentLength();
      head.append("Content-Length: ").append(Long.toString(length)).append("\r\n");
    }
    List<String> headers = call.headers;
    for (int i = 0; i < headers.size(); i += 2) {
      head.append(headers.get(i)).append(": ").append(headers.get(i + 1)).append("\r\n");
    }
    return head.append("\r\n");
  }
}
