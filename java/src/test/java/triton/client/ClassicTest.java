package triton.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.math.BigInteger;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Test;
import triton.client.InferenceServerClient.HttpConfig;
import triton.client.InferenceServerClient.InferArguments;
import triton.client.endpoint.AbstractEndpoint;
import triton.client.endpoint.FixedEndpoint;
import triton.client.internal.Json;
import triton.client.pojo.DataType;
import triton.client.pojo.IOTensor;
import triton.client.pojo.InferenceResponse;
import triton.client.pojo.Parameters;
import triton.client.pojo.ResponseError;

/** What programs that were written for the classic library rely on. */
class ClassicTest {
  @Test
  void requestsLookAsTheyAlwaysDid() throws Exception {
    AtomicReference<Stub.Request> seen = new AtomicReference<>();
    byte[] good = Recordings.find("infer", "JSON to JSON").response.bytes;
    Stub.Handler handler =
        (request, socket) -> {
          seen.set(request);
          Stub.send(socket, good);
        };
    InferInput json = new InferInput("A", new long[] {1}, DataType.INT32);
    json.setData(new int[] {1}, false);
    InferInput binary = new InferInput("B", new long[] {1}, DataType.INT32);
    binary.setData(new int[] {2}, true);
    try (Stub stub = new Stub(handler);
        InferenceServerClient client =
            new InferenceServerClient(stub.address() + "/api/x", 1000, 5000)) {
      InferArguments arguments =
          new InferArguments(
                  "my model/ü",
                  List.of(json, binary),
                  List.of(
                      new InferRequestedOutput("O", false), new InferRequestedOutput("P", true, 3)))
              .setModelVersion("1 2")
              .setRequestId("id")
              .setSequenceId(5)
              .setSequenceStart(true)
              .setSequenceEnd(false)
              .setPriority(-1)
              .setTimeout(7)
              .setHeader("X-Key", "value")
              .addQueryParam("q", "a b&c");
      client.infer(arguments);
      Stub.Request sent = seen.get();
      assertEquals("POST", sent.method);
      assertEquals(
          "/api/x/v2/models/my%20model%2F%C3%BC/versions/1%202/infer?q=a%20b%26c", sent.path);
      assertEquals("value", sent.headers.get("x-key"));
      int length = Integer.parseInt(sent.headers.get("inference-header-content-length"));
      Map<?, ?> head = (Map<?, ?>) Json.parse(sent.body, 0, length);
      assertEquals("id", head.get("id"));
      assertEquals(
          "{sequence_id=5, sequence_start=true, sequence_end=false,"
              + " priority=18446744073709551615, timeout=7}",
          head.get("parameters").toString());
      assertEquals(
          "[{name=A, shape=[1], datatype=INT32, data=[1]},"
              + " {name=B, shape=[1], datatype=INT32, parameters={binary_data_size=4}}]",
          head.get("inputs").toString());
      assertEquals(
          "[{name=O, parameters={binary_data=false}},"
              + " {name=P, parameters={classification=3, binary_data=true}}]",
          head.get("outputs").toString());
      assertArrayEquals(new byte[] {2, 0, 0, 0}, Arrays.copyOfRange(sent.body, length, length + 4));

      // The same arguments with JSON inputs alone: no stale header.
      binary.setData(new int[] {2}, false);
      client.infer(arguments);
      assertNull(seen.get().headers.get("inference-header-content-length"));
      client.infer("m", List.of(json), null);
      assertEquals(
          "{binary_data_output=true}",
          ((Map<?, ?>) Json.parse(seen.get().body, 0, seen.get().body.length))
              .get("parameters")
              .toString());
      assertThrows(IllegalArgumentException.class, () -> client.infer(null));
      assertEquals(2, client.inferAsync(new InferArguments("m", json)).get().getOutputs().size());
    }
  }

