package triton.client.grpc;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;
import static org.junit.jupiter.api.Assertions.fail;

import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicReference;
import org.junit.jupiter.api.Assumptions;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import triton.client.Compression;
import triton.client.InferInput;
import triton.client.InferRequest;
import triton.client.InferRequestedOutput;
import triton.client.InferResult;
import triton.client.InferenceCancelledException;
import triton.client.InferenceConnectionException;
import triton.client.InferenceException;
import triton.client.InferenceTimeoutException;
import triton.client.LoadRequest;
import triton.client.SharedMemory;
import triton.client.pojo.DataType;

/** The client over gRPC, against the embedded server and a real Triton. */
class GrpcTest {
  private static final int PATIENCE = 60; // seconds

  static List<String> servers() {
    List<String> urls = new ArrayList<>();
    String missing = "";
    for (String property : new String[] {"triton.grpc.embedded", "triton.grpc.real"}) {
      String url = System.getProperty(property, "");
      if (url.isEmpty()) {
        missing += " " + property;
      } else {
        urls.add(url);
      }
    }
    if (!missing.isEmpty() && System.getenv("CI") != null) {
      fail("no server: no URL is given by" + missing);
    }
    Assumptions.assumeFalse(urls.isEmpty(), "no server: no URL is given by" + missing);
    return urls;
  }

  private static InferRequest simple(int first) {
    int[] a = new int[16];
    int[] b = new int[16];
    a[0] = first;
    Arrays.fill(b, 1);
    return InferRequest.of("simple").input("INPUT0", a, 1, 16).input("INPUT1", b, 1, 16);
  }

