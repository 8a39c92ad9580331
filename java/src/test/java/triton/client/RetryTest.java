package triton.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.net.InetAddress;
import java.net.ServerSocket;
import java.net.Socket;
import java.util.List;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Test;
import triton.client.endpoint.AbstractEndpoint;

/** Calls are repeated only when they can't have been executed. */
class RetryTest {
  private static final List<InferInput> INPUTS = List.of(InferInput.of("A", new int[] {1}, 1));

  private static byte[] good() throws Exception {
    return Recordings.find("infer", "binary to binary").response.bytes;
  }

  private static String unused() throws Exception {
    try (ServerSocket socket = new ServerSocket(0, 1, InetAddress.getByName("127.0.0.1"))) {
      return "127.0.0.1:" + socket.getLocalPort();
    }
  }

  /** An endpoint that goes through addresses and counts how often it was asked. */
  private static final class Turns extends AbstractEndpoint {
    final AtomicInteger asked = new AtomicInteger();
    private final List<String> addresses;

    Turns(String... addresses) {
      this.addresses = List.of(addresses);
    }

    @Override
    protected String getEndpointImpl() {
      return addresses.get(asked.getAndIncrement() % addresses.size());
    }

    @Override
    protected int getEndpointNum() {
      return addresses.size();
    }
  }

  @Test
  void refusalsAreToldAtOnce() throws Exception {
    byte[] refusal = Stub.answer("400 Bad Request", "{\"error\":\"no\"}");
    try (Stub stub = new Stub((request, socket) -> Stub.send(socket, refusal));
        InferenceServerClient client = new InferenceServerClient(stub.address(), 5000, 5000)) {
      InferenceException failure =
          assertThrows(InferenceException.class, () -> client.infer("m", INPUTS, null));
      assertEquals("no", failure.getMessage());
      assertEquals(1, stub.requests.get());
    }
  }

  @Test
  void lostCallsAreNotRepeatedUnlessTheyMayBe() throws Exception {
    AtomicInteger calls = new AtomicInteger();
    byte[] good = good();
    Stub.Handler handler =
        (request, socket) -> {
          if (calls.incrementAndGet() % 2 == 1) {
            socket.close();
          } else {
            Stub.send(socket, good);
          }
        };
    try (Stub stub = new Stub(handler);
        InferenceServerClient classic = new InferenceServerClient(stub.address(), 5000, 5000);
        Client client = Client.of(stub.url())) {
      assertThrows(InferenceConnectionException.class, () -> classic.infer("m", INPUTS, null));
      assertEquals(1, calls.get());
      calls.set(0);
      InferRequest request = InferRequest.of("m").input(INPUTS.get(0));
      assertThrows(InferenceConnectionException.class, () -> client.infer(request).execute());
      assertEquals(1, calls.get());
      calls.set(0);
      client.infer(request).idempotent().execute();
      assertEquals(2, calls.get());
    }
  }

  @Test
  void theConnectionOfAnInternalServerErrorIsNotUsedAgain() throws Exception {
    byte[] failed = Stub.answer("500 Internal Server Error", "{\"error\":\"no\"}");
    byte[] good = good();
    Set<Socket> done = ConcurrentHashMap.newKeySet();
    Stub.Handler handler =
        (request, socket) -> {
          if (!done.add(socket)) {
            socket.close(); // as if it had been closed before, unseen
          } else {
            Stub.send(socket, done.size() == 1 ? failed : good);
          }
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.of(stub.url())) {
      assertThrows(InferenceException.class, () -> client.infer("m", INPUTS.get(0)).execute());
      client.infer("m", INPUTS.get(0)).execute();
      assertEquals(2, stub.connections.get());
    }
  }

  @Test
  void nothingIsRepeatedOnceTheAnswerHasBegun() throws Exception {
    Stub.Handler handler =
        (request, socket) -> {
          Stub.send(socket, "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{");
          socket.close();
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.of(stub.url())) {
      assertThrows(
          InferenceConnectionException.class,
          () -> client.infer("m", INPUTS.get(0)).idempotent().execute());
      assertEquals(1, stub.requests.get());
    }
  }

  @Test
  void theEndpointIsAskedForEachAttempt() throws Exception {
    String nobody = unused();
    Turns turns = new Turns(nobody);
    try (InferenceServerClient client = new InferenceServerClient(turns, 5000, 5000)) {
      client.setRetryCnt(2);
      InferenceException failure =
          assertThrows(InferenceConnectionException.class, () -> client.infer("m", INPUTS, null));
      assertEquals(3, turns.asked.get());
      assertTrue(failure.getMessage().contains("cannot connect"), failure.getMessage());
      client.setRetryCnt(0);
      assertThrows(InferenceConnectionException.class, () -> client.infer("m", INPUTS, null));
      assertEquals(4, turns.asked.get());
      assertThrows(IllegalArgumentException.class, () -> client.setRetryCnt(-1));
    }
  }

  @Test
  void anotherEndpointTakesOver() throws Exception {
    byte[] good = good();
    try (Stub stub = new Stub((request, socket) -> Stub.send(socket, good));
        InferenceServerClient classic =
            new InferenceServerClient(new Turns(unused(), stub.address()), 5000, 5000);
        Client client =
            Client.builder("http://" + unused(), stub.url(), "http://" + unused()).build()) {
      for (int i = 0; i < 5; i++) {
        classic.infer("m", INPUTS, null);
        client.infer("m", INPUTS.get(0)).execute();
      }
      assertEquals(10, stub.requests.get());
    }
  }

  @Test
  void endpointsTakeTurns() throws Exception {
    byte[] good = good();
    try (Stub one = new Stub((request, socket) -> Stub.send(socket, good));
        Stub two = new Stub((request, socket) -> Stub.send(socket, good));
        Client client = Client.builder(one.url(), two.url()).build()) {
      for (int i = 0; i < 10; i++) {
        client.infer("m", INPUTS.get(0)).execute();
      }
      assertEquals(5, one.requests.get());
      assertEquals(5, two.requests.get());
    }
  }

  @Test
  void anEndpointThatFailsIsAnInferenceException() throws Exception {
    AbstractEndpoint failing =
        new AbstractEndpoint() {
          @Override
          protected String getEndpointImpl() throws Exception {
            throw new java.io.IOException("no registry");
          }

          @Override
          protected int getEndpointNum() {
            return 1;
          }
        };
    try (InferenceServerClient client = new InferenceServerClient(failing, 5000, 5000)) {
      InferenceException failure =
          assertThrows(InferenceException.class, () -> client.infer("m", INPUTS, null));
      assertTrue(failure.getMessage().contains("no registry"), failure.getMessage());
    }
    Turns same = new Turns("a:1", "a:1");
    assertThrows(
        RuntimeException.class,
        () -> {
          same.getEndpoint();
          same.getEndpoint();
        });
  }

  @Test
  void idleConnectionsThatTheServerClosedAreNotUsed() throws Exception {
    byte[] good = good();
    Semaphore closed = new Semaphore(0);
    Stub.Handler handler =
        (request, socket) -> {
          Stub.send(socket, good);
          socket.close();
          closed.release();
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.of(stub.url())) {
      for (int i = 0; i < 20; i++) {
        client.infer("m", INPUTS.get(0)).execute(); // which is never repeated
        closed.acquire();
      }
      assertEquals(20, stub.connections.get());
    }
  }
}