  @Test
  void binaryAndJsonAnswersAreReadAlike() throws Exception {
    for (String name : new String[] {"binary to binary", "JSON to JSON"}) {
      byte[] answer = Recordings.find("infer", name).response.bytes;
      try (Stub stub = new Stub((request, socket) -> Stub.send(socket, answer));
          InferenceServerClient client = new InferenceServerClient(stub.address(), 0, 0)) {
        InferResult result =
            client.infer(new InferArguments("m", InferInput.of("A", new int[1], 1)));
        assertEquals(List.of("OUTPUT0", "OUTPUT1"), result.getOutputs());
        assertEquals(16, result.getOutputAsInt("OUTPUT0").length);
        assertNull(result.getOutputAsInt("NONE"));
        assertNull(result.getOutputAsString("NONE"));
        assertThrows(IllegalArgumentException.class, () -> result.getOutputAsFloat("OUTPUT0"));
        assertThrows(IllegalArgumentException.class, () -> result.getOutputAsBool("OUTPUT0"));
        InferenceResponse response = result.getResponse();
        assertEquals("simple", response.getModelName());
        assertEquals("1", response.getModelVersion());
        IOTensor output = response.getOutputByName("OUTPUT1");
        assertArrayEquals(new long[] {1, 16}, output.getShape());
        assertEquals(DataType.INT32, output.getDatatype());
        assertNull(response.getOutputByName("NONE"));
        if (name.startsWith("JSON")) {
          assertEquals(16, output.getData().length);
          assertNull(result.getBinaryData());
        } else {
          assertNull(output.getData());
          assertEquals(64, output.getParameters().getInt("binary_data_size"));
          assertEquals(128, result.getBinaryData().length);
          assertEquals(64, result.getNameToBinaryIdx().get("OUTPUT1").getStart());
        }
      }
    }
  }

  @Test
  void utilities() throws Exception {
    assertTrue(Util.isEmpty((String) null) && Util.isEmpty("") && !Util.isEmpty("x"));
    assertTrue(Util.isEmpty((Collection<?>) null) && Util.isEmpty(List.of()));
    assertFalse(Util.isEmpty(List.of(1)));
    assertEquals(6, Util.elemNumFromShape(new long[] {1, 2, 3}));
    assertEquals(1, Util.elemNumFromShape(new long[0]));
    assertArrayEquals(new byte[] {1, 2, 0, 0}, Util.intToBytes(513));
    assertEquals((byte) 255, Util.numericCast(255, Byte.class));
    assertEquals((short) 1, Util.numericCast(1.9, short.class));
    assertEquals(3L, Util.numericCast(3, Long.class));
    assertEquals(3, Util.numericCast(3L, Integer.class));
    assertEquals(0.5f, Util.numericCast(0.5, Float.class));
    assertEquals(2.0, Util.numericCast(2, double.class));
    assertEquals(true, Util.numericCast(true, Boolean.class));
    assertThrows(UnsupportedOperationException.class, () -> Util.numericCast("x", Integer.class));
    assertThrows(UnsupportedOperationException.class, () -> Util.numericCast(1, String.class));
    assertThrows(UnsupportedOperationException.class, () -> Util.numericCast(null, int.class));
  }

  /** A bean as a program may have it. */
  public static final class Point {
    private int xPos;
    private List<String> names = new ArrayList<>();

    public int getXPos() {
      return xPos;
    }

    public void setXPos(int value) {
      xPos = value;
    }

    public List<String> getNames() {
      return names;
    }

    public void setNames(List<String> value) {
      names = value;
    }
  }

