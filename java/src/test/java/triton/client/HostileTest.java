package triton.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTimeoutPreemptively;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Random;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.atomic.AtomicReference;
import java.util.zip.GZIPOutputStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.ValueSource;

/** Answers that are cut, wrong or meant to do harm: an InferenceException, and nothing else. */
class HostileTest {
  private static final Duration LIMIT = Duration.ofSeconds(20);
  private static final Duration PATIENCE = Duration.ofSeconds(120);
  private static final String HEAD =
      "{\"model_name\":\"m\",\"model_version\":\"1\",\"outputs\":[%s]}";

  private static InferRequest request() {
    return InferRequest.of("m").id("r1").input("INPUT0", new int[] {1}, 1);
  }

  private static byte[] recorded(String name) throws IOException {
    return Recordings.find("infer", name).response.bytes;
  }

  /** What a call makes of these bytes, after which the connection ends. */
  private static InferResult call(byte[] answer) throws Exception {
    Stub.Handler handler =
        (request, socket) -> {
          Stub.send(socket, answer);
          socket.close();
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.builder(stub.url()).timeout(LIMIT).build()) {
      return client.infer(request()).execute();
    }
  }

  private static InferenceException refused(byte[] answer) {
    InferenceException failure = assertThrows(InferenceException.class, () -> call(answer));
    assertEquals("m", failure.modelName());
    assertEquals("r1", failure.requestId());
    assertTrue(failure.endpoint().startsWith("http://127.0.0.1:"), failure.endpoint());
    return failure;
  }

  @ParameterizedTest
  @ValueSource(strings = {"binary to binary", "JSON to JSON"})
  void answersCutAtEachByteAreErrors(String name) throws Exception {
    byte[] whole = recorded(name);
    AtomicReference<Integer> length = new AtomicReference<>();
    Stub.Handler handler =
        (request, socket) -> {
          Stub.send(socket, Arrays.copyOf(whole, length.get()));
          socket.close();
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.builder(stub.url()).timeout(LIMIT).build()) {
      for (int i = 0; i < whole.length; i++) {
        length.set(i);
        InferenceException failure =
            assertThrows(
                InferenceException.class, () -> client.infer(request()).execute(), "cut at " + i);
        assertTrue(
            failure instanceof InferenceConnectionException
                || failure instanceof InferenceProtocolException,
            "cut at " + i + ": " + failure);
        assertEquals(i + 1, stub.requests.get(), "a call that may have run was repeated");
      }
      length.set(whole.length);
      assertEquals(2, client.infer(request()).execute().getOutputs().size());
    }
  }

  @Test
  void answersThatComeByteByByteAreRead() throws Exception {
    byte[] whole = recorded("binary to binary");
    Stub.Handler handler =
        (request, socket) -> {
          for (byte b : whole) {
            Stub.send(socket, new byte[] {b});
          }
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.builder(stub.url()).timeout(LIMIT).build()) {
      assertEquals(16, client.infer(request()).execute().getOutputAsInt("OUTPUT0").length);
    }
  }

  @Test
  void randomDamageIsReadOrRefused() throws Exception {
    byte[] whole = recorded("binary to binary");
    Random random = new Random(7);
    AtomicReference<byte[]> next = new AtomicReference<>();
    Stub.Handler handler =
        (request, socket) -> {
          Stub.send(socket, next.get());
          socket.close();
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.builder(stub.url()).timeout(LIMIT).build()) {
      assertTimeoutPreemptively(
          PATIENCE,
          () -> {
            for (int i = 0; i < 1500; i++) {
              byte[] damaged = whole.clone();
              for (int n = random.nextInt(3); n >= 0; n--) {
                damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
              }
              next.set(damaged);
              try {
                InferResult result = client.infer(request()).execute();
                result.getOutputs().forEach(result::getOutput);
              } catch (InferenceException e) {
                assertTrue(e.getMessage() != null);
              }
            }
          });
    }
  }

