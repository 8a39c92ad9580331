package triton.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.EnumSource;
import triton.client.pojo.DataType;

/** Servers that fall silent, threads that are interrupted, futures that are cancelled. */
class DeadlineTest {
  private static final Duration SHORT = Duration.ofMillis(300);
  private static final Duration PATIENCE = Duration.ofSeconds(60);

  /** Where a server falls silent. */
  enum Silence {
    BEFORE_THE_ANSWER(""),
    IN_THE_HEAD("HTTP/1.1 200 OK\r\nContent-Le"),
    IN_THE_BODY("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"),
    IN_A_CHUNK("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"),
    AFTER_CONTINUE("HTTP/1.1 100 Continue\r\n\r\n");

    final String sent;

    Silence(String sent) {
      this.sent = sent;
    }
  }

  private static InferRequest request() {
    return InferRequest.of("m").id("r1").input("INPUT0", new int[] {1}, 1);
  }

  /** A server that says something and then nothing; `gone` opens when the client hangs up. */
  private static Stub silent(String sent, CountDownLatch gone) throws Exception {
    return new Stub(
        (request, socket) -> {
          Stub.send(socket, sent);
          try {
            if (socket.getInputStream().read() < 0) {
              gone.countDown();
            }
          } catch (java.io.IOException e) {
            gone.countDown();
          }
        });
  }

  @ParameterizedTest
  @EnumSource(Silence.class)
  void aSilentServerEndsAtTheDeadline(Silence silence) throws Exception {
    CountDownLatch gone = new CountDownLatch(2);
    try (Stub stub = silent(silence.sent, gone);
        Client client = Client.of(stub.url())) {
      Operation<InferResult> call = client.infer(request()).timeout(SHORT);
      InferenceTimeoutException late =
          assertTimeoutPreemptively(
              PATIENCE, () -> assertThrows(InferenceTimeoutException.class, call::execute));
      assertEquals("r1", late.requestId());
      assertEquals(stub.url(), late.endpoint());
      assertTrue(late.getMessage().contains("300 ms"), late.getMessage());
      ExecutionException async =
          assertThrows(
              ExecutionException.class,
              () -> call.executeAsync().get(PATIENCE.toSeconds(), TimeUnit.SECONDS));
      assertInstanceOf(InferenceTimeoutException.class, async.getCause());
      // The calls do not go on in the background.
      assertTrue(gone.await(PATIENCE.toSeconds(), TimeUnit.SECONDS), "the connections stay open");
      assertEquals(2, stub.requests.get());
    }
  }

  @Test
  void aTrickleOfBytesDoesNotExtendTheDeadline() throws Exception {
    Stub.Handler handler =
        (request, socket) -> {
          Stub.send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n");
          while (!socket.isClosed()) {
            Stub.send(socket, " ");
            Thread.sleep(20);
          }
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.builder(stub.url()).timeout(SHORT).build();
        InferenceServerClient classic = new InferenceServerClient(stub.address(), 300, 300)) {
      assertTimeoutPreemptively(
          PATIENCE,
          () -> {
            assertThrows(InferenceTimeoutException.class, () -> client.infer(request()).execute());
            assertThrows(
                InferenceTimeoutException.class,
                () -> classic.infer("m", List.of(InferInput.of("A", new int[] {1}, 1)), null));
          });
    }
  }

  @Test
  void aServerThatDoesNotReadEndsAtTheDeadline() throws Exception {
    Stub.Handler handler = (request, socket) -> Thread.sleep(PATIENCE.toMillis());
    InferInput large = new InferInput("A", new long[] {64 << 20}, DataType.INT8);
    large.setData(ByteBuffer.allocate(64 << 20));
    try (Stub stub = new Stub(handler, true);
        Client client = Client.of(stub.url())) {
      Operation<InferResult> call = client.infer("m", large).timeout(SHORT);
      assertTimeoutPreemptively(
          PATIENCE, () -> assertThrows(InferenceTimeoutException.class, call::execute));
    }
  }

  @Test
  void connectingIsPartOfTheDeadline() throws Exception {
    List<Socket> queued = new ArrayList<>();
    try (ServerSocket full = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      for (int i = 0; i < 3; i++) { // what the queue takes, so that the next must wait
        Socket socket = new Socket();
        queued.add(socket);
        try {
          socket.connect(full.getLocalSocketAddress(), 200);
        } catch (java.io.IOException e) {
          // It is full.
        }
      }
      try (Client client = Client.of("http://127.0.0.1:" + full.getLocalPort())) {
        Operation<InferResult> call = client.infer(request()).timeout(SHORT);
        assertTimeoutPreemptively(
            PATIENCE, () -> assertThrows(InferenceTimeoutException.class, call::execute));
      }
      try (Client client =
          Client.builder("http://127.0.0.1:" + full.getLocalPort())
              .connectTimeout(SHORT)
              .retries(0)
              .build()) {
        assertTimeoutPreemptively(
            PATIENCE,
            () ->
                assertThrows(
                    InferenceConnectionException.class, () -> client.infer(request()).execute()));
      }
    } finally {
      for (Socket socket : queued) {
        socket.close();
      }
    }
  }