  @Test
  void jsonOfBeans() throws Exception {
    IOTensor tensor = new IOTensor();
    tensor.setName("X");
    tensor.setShape(new long[] {1, 2});
    tensor.setDatatype(DataType.INT8);
    Parameters parameters = new Parameters();
    parameters.put("binary_data", false);
    tensor.setParameters(parameters);
    String json = Util.toJson(tensor);
    assertEquals(
        "{\"datatype\":\"INT8\",\"name\":\"X\",\"parameters\":{\"binary_data\":false},"
            + "\"shape\":[1,2]}",
        json);
    IOTensor back = Util.fromJson(json, IOTensor.class);
    assertEquals("X", back.getName());
    assertArrayEquals(new long[] {1, 2}, back.getShape());
    assertEquals(DataType.INT8, back.getDatatype());
    assertEquals(false, back.getParameters().getBool("binary_data"));
    InferenceResponse response =
        Util.fromJson(
            "{\"model_name\":\"m\",\"model_version\":\"1\",\"new\":1,\"outputs\":[{\"name\":\"Y\","
                + "\"datatype\":\"BF99\",\"data\":[1,\"a\"]}]}",
            InferenceResponse.class);
    assertEquals("m", response.getModelName());
    assertEquals("Y", response.getOutputs().get(0).getName());
    assertNull(response.getOutputs().get(0).getDatatype());
    assertArrayEquals(new Object[] {1, "a"}, response.getOutputs().get(0).getData());
    assertEquals("no", Util.fromJson("{\"error\":\"no\"}", ResponseError.class).getError());
    assertEquals(Map.of("a", List.of(1, 2)), Util.fromJson("{\"a\":[1,2]}", Map.class));
    assertEquals("[1,\"x\",null,true]", Util.toJson(Arrays.asList(1, "x", null, true)));
    assertEquals("{\"a\":[1.5,2.0]}", Util.toJson(Map.of("a", new double[] {1.5, 2})));
    Point point = Util.fromJson("{\"xPos\":3,\"names\":[\"a\"]}", Point.class);
    assertEquals(3, point.getXPos());
    assertEquals(List.of("a"), point.getNames());
    assertEquals("{\"names\":[\"a\"],\"xPos\":3}", Util.toJson(point));
    assertThrows(JsonProcessingException.class, () -> Util.fromJson("{", Map.class));
    assertThrows(JsonProcessingException.class, () -> Util.fromJson("[]", Point.class));
    assertThrows(JsonProcessingException.class, () -> Util.toJson(Double.NaN));
    assertThrows(JsonProcessingException.class, () -> Util.toJson(new Object()));
  }

  @Test
  void parameters() {
    Parameters parameters = new Parameters(Map.of("text", "5"));
    assertNull(parameters.put("number", 1L << 40));
    parameters.putUnsignedLong("unsigned", -1);
    parameters.put("flag", true);
    parameters.put("list", List.of());
    assertEquals(5, parameters.getInt("text"));
    assertEquals(5f, parameters.getFloat("text"));
    assertEquals(5.0, parameters.getDouble("text"));
    assertEquals("5", parameters.getString("text"));
    assertEquals(true, parameters.getBool("flag"));
    assertNull(parameters.getInt("none"));
    assertNull(parameters.getBool("none"));
    assertNull(parameters.getString("none"));
    assertEquals(new BigInteger("18446744073709551615"), parameters.toMap().get("unsigned"));
    for (String name : new String[] {"number", "flag", "list", "unsigned"}) {
      assertThrows(IllegalArgumentException.class, () -> parameters.getInt(name), name);
    }
    assertThrows(IllegalArgumentException.class, () -> parameters.getBool("number"));
    assertEquals("5", parameters.remove("text"));
    assertFalse(parameters.isEmpty());
    assertTrue(new Parameters().isEmpty());
  }

  @Test
  void endpoints() throws Exception {
    assertEquals("h:1/p", new FixedEndpoint("h:1/p").getEndpoint());
    assertThrows(IllegalArgumentException.class, () -> new FixedEndpoint(""));
    assertThrows(IllegalArgumentException.class, () -> new FixedEndpoint("http://h:1"));
    AbstractEndpoint endpoint = new FixedEndpoint("127.0.0.1:1");
    HttpConfig config = new HttpConfig(1, 100, 100, 5, 5, 50);
    assertEquals(50, config.getRequestTimeout());
    assertTrue(config.isKeepAlive());
    new InferenceServerClient(endpoint, config).close();
    assertThrows(
        IllegalArgumentException.class, () -> new InferenceServerClient("http://h:1", 1, 1));
  }

  @Test
  void exceptions() {
    ResponseError error = new ResponseError();
    error.setError("no");
    assertEquals("no", new InferenceException(error).getMessage());
    assertEquals("text", new InferenceException("text").getMessage());
    Exception cause = new IllegalStateException("x");
    assertEquals(cause, new InferenceException(cause).getCause());
  }

  @Test
  void namesAndSignatures() throws Exception {
    Path recorded = Path.of(getClass().getResource("/classic-signatures.txt").toURI());
    TreeSet<String> missing = new TreeSet<>();
    for (String line : Files.readAllLines(recorded, StandardCharsets.UTF_8)) {
      if (!line.isBlank() && !line.startsWith("#")) {
        missing.add(line);
      }
    }
    assertTrue(missing.size() > 120, "" + missing.size());
    missing.removeAll(Signatures.of(getClass().getClassLoader()));
    assertEquals(new TreeSet<>(), missing);
  }
}