  @ParameterizedTest
  @ValueSource(
      strings = {
        "x",
        "[]",
        "1",
        "{}",
        "null",
        "{\"outputs\":1}",
        "{\"outputs\":[1]}",
        "{\"outputs\":[{}]}",
        "{\"outputs\":[]} {}",
        "{\"model_name\":1}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT32\"}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[-1],\"data\":[1]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[1.5],\"data\":[1]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[2],\"data\":[1]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[1],\"data\":[1,2]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[1],\"data\":[\"1\"]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[1],\"data\":[1.5]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT32\",\"shape\":[1],\"data\":[1e9]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"UINT8\",\"shape\":[1],\"data\":[256]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"UINT64\",\"shape\":[1],\"data\":[-1]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"BOOL\",\"shape\":[1],\"data\":[1]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":[1]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"BYTES\",\"shape\":[1],\"data\":1}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT8\","
            + "\"shape\":[4294967296,4294967296,16],\"data\":[1]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT8\",\"shape\":[9223372036854775807],"
            + "\"data\":[1]}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT8\",\"shape\":[1],"
            + "\"parameters\":{\"binary_data_size\":1}}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT8\",\"shape\":[1],"
            + "\"parameters\":{\"binary_data_size\":-1}}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT8\",\"shape\":[1],"
            + "\"parameters\":{\"binary_data_size\":99999999999}}]}",
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT8\",\"shape\":[1],"
            + "\"parameters\":{\"binary_data_size\":\"1\"}}]}",
      })
  void wrongJsonIsAnError(String json) throws Exception {
    InferenceException failure = refused(Stub.answer("200 OK", json));
    assertInstanceOf(InferenceProtocolException.class, failure);
    assertEquals(200, failure.status());
  }

  private static byte[] binary(String output, byte[] data, String headLength) throws IOException {
    byte[] head = String.format(HEAD, output).getBytes(StandardCharsets.UTF_8);
    ByteArrayOutputStream body = new ByteArrayOutputStream();
    body.write(head);
    body.write(data);
    String length = headLength == null ? "" + head.length : headLength;
    return Stub.answer(
        "200 OK", "Inference-Header-Content-Length: " + length + "\r\n", body.toByteArray());
  }

  private static String output(String datatype, String shape, int size) {
    return String.format(
        "{\"name\":\"X\",\"datatype\":\"%s\",\"shape\":%s,\"parameters\":{\"binary_data_size\":%d}}",
        datatype, shape, size);
  }

  @Test
  void wrongSizesAreErrors() throws Exception {
    byte[] four = {1, 0, 0, 0};
    assertEquals(1, call(binary(output("INT32", "[1]", 4), four, null)).getOutputAsInt("X")[0]);
    for (byte[] answer :
        new byte[][] {
          binary(output("INT32", "[2]", 4), four, null),
          binary(output("INT32", "[1]", 5), four, null),
          binary(output("INT32", "[1]", 3), four, null),
          binary(output("INT32", "[1]", Integer.MAX_VALUE), four, null),
          binary(output("BYTES", "[1]", 4), four, null),
          binary(output("BYTES", "[2]", 4), new byte[4], null),
          binary(output("BYTES", "[1]", 4), new byte[] {-1, -1, -1, -1}, null),
          binary(output("BYTES", "[0]", 4), new byte[4], null),
          binary(output("INT32", "[1]", 4), four, "0"),
          binary(output("INT32", "[1]", 4), four, "-1"),
          binary(output("INT32", "[1]", 4), four, "+9"),
          binary(output("INT32", "[1]", 4), four, "x"),
          binary(output("INT32", "[1]", 4), four, "99999999999"),
          binary(output("INT32", "[1]", 4), four, "5000"),
        }) {
      assertInstanceOf(InferenceProtocolException.class, refused(answer));
    }
  }

  @Test
  void unknownDatatypesAndMembersAreRead() throws Exception {
    String output =
        "{\"new\":{\"x\":[1]},\"name\":\"X\",\"datatype\":\"FP8\",\"shape\":[3],"
            + "\"parameters\":{\"binary_data_size\":4,\"more\":true}}";
    InferResult result = call(binary(output, new byte[] {1, 2, 3, 4}, null));
    assertEquals("FP8", result.getOutput("X").datatype());
    assertEquals(4, result.getOutput("X").data().remaining());
    assertEquals(null, result.getResponse().getOutputByName("X").getDatatype());
    assertThrows(IllegalArgumentException.class, () -> result.getOutputAsByte("X"));
  }

  @Test
  void errorsThatAreNoJsonAreShown() throws Exception {
    InferenceException html =
        refused(Stub.answer("502 Bad Gateway", "<html><h1>502 Bad Gateway</h1></html>"));
    assertEquals(
        "Malformed error response: <html><h1>502 Bad Gateway</h1></html>", html.getMessage());
    assertEquals(502, html.status());
    assertEquals(
        "Inference return status: 400", refused(Stub.answer("400 Bad Request", "")).getMessage());
    assertEquals(
        "no such model",
        refused(Stub.answer("404 Not Found", "{\"error\":\"no such model\"}")).getMessage());
    assertEquals(
        "unauthorised",
        refused(Stub.answer("401 Unauthorized", "{\"detail\":\"unauthorised\"}")).getMessage());
    assertTrue(
        refused(Stub.answer("301 Moved", "Location: http://other/\r\n", new byte[0]))
            .getMessage()
            .contains("http://other/"));
  }