  @ParameterizedTest
  @MethodSource("servers")
  void inference(String url) throws Exception {
    try (GrpcClient client = GrpcClient.of(url)) {
      InferResult result = client.infer(simple(5).id("7").parameter("note", "x")).execute();
      assertEquals(6, result.getOutputAsInt("OUTPUT0")[0]);
      assertEquals("7", result.getId());
      assertEquals(
          List.of("OUTPUT1"), client.infer(simple(5).output("OUTPUT1")).execute().getOutputs());
      List<CompletableFuture<InferResult>> futures = new ArrayList<>();
      for (int i = 0; i < 50; i++) {
        futures.add(client.infer(simple(i)).executeAsync());
      }
      for (int i = 0; i < 50; i++) {
        InferResult each = futures.get(i).get(PATIENCE, TimeUnit.SECONDS);
        assertEquals(i - 1, each.getOutputAsInt("OUTPUT1")[0]);
      }
      InferRequest packed = simple(1);
      assertEquals(
          2,
          client
              .infer(packed)
              .requestCompression(Compression.GZIP)
              .header("x-note", "1")
              .execute()
              .getOutputAsInt("OUTPUT0")[0]);
      float[] large = new float[4 << 20];
      large[large.length - 1] = 3;
      InferRequest identity = InferRequest.of("identity_fp32").input("INPUT0", large, large.length);
      assertArrayEquals(large, client.infer(identity).execute().getOutputAsFloat("OUTPUT0"));
      String[] texts = {"a", "", "\u00e9"};
      InferRequest bytes = InferRequest.of("identity_bytes").input("INPUT0", texts, 3);
      assertArrayEquals(texts, client.infer(bytes).execute().getOutputAsString("OUTPUT0"));
      InferInput half = new InferInput("INPUT_BF16", new long[] {1, 2}, DataType.BF16);
      half.setData(new float[] {1.5f, -2}, true);
      assertArrayEquals(
          new float[] {1.5f, -2},
          client
              .infer(InferRequest.of("echo").input(half).output("OUTPUT_BF16"))
              .execute()
              .getOutputAsFloat("OUTPUT_BF16"));
      InferRequest classes =
          InferRequest.of("digits")
              .input("IMAGE", new float[64], 1, 1, 8, 8)
              .output(new InferRequestedOutput("PROBABILITIES", true, 2));
      assertEquals(2, client.infer(classes).execute().getClasses("PROBABILITIES").size());
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void everythingElse(String url) throws Exception {
    try (GrpcClient client = GrpcClient.of(url)) {
      assertTrue(client.isServerLive().execute());
      assertTrue(client.isServerReady().execute());
      assertTrue(client.isModelReady("simple", "1").execute());
      assertFalse(client.serverMetadata().execute().extensions().isEmpty());
      assertEquals("INPUT0", client.modelMetadata("simple", "").execute().inputs().get(0).name());
      assertEquals(8, client.modelConfig("simple", "").execute().getMaxBatchSize());
      assertEquals(1, client.statistics("simple", "").execute().getModelStatsCount());
      assertTrue(client.repositoryIndex(true).execute().size() > 10);
      client.unloadModel("simple_identity", false).execute();
      client.loadModel(LoadRequest.of("simple_identity")).execute();
      assertTrue(client.isModelReady("simple_identity", "").execute());
      assertEquals(
          List.of("55"),
          client
              .traceSettings("simple", Map.of("trace_rate", List.of("55")))
              .execute()
              .get("trace_rate"));
      assertEquals(
          List.of("1000"),
          client
              .traceSettings("simple", Map.of("trace_rate", List.of()))
              .execute()
              .get("trace_rate"));
      assertEquals(0, client.logSettings(Map.of()).execute().get("log_verbose_level"));
      assertEquals(List.of(), client.cudaSharedMemoryStatus("").execute());
      assertThrows(
          InferenceException.class,
          () -> client.registerCudaSharedMemory("x", new byte[3], 0, 64).execute());
      client.unregisterCudaSharedMemory("").execute();
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void sharedMemory(String url) throws Exception {
    String name = "java_grpc_" + ProcessHandle.current().pid();
    try (GrpcClient client = GrpcClient.of(url);
        SharedMemory memory = SharedMemory.create(name, 192)) {
      memory.buffer().putInt(0, 41);
      client.registerSystemSharedMemory(name, memory.key(), 192, 0).execute();
      assertEquals(1, client.systemSharedMemoryStatus(name).execute().size());
      InferInput a = new InferInput("INPUT0", new long[] {1, 16}, DataType.INT32);
      a.setSharedMemory(name, 64, 0);
      InferInput b = new InferInput("INPUT1", new long[] {1, 16}, DataType.INT32);
      b.setData(new int[16], true);
      InferRequestedOutput sum = new InferRequestedOutput("OUTPUT0");
      sum.setSharedMemory(name, 64, 128);
      InferRequest request =
          InferRequest.of("simple").input(a).input(b).output(sum).output("OUTPUT1");
      InferResult result = client.infer(request).execute();
      assertEquals(41, memory.buffer().getInt(128));
      assertEquals(null, result.getOutputAsInt("OUTPUT0"));
      assertEquals(41, result.getOutputAsInt("OUTPUT1")[0]);
      client.unregisterSystemSharedMemory(name).execute();
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void failures(String url) throws Exception {
    try (GrpcClient client = GrpcClient.of(url)) {
      InferenceException refused =
          assertThrows(
              InferenceException.class,
              () -> client.infer(InferRequest.of("nowhere").id("3")).execute());
      assertEquals(InferenceException.class, refused.getClass());
      assertEquals("Request for unknown model: 'nowhere' is not found", refused.getMessage());
      assertEquals(404, refused.status());
      assertEquals("nowhere", refused.modelName());
      assertEquals("3", refused.requestId());
      assertEquals(url, refused.endpoint());
      InferRequest slow =
          InferRequest.of("slow_identity")
              .input("INPUT0", new int[] {1}, 1)
              .input("DELAY_MS", new int[] {3000}, 1);
      assertThrows(
          InferenceTimeoutException.class,
          () -> client.infer(slow).timeout(Duration.ofMillis(200)).execute());
      AtomicReference<Throwable> failure = new AtomicReference<>();
      Thread thread =
          new Thread(
              () ->
                  failure.set(
                      assertThrows(InferenceException.class, () -> client.infer(slow).execute())));
      thread.start();
      thread.interrupt();
      thread.join(PATIENCE * 1000L);
      assertInstanceOf(InferenceCancelledException.class, failure.get());
      InferRequest missing =
          InferRequest.of("simple").input(new InferInput("X", new long[] {1}, DataType.INT8));
      assertThrows(IllegalArgumentException.class, () -> client.infer(missing).execute());
    }
  }

  /** Keeps what it hears. */
  private static final class Heard implements InferStream.Listener {
    final Queue<InferResult> results = new ConcurrentLinkedQueue<>();
    final Queue<InferenceException> refusals = new ConcurrentLinkedQueue<>();

    @Override
    public void onResult(InferResult result) {
      results.add(result);
    }

    @Override
    public void onRefusal(InferenceException failure) {
      refusals.add(failure);
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void streams(String url) throws Exception {
    Heard heard = new Heard();
    try (GrpcClient client = GrpcClient.of(url);
        InferStream stream = client.openStream(heard, Duration.ofSeconds(PATIENCE))) {
      for (int i = 0; i < 200; i++) {
        stream.send(simple(i).id("" + i));
      }
      stream.send(InferRequest.of("nowhere").id("wrong").input("X", new int[] {1}, 1));
      stream.finish().get(PATIENCE, TimeUnit.SECONDS);
      assertEquals(200, heard.results.size());
      int position = 0;
      for (InferResult result : heard.results) {
        assertEquals("" + position, result.getId());
        assertEquals(position++ + 1, result.getOutputAsInt("OUTPUT0")[0]);
      }
      assertEquals(1, heard.refusals.size());
      assertThrows(InferenceException.class, () -> stream.send(simple(1)));
    }
  }

  @ParameterizedTest
  @MethodSource("servers")
  void closingAStreamEndsIt(String url) throws Exception {
    try (GrpcClient client = GrpcClient.of(url)) {
      InferStream stream = client.openStream(new Heard());
      stream.send(simple(1));
      CompletableFuture<Void> ended = stream.finish();
      stream.close();
      try {
        ended.get(PATIENCE, TimeUnit.SECONDS); // it may have ended before
      } catch (ExecutionException e) {
        assertInstanceOf(InferenceCancelledException.class, e.getCause());
      }
    }
  }

  @Test
  void nobodyListens() throws Exception {
    try (GrpcClient client = GrpcClient.of("grpc://127.0.0.1:1")) {
      assertThrows(InferenceConnectionException.class, () -> client.infer(simple(1)).execute());
      assertFalse(client.isServerLive().execute());
      InferStream stream = client.openStream(new Heard());
      ExecutionException ended =
          assertThrows(
              ExecutionException.class, () -> stream.finish().get(PATIENCE, TimeUnit.SECONDS));
      assertInstanceOf(InferenceConnectionException.class, ended.getCause());
    }
  }

  @Test
  void argumentsAreChecked() {
    for (String url :
        new String[] {null, "", "localhost:8001", "http://h", "grpc://", "grpc://h/p"}) {
      assertThrows(IllegalArgumentException.class, () -> GrpcClient.of(url), "" + url);
    }
    assertThrows(
        IllegalArgumentException.class,
        () -> GrpcClient.builder("grpc://h").timeout(Duration.ZERO));
    try (GrpcClient client = GrpcClient.of("grpc://127.0.0.1:1")) {
      assertThrows(IllegalArgumentException.class, () -> client.infer((InferRequest) null));
      assertThrows(IllegalArgumentException.class, () -> client.modelMetadata(null, ""));
      assertThrows(IllegalArgumentException.class, () -> client.openStream(null));
      assertThrows(IllegalArgumentException.class, () -> client.logSettings(null));
      assertThrows(IllegalArgumentException.class, () -> client.logSettings(Map.of("x", 1.5)));
    }
    assertThrows(
        java.io.IOException.class,
        () -> GrpcClient.builder("grpcs://h").trust(Path.of("/nowhere.pem")));
  }
}
