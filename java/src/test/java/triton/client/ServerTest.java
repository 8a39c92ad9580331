package triton.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNotNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import triton.client.internal.Tensors;
import triton.client.messages.ModelIndex;
import triton.client.messages.ModelMetadata;
import triton.client.messages.ModelStatistics;
import triton.client.pojo.DataType;

/** Every operation, asked of the embedded server and of a real Triton. */
class ServerTest {
  private static final long[] SHAPE = {2, 3};
  private static final int[] A = new int[16];
  private static final int[] B = new int[16];

  static {
    for (int i = 0; i < 16; i++) {
      A[i] = i;
      B[i] = 1;
    }
  }

  static List<String> servers() {
    return Servers.urls();
  }

  private static InferRequest simple() {
    return InferRequest.of("simple").input("INPUT0", A, 1, 16).input("INPUT1", B, 1, 16);
  }

  private static void checkSimple(InferResult result) {
    for (int i = 0; i < 16; i++) {
      assertEquals(i + 1, result.getOutputAsInt("OUTPUT0")[i]);
      assertEquals(i - 1, result.getOutputAsInt("OUTPUT1")[i]);
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void inference(String url) throws Exception {
    try (Client client = Client.of(url)) {
      InferResult result = client.infer(simple().id("42").version("1")).execute();
      checkSimple(result);
      assertEquals("42", result.getId());
      assertEquals("simple", result.getModelName());
      assertEquals("1", result.getModelVersion());
      assertArrayEquals(new long[] {1, 16}, result.getShape("OUTPUT0"));
      checkSimple(client.infer(simple().binaryOutputs(false)).execute());
      InferResult one = client.infer(simple().output("OUTPUT1")).execute();
      assertEquals(List.of("OUTPUT1"), one.getOutputs());
      List<CompletableFuture<InferResult>> futures = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        futures.add(client.infer(simple()).executeAsync());
      }
      for (CompletableFuture<InferResult> future : futures) {
        checkSimple(future.get(60, TimeUnit.SECONDS));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void theClassicClient(String url) throws Exception {
    String address = url.substring("http://".length());
    InferInput input0 = new InferInput("INPUT0", new long[] {1, 16}, DataType.INT32);
    InferInput input1 = new InferInput("INPUT1", new long[] {1, 16}, DataType.INT32);
    try (InferenceServerClient client = new InferenceServerClient(address, 5000, 60000)) {
      for (int i = 0; i < 4; i++) { // an input may change between JSON and binary data
        input0.setData(A, i % 2 == 0);
        input1.setData(B, i < 2);
        checkSimple(
            client.infer(
                "simple",
                List.of(input0, input1),
                List.of(
                    new InferRequestedOutput("OUTPUT0", i % 2 == 1),
                    new InferRequestedOutput("OUTPUT1"))));
      }
      InferenceException refused =
          assertThrows(
              InferenceException.class, () -> client.infer("nowhere", List.of(input0), null));
      assertEquals("Request for unknown model: 'nowhere' is not found", refused.getMessage());
      assertEquals(404, refused.status());
    }
  }

  private static Object sample(DataType type) {
    switch (type) {
      case BOOL:
        return new boolean[] {true, false, true, true, false, false};
      case INT8:
      case UINT8:
        return new byte[] {-128, -1, 0, 1, 2, 127};
      case INT16:
      case UINT16:
        return new short[] {Short.MIN_VALUE, -1, 0, 1, 2, Short.MAX_VALUE};
      case INT32:
      case UINT32:
        return new int[] {Integer.MIN_VALUE, -1, 0, 1, 2, Integer.MAX_VALUE};
      case INT64:
      case UINT64:
        return new long[] {Long.MIN_VALUE, -1, 0, 1, 2, Long.MAX_VALUE};
      case FP16:
      case BF16:
        return new float[] {0.5f, -0f, 1.5f, -2, 1024, 0};
      case FP32:
        return new float[] {0.1f, -0f, 1e-45f, Float.MAX_VALUE, -2, 1 / 3f};
      case FP64:
        return new double[] {0.1, -0.0, Double.MIN_VALUE, Double.MAX_VALUE, -2, 1 / 3.0};
      default:
        return new String[] {"", "na\u00efve", "\0", "\u706b\ud83d\ude00", "x".repeat(300), "7"};
    }
  }

  private static void set(InferInput input, Object values, boolean binary) throws Exception {
    InferInput.class
        .getMethod("setData", values.getClass(), boolean.class)
        .invoke(input, values, binary);
  }

  @ParameterizedTest
  @MethodSource("servers")
  void allDatatypes(String url) throws Exception {
    try (Client client = Client.of(url)) {
      for (DataType type : DataType.values()) {
        boolean hasJson = type != DataType.FP16 && type != DataType.BF16;
        for (int way = 0; way < (hasJson ? 4 : 1); way++) {
          Object values = sample(type);
          InferInput input = new InferInput("INPUT_" + type, SHAPE, type);
          set(input, values, way % 2 == 0);
          InferRequestedOutput output = new InferRequestedOutput("OUTPUT_" + type, way < 2);
          InferResult result =
              client.infer(InferRequest.of("echo").input(input).output(output)).execute();
          OutputTensor answer = result.getOutput("OUTPUT_" + type);
          assertEquals(type.name(), answer.datatype());
          assertArrayEquals(SHAPE, answer.shape());
          if (type == DataType.BF16) { // the embedded server and Triton see bits alike
            assertArrayEquals((float[]) values, result.getOutputAsFloat("OUTPUT_BF16"));
          }
          assertEquals(
              ByteBuffer.wrap(Tensors.pack(type, values)), answer.data(), type + " way " + way);
        }
      }
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void textsAndBytes(String url) throws Exception {
    try (Client client = Client.of(url)) {
      String[] texts = {"a", "", "\u00e9"};
      InferResult result =
          client.infer(InferRequest.of("identity_bytes").input("INPUT0", texts, 3)).execute();
      assertArrayEquals(texts, result.getOutputAsString("OUTPUT0"));
      byte[][] bytes = {{0, -1, (byte) 0x80}, {}};
      result = client.infer(InferRequest.of("identity_bytes").input("INPUT0", bytes, 2)).execute();
      assertArrayEquals(bytes, result.getOutputAsBytes("OUTPUT0"));
      result =
          client
              .infer(InferRequest.of("identity_bytes").input("INPUT0", new String[0], 0))
              .execute();
      assertEquals(0, result.getOutputAsString("OUTPUT0").length);
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void sixteenMegabytesEachWay(String url) throws Exception {
    float[] values = new float[4 << 20];
    for (int i = 0; i < values.length; i++) {
      values[i] = i;
    }
    InferRequest request = InferRequest.of("identity_fp32").input("INPUT0", values, values.length);
    try (Client client = Client.of(url)) {
      assertArrayEquals(values, client.infer(request).execute().getOutputAsFloat("OUTPUT0"));
      assertEquals(
          values[12345],
          client.infer(request).execute().getOutputAsFloatBuffer("OUTPUT0").get(12345));
    }
    for (Compression compression : new Compression[] {Compression.GZIP, Compression.DEFLATE}) {
      try (Client client =
          Client.builder(url)
              .requestCompression(compression)
              .responseCompression(compression)
              .build()) {
        float[] part = Arrays.copyOf(values, 1 << 18);
        InferRequest small = InferRequest.of("identity_fp32").input("INPUT0", part, part.length);
        assertArrayEquals(part, client.infer(small).execute().getOutputAsFloat("OUTPUT0"));
      }
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void sequences(String url) throws Exception {
    try (Client client = Client.of(url)) {
      long id = System.nanoTime() % 1_000_000 + 1;
      int[] answers = new int[3];
      for (int i = 0; i < 3; i++) {
        InferRequest request =
            InferRequest.of("simple_dyna_sequence")
                .input("INPUT", new int[] {10 * i}, 1, 1)
                .sequenceId(id)
                .sequenceStart(i == 0)
                .sequenceEnd(i == 2);
        answers[i] = client.infer(request).execute().getOutputAsInt("OUTPUT")[0];
      }
      assertArrayEquals(new int[] {1, 10, (int) (20 + id)}, answers);
      InferRequest text =
          InferRequest.of("simple_string_dyna_sequence")
              .input("INPUT", new int[] {5}, 1, 1)
              .sequenceId("" + id)
              .sequenceStart(true)
              .sequenceEnd(true);
      assertNotNull(client.infer(text).execute().getOutputAsInt("OUTPUT"));
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void classes(String url) throws Exception {
    float[] image = new float[64];
    image[10] = 16;
    for (boolean binary : new boolean[] {true, false}) {
      InferRequest request =
          InferRequest.of("digits")
              .input("IMAGE", image, 1, 1, 8, 8)
              .output(new InferRequestedOutput("PROBABILITIES", binary, 3));
      try (Client client = Client.of(url)) {
        List<Classification> best = client.infer(request).execute().getClasses("PROBABILITIES");
        assertEquals(3, best.size());
        assertTrue(best.get(0).value() >= best.get(1).value());
        assertFalse(best.get(0).label().isEmpty());
      }
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void healthAndMetadata(String url) throws Exception {
    try (Client client = Client.of(url)) {
      assertTrue(client.isServerLive().execute());
      assertTrue(client.isServerReady().executeAsync().get());
      assertTrue(client.isModelReady("simple").execute());
      assertTrue(client.isModelReady("versioned", "1").execute());
      assertFalse(client.isModelReady("nowhere").execute());
      assertTrue(client.serverMetadata().execute().extensions().contains("binary_tensor_data"));
      ModelMetadata metadata = client.modelMetadata("simple").execute();
      assertEquals("simple", metadata.name());
      assertEquals("INPUT0", metadata.inputs().get(0).name());
      assertEquals("INT32", metadata.inputs().get(0).datatype());
      assertArrayEquals(new long[] {-1, 16}, metadata.inputs().get(0).shape());
      assertEquals(2, metadata.outputs().size());
      assertEquals(8, client.modelConfig("simple").execute().get("max_batch_size"));
      client.infer(simple()).execute();
      ModelStatistics statistics = client.statistics("simple").execute().get(0);
      assertTrue(statistics.inferenceCount() > 0);
      assertTrue(statistics.inferenceStats().get("success").count() > 0);
      assertTrue(client.statistics().execute().size() > 10);
      InferenceException refused =
          assertThrows(InferenceException.class, () -> client.modelMetadata("nowhere").execute());
      assertEquals(404, refused.status());
      assertEquals("nowhere", refused.modelName());
    }
    try (Client nobody = Client.of("http://127.0.0.1:1")) {
      assertFalse(nobody.isServerLive().execute());
      assertFalse(nobody.isServerReady().executeAsync().get());
    }
  }

  private static String state(Client client, String model) throws InferenceException {
    for (ModelIndex each : client.repositoryIndex().execute()) {
      if (each.name().equals(model) && !each.state().isEmpty()) {
        return each.state();
      }
    }
    return "";
  }

  @ParameterizedTest
  @MethodSource("servers")
  void modelControl(String url) throws Exception {
    try (Client client = Client.builder(url).timeout(Duration.ofSeconds(120)).build()) {
      assertEquals("READY", state(client, "simple_identity"));
      client.unloadModel("simple_identity").execute();
      for (int i = 0; i < 600 && client.isModelReady("simple_identity").execute(); i++) {
        Thread.sleep(50);
      }
      assertFalse(client.isModelReady("simple_identity").execute());
      for (ModelIndex each : client.repositoryIndex(true).execute()) {
        assertFalse(each.name().equals("simple_identity"));
      }
      client.loadModel("simple_identity").execute();
      assertTrue(client.isModelReady("simple_identity").execute());
      InferenceException refused =
          assertThrows(InferenceException.class, () -> client.loadModel("nowhere").execute());
      assertTrue(refused.getMessage().contains("nowhere"), refused.getMessage());
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void loadingFiles(String url) throws Exception {
    Path source = Path.of(System.getProperty("triton.root"), "models/identity_fp32/1/model.py");
    if (!Files.exists(source)) {
      Servers.missing("no model: there is no file " + source);
    }
    String config =
        "{\"backend\":\"python\",\"max_batch_size\":0,"
            + "\"input\":[{\"name\":\"INPUT0\",\"data_type\":\"TYPE_FP32\",\"dims\":[-1]}],"
            + "\"output\":[{\"name\":\"OUTPUT0\",\"data_type\":\"TYPE_FP32\",\"dims\":[-1]}]}";
    try (Client client = Client.builder(url).timeout(Duration.ofSeconds(120)).build()) {
      client
          .loadModel(
              LoadRequest.of("from_java")
                  .config(config)
                  .file("1/model.py", Files.readAllBytes(source)))
          .execute();
      float[] values = {1, 2.5f};
      InferRequest request = InferRequest.of("from_java").input("INPUT0", values, 2);
      assertArrayEquals(values, client.infer(request).execute().getOutputAsFloat("OUTPUT0"));
      client.unloadModel("from_java", true).execute();
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void settings(String url) throws Exception {
    try (Client client = Client.of(url)) {
      assertEquals("1000", client.traceSettings().execute().get("trace_rate"));
      Map<String, Object> changed =
          client.updateTraceSettings("simple", Map.of("trace_rate", "77")).execute();
      assertEquals("77", changed.get("trace_rate"));
      assertEquals("77", client.traceSettings("simple").execute().get("trace_rate"));
      Map<String, Object> reset = new java.util.HashMap<>();
      reset.put("trace_rate", null);
      assertEquals("1000", client.updateTraceSettings("simple", reset).execute().get("trace_rate"));
      assertEquals(
          1,
          client
              .updateLogSettings(Map.of("log_verbose_level", 1))
              .execute()
              .get("log_verbose_level"));
      client.updateLogSettings(Map.of("log_verbose_level", 0)).execute();
      assertEquals(0, client.logSettings().execute().get("log_verbose_level"));
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void systemSharedMemory(String url) throws Exception {
    String key = "java_client_test_" + ProcessHandle.current().pid();
    String name = "java_" + ProcessHandle.current().pid();
    try (Client client = Client.of(url);
        SharedMemory memory = SharedMemory.create(key, 256)) {
      memory.buffer(0, 64).asIntBuffer().put(A);
      memory.buffer(64, 64).asIntBuffer().put(B);
      client.registerSystemSharedMemory(name, memory).execute();
      try {
        assertEquals(256, client.systemSharedMemoryStatus(name).execute().get(0).byteSize());
        InferInput input0 = new InferInput("INPUT0", new long[] {1, 16}, DataType.INT32);
        input0.setSharedMemory(name, 64, 0);
        InferInput input1 = new InferInput("INPUT1", new long[] {1, 16}, DataType.INT32);
        input1.setSharedMemory(name, 64, 64);
        InferRequestedOutput output = new InferRequestedOutput("OUTPUT0");
        output.setSharedMemory(name, 64, 128);
        InferResult result =
            client
                .infer(
                    InferRequest.of("simple")
                        .input(input0)
                        .input(input1)
                        .output(output)
                        .output("OUTPUT1"))
                .execute();
        int[] sums = new int[16];
        memory.buffer(128, 64).asIntBuffer().get(sums);
        assertEquals(16, sums[15]);
        assertEquals(null, result.getOutputAsInt("OUTPUT0"));
        assertEquals(14, result.getOutputAsInt("OUTPUT1")[15]);
      } finally {
        client.unregisterSystemSharedMemory(name).execute();
      }
      assertThrows(IllegalArgumentException.class, () -> memory.buffer(200, 57));
      assertThrows(java.io.IOException.class, () -> SharedMemory.create(key, 1));
      try (SharedMemory other = SharedMemory.open("/" + key)) {
        assertEquals(1, other.buffer().getInt(64));
      }
    }
    assertFalse(Files.exists(Path.of("/dev/shm", key)));
    assertThrows(java.io.IOException.class, () -> SharedMemory.open(key));
    for (String wrong : new String[] {"", "/", "a/b", "..", "\0"}) {
      assertThrows(IllegalArgumentException.class, () -> SharedMemory.create(wrong, 1));
    }
    assertThrows(IllegalArgumentException.class, () -> SharedMemory.create("x", 0));
  }

  @ParameterizedTest
  @MethodSource("servers")
  void cudaSharedMemory(String url) throws Exception {
    try (Client client = Client.of(url)) {
      assertEquals(List.of(), client.cudaSharedMemoryStatus().execute());
      InferenceException refused =
          assertThrows(
              InferenceException.class,
              () -> client.registerCudaSharedMemory("x", new byte[3], 0, 64).execute());
      assertEquals(400, refused.status());
      client.unregisterCudaSharedMemory().execute();
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void failuresOfModelsAndDeadlines(String url) throws Exception {
    try (Client client = Client.of(url)) {
      InferRequest failing =
          InferRequest.of("failing").id("7").input("MESSAGE", new String[] {"boom"}, 1);
      InferenceException failure =
          assertThrows(InferenceException.class, () -> client.infer(failing).execute());
      assertEquals(500, failure.status());
      assertTrue(failure.getMessage().contains("boom"), failure.getMessage());
      assertEquals("7", failure.requestId());
      InferRequest slow =
          InferRequest.of("slow_identity")
              .input("INPUT0", new int[] {1}, 1)
              .input("DELAY_MS", new int[] {3000}, 1);
      assertThrows(
          InferenceTimeoutException.class,
          () -> client.infer(slow).timeout(Duration.ofMillis(200)).execute());
      ExecutionException late =
          assertThrows(
              ExecutionException.class,
              () -> client.infer(slow).timeout(Duration.ofMillis(200)).executeAsync().get());
      assertInstanceOf(InferenceTimeoutException.class, late.getCause());
      checkSimple(client.infer(simple().parameter("note", "x").parameter("n", 1)).execute());
      checkSimple(client.infer(simple()).header("X-Note", "x").queryParam("a", "b").execute());
    }
  }
}