  @Test
  void whatIsNoHttpIsAnError() {
    for (String text :
        new String[] {
          "SSH-2.0-OpenSSH_9.2\r\n\r\n",
          "HTTP/1.1 x OK\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
          "HTTP/1.1 200 OK\r\n: x\r\n\r\n",
          "\r\n\r\n",
          "\0\0\0\0\0\0\0\0",
        }) {
      refused(text.getBytes(StandardCharsets.ISO_8859_1));
    }
  }

  @Test
  void aLengthThatIsToldAndNotSentCostsLittle() {
    refused(
        "HTTP/1.1 200 OK\r\nContent-Length: 2147483639\r\n\r\n{}"
            .getBytes(StandardCharsets.ISO_8859_1));
    refused(
        "HTTP/1.1 200 OK\r\nContent-Length: 9223372036854775807\r\n\r\n{}"
            .getBytes(StandardCharsets.ISO_8859_1));
  }

  @Test
  void answersWithoutAnEndStopAtTheLimit() throws Exception {
    Stub.Handler handler =
        (request, socket) -> {
          Stub.send(socket, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
          byte[] piece = new byte[65536];
          while (true) {
            Stub.send(socket, "10000\r\n");
            Stub.send(socket, piece);
            Stub.send(socket, "\r\n");
          }
        };
    try (Stub stub = new Stub(handler);
        Client client =
            Client.builder(stub.url()).timeout(PATIENCE).maxResponseSize(1 << 22).build()) {
      InferenceException failure =
          assertThrows(InferenceException.class, () -> client.infer(request()).execute());
      assertTrue(failure.getMessage().contains("4194304 bytes"), failure.getMessage());
    }
  }

  @Test
  void compressedBombsStopAtTheLimit() throws Exception {
    ByteArrayOutputStream packed = new ByteArrayOutputStream();
    try (GZIPOutputStream gzip = new GZIPOutputStream(packed)) {
      for (int i = 0; i < 64; i++) {
        gzip.write(new byte[1 << 20]);
      }
    }
    byte[] answer = Stub.answer("200 OK", "Content-Encoding: gzip\r\n", packed.toByteArray());
    try (Stub stub = new Stub((request, socket) -> Stub.send(socket, answer));
        Client client = Client.builder(stub.url()).maxResponseSize(1 << 22).build()) {
      InferenceException failure =
          assertThrows(InferenceException.class, () -> client.infer(request()).execute());
      assertTrue(failure.getMessage().contains("4194304 bytes"), failure.getMessage());
    }
    refused(Stub.answer("200 OK", "Content-Encoding: gzip\r\n", new byte[] {1, 2, 3}));
    refused(Stub.answer("200 OK", "Content-Encoding: br\r\n", new byte[] {1, 2, 3}));
  }

  @Test
  void deepNestingIsAnError() throws Exception {
    String deep = "[".repeat(200_000);
    for (String json :
        new String[] {
          "{\"new\":" + deep,
          "{\"parameters\":{\"x\":" + deep,
          "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":" + deep,
        }) {
      assertInstanceOf(InferenceProtocolException.class, refused(Stub.answer("200 OK", json)));
    }
    assertEquals(400, refused(Stub.answer("400 Bad Request", deep)).status());
  }

  @Test
  void otherOperationsRefuseWhatIsWrong() throws Exception {
    for (String json :
        new String[] {
          "",
          "x",
          "1",
          "[1]",
          "{\"name\":1}",
          "{\"inputs\":{}}",
          "{\"inputs\":[1]}",
          "{\"inputs\":[{\"shape\":[\"x\"]}]}",
          "{\"inputs\":[{\"shape\":[99999999999999999999]}]}",
          "{\"versions\":[1]}",
          "{\"model_stats\":1}",
          "{\"model_stats\":[{\"inference_count\":{}}]}",
        }) {
      byte[] answer = Stub.answer("200 OK", json);
      try (Stub stub = new Stub((request, socket) -> Stub.send(socket, answer));
          Client client = Client.of(stub.url())) {
        String about = json.contains("stats") ? "statistics" : "metadata";
        Operation<?> operation =
            about.equals("statistics") ? client.statistics() : client.modelMetadata("m");
        assertThrows(InferenceProtocolException.class, operation::execute, json);
      }
    }
  }

  @Test
  void headsThatCanBeReadInTwoWaysAreErrors() {
    for (String head :
        new String[] {
          "HTTP/1.1 200 OK\nContent-Length: 2\n\n{}",
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
          "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nContent-Length : 2\r\n\r\n{}",
          "HTTP/1.1 200 OK\r\n folded: 2\r\nContent-Length: 2\r\n\r\n{}",
          "HTTP/1.1 200 OK\r\nContent-Length: 0x2\r\n\r\n{}",
          "HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}x\r\n0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\n{}\r\n0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n{}\r\n0\r\n\r\n",
          "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n\r\n{}\r\n0\r\n\r\n",
          "HTTP/2 200 OK\r\nContent-Length: 2\r\n\r\n{}",
          "HTTP/1.1 100 Continue\r\n\r\n".repeat(100),
        }) {
      InferenceException failure = refused(head.getBytes(StandardCharsets.ISO_8859_1));
      assertInstanceOf(InferenceProtocolException.class, failure, head);
    }
  }

  @Test
  void headersWithoutAnEndStopAtALimit() throws Exception {
    Stub.Handler handler =
        (request, socket) -> {
          Stub.send(socket, "HTTP/1.1 200 OK\r\n");
          byte[] more = ("X: " + "y".repeat(10_000) + "\r\n").getBytes(StandardCharsets.US_ASCII);
          while (true) {
            Stub.send(socket, more);
          }
        };
    try (Stub stub = new Stub(handler);
        Client client = Client.builder(stub.url()).timeout(PATIENCE).build()) {
      InferenceException failure =
          assertThrows(InferenceException.class, () -> client.infer(request()).execute());
      assertInstanceOf(InferenceProtocolException.class, failure);
      assertTrue(failure.getMessage().contains("262144 bytes"), failure.getMessage());
    }
  }

  @Test
  void chunksAndBodiesToTheEndAreRead() throws Exception {
    String json =
        "{\"outputs\":[{\"name\":\"X\",\"datatype\":\"INT8\",\"shape\":[1],\"data\":[7]}]}";
    StringBuilder chunked =
        new StringBuilder("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n");
    for (char c : json.toCharArray()) {
      chunked.append("1;extension=x\r\n").append(c).append("\r\n");
    }
    chunked.append("0\r\nTrailer: x\r\n\r\n");
    for (String answer :
        new String[] {
          chunked.toString(),
          "HTTP/1.1 100 Continue\r\n\r\n" + chunked,
          "HTTP/1.0 200 OK\r\n\r\n" + json,
          "HTTP/1.1 200\r\n\r\n" + json,
        }) {
      assertEquals(7, call(answer.getBytes(StandardCharsets.US_ASCII)).getOutputAsByte("X")[0]);
    }
  }

  @Test
  void anAnswerBeforeTheRequestIsSentIsRead() throws Exception {
    byte[] early =
        Stub.answer(
            "413 Too Large",
            "Connection: close\r\n",
            "{\"error\":\"large\"}".getBytes(StandardCharsets.US_ASCII));
    Stub.Handler handler =
        (request, socket) -> {
          socket.getInputStream().read(new byte[100]);
          Stub.send(socket, early);
          Thread.sleep(PATIENCE.toMillis());
        };
    float[] large = new float[8 << 20];
    try (Stub stub = new Stub(handler, true);
        Client client = Client.builder(stub.url()).timeout(LIMIT).build()) {
      InferRequest request = InferRequest.of("m").input("IN", large, large.length);
      InferenceException failure =
          assertThrows(InferenceException.class, () -> client.infer(request).execute());
      assertEquals("large", failure.getMessage());
      assertEquals(413, failure.status());
    }
  }

  @Test
  void asynchronousCallsGetErrorsToo() throws Exception {
    byte[] whole = recorded("binary to binary");
    AtomicReference<byte[]> next = new AtomicReference<>();
    Stub.Handler handler =
        (request, socket) -> {
          Stub.send(socket, next.get());
          socket.close();
        };
    Random random = new Random(11);
    try (Stub stub = new Stub(handler);
        Client client = Client.builder(stub.url()).timeout(LIMIT).build()) {
      for (int i = 0; i < whole.length; i += 7) {
        next.set(Arrays.copyOf(whole, i));
        ExecutionException failure =
            assertThrows(
                ExecutionException.class,
                () -> client.infer(request()).executeAsync().get(),
                "cut at " + i);
        assertInstanceOf(InferenceException.class, failure.getCause());
      }
      for (int i = 0; i < 300; i++) {
        byte[] damaged = whole.clone();
        damaged[random.nextInt(damaged.length)] = (byte) random.nextInt(256);
        next.set(damaged);
        try {
          client.infer(request()).executeAsync().get();
        } catch (ExecutionException e) {
          assertInstanceOf(InferenceException.class, e.getCause());
        }
      }
    }
  }
}