  @Test
  void interruptingTheThreadCancelsTheCall() throws Exception {
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch gone = new CountDownLatch(1);
    Stub.Handler handler =
        (request, socket) -> {
          arrived.countDown();
          if (socket.getInputStream().read() < 0) {
            gone.countDown();
          }
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.builder(stub.url()).timeout(null).build()) {
      AtomicReference<Throwable> failure = new AtomicReference<>();
      AtomicReference<Boolean> interrupted = new AtomicReference<>();
      Thread thread =
          new Thread(
              () -> {
                failure.set(
                    assertThrows(
                        InferenceException.class, () -> client.infer(request()).execute()));
                interrupted.set(Thread.currentThread().isInterrupted());
              });
      thread.start();
      assertTrue(arrived.await(PATIENCE.toSeconds(), TimeUnit.SECONDS));
      thread.interrupt();
      thread.join(PATIENCE.toMillis());
      assertInstanceOf(InferenceCancelledException.class, failure.get());
      assertTrue(interrupted.get(), "the thread has lost its interruption");
      assertTrue(gone.await(PATIENCE.toSeconds(), TimeUnit.SECONDS), "the call goes on");
    }
  }

  @Test
  void aThreadThatIsInterruptedAlreadySendsNothing() throws Exception {
    try (Stub stub = new Stub((request, socket) -> socket.close());
        Client client = Client.of(stub.url())) {
      Thread.currentThread().interrupt();
      assertThrows(InferenceCancelledException.class, () -> client.infer(request()).execute());
      assertTrue(Thread.interrupted());
      assertEquals(0, stub.requests.get());
    }
  }

  @Test
  void cancellingTheFutureCancelsTheCall() throws Exception {
    CountDownLatch arrived = new CountDownLatch(1);
    CountDownLatch gone = new CountDownLatch(1);
    Stub.Handler handler =
        (request, socket) -> {
          arrived.countDown();
          if (socket.getInputStream().read() < 0) {
            gone.countDown();
          }
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.of(stub.url())) {
      CompletableFuture<InferResult> future = client.infer(request()).executeAsync();
      assertTrue(arrived.await(PATIENCE.toSeconds(), TimeUnit.SECONDS));
      assertTrue(future.cancel(true));
      assertTrue(gone.await(PATIENCE.toSeconds(), TimeUnit.SECONDS), "the call goes on");
    }
  }

  @Test
  void closingEndsCalls() throws Exception {
    CountDownLatch arrived = new CountDownLatch(1);
    Stub.Handler handler =
        (request, socket) -> {
          arrived.countDown();
          socket.getInputStream().read();
        };
    try (Stub stub = new Stub(handler)) {
      Client client = Client.of(stub.url());
      CompletableFuture<InferResult> future = client.infer(request()).executeAsync();
      assertTrue(arrived.await(PATIENCE.toSeconds(), TimeUnit.SECONDS));
      assertFalse(future.isDone());
      client.close();
      client.close();
      ExecutionException ended =
          assertThrows(
              ExecutionException.class, () -> future.get(PATIENCE.toSeconds(), TimeUnit.SECONDS));
      assertInstanceOf(InferenceCancelledException.class, ended.getCause());
      assertThrows(InferenceCancelledException.class, () -> client.infer(request()).execute());
      assertThrows(ExecutionException.class, () -> client.infer(request()).executeAsync().get());
    }
  }

  @Test
  void callbacksMayCallAgainAndWait() throws Exception {
    byte[] answer = Recordings.find("infer", "binary to binary").response.bytes;
    try (Stub stub = new Stub((request, socket) -> Stub.send(socket, answer));
        Client client = Client.of(stub.url())) {
      CompletableFuture<Integer> chained =
          client
              .infer(request())
              .executeAsync()
              .thenApply(
                  first -> {
                    try {
                      return client.infer(request()).execute().getOutputs().size();
                    } catch (InferenceException e) {
                      throw new IllegalStateException(e);
                    }
                  });
      assertEquals(2, chained.get(PATIENCE.toSeconds(), TimeUnit.SECONDS));
    }
  }
}
