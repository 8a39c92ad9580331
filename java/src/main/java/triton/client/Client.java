package triton.client;

import java.io.IOException;
import java.time.Duration;
import java.util.Arrays;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import triton.client.internal.Answer;
import triton.client.internal.Body;
import triton.client.internal.Checks;
import triton.client.internal.Json;
import triton.client.internal.Paths;
import triton.client.internal.Transport;
import triton.client.messages.CudaSharedMemoryRegion;
import triton.client.messages.ModelIndex;
import triton.client.messages.ModelMetadata;
import triton.client.messages.ModelStatistics;
import triton.client.messages.ServerMetadata;
import triton.client.messages.SystemSharedMemoryRegion;

/**
 * A client of a server that speaks the v2 protocol over HTTP. It keeps its connections, may be
 * shared by threads, and has no threads that keep a program from ending.
 *
 * <pre>{@code
 * try (Client client = Client.of("http://localhost:8000")) {
 *   InferRequest request = InferRequest.of("simple").input("INPUT0", a, 1, 16).input("INPUT1", b, 1, 16);
 *   InferResult result = client.infer(request).execute();
 *   int[] sums = result.getOutputAsInt("OUTPUT0");
 * }
 * }</pre>
 *
 * Each method returns an {@link Operation}, which {@link Operation#execute} sends. Nothing is sent
 * before that.
 */
public final class Client implements AutoCloseable {
  private final Transport transport;
  private final Duration timeout;
  private final Map<String, String> headers;
  private final Compression requestCompression;
  private final Compression responseCompression;

  Client(
      Transport transport,
      Duration timeout,
      Map<String, String> headers,
      Compression requestCompression,
      Compression responseCompression) {
    this.transport = transport;
    this.timeout = timeout;
    this.headers = Map.copyOf(headers);
    this.requestCompression = requestCompression;
    this.responseCompression = responseCompression;
  }

  /**
   * Creates a client with the usual options.
   *
   * @param url the server, "http://localhost:8000" say; without a port http means 8000
   * @return the client
   * @throws IllegalArgumentException the text is no such URL
   */
  public static Client of(String url) {
    return builder(url).build();
  }

  /**
   * Begins a client with options.
   *
   * @param urls the servers; calls go to them by turns
   * @return a builder
   * @throws IllegalArgumentException a text is no such URL, or there is none
   */
  public static ClientBuilder builder(String... urls) {
    return new ClientBuilder(Arrays.asList(Checks.notNull("urls", urls)));
  }

  // Inference

  /**
   * Runs a model.
   *
   * @param request the model and its inputs; they are read when the operation is executed
   * @return the operation
   */
  public Operation<InferResult> infer(InferRequest request) {
    Checks.notNull("request", request);
    String path = Paths.model(request.model(), request.version()) + "/infer";
    return new HttpOperation<>(
            this, "POST", path, () -> InferCodec.encode(request), Client::inferResult)
        .about(request.model(), request.id());
  }

  /**
   * Runs a model whose outputs all come back.
   *
   * @param model the model's name
   * @param inputs its inputs
   * @return the operation
   */
  public Operation<InferResult> infer(String model, InferInput... inputs) {
    InferRequest request = InferRequest.of(model);
    for (InferInput input : Checks.notNull("inputs", inputs)) {
      request.input(input);
    }
    return infer(request);
  }

  private static InferResult inferResult(Answer answer) throws IOException {
    return AnswerReader.read(answer.inferenceHeadLength(), answer.body());
  }

  // Health

  /**
   * Asks whether the server's process is up.
   *
   * @return the operation; its answer is false when the server can't be reached
   */
  public Operation<Boolean> isServerLive() {
    return health("/v2/health/live", "");
  }

  /**
   * Asks whether the server takes inference requests.
   *
   * @return the operation; its answer is false when the server can't be reached
   */
  public Operation<Boolean> isServerReady() {
    return health("/v2/health/ready", "");
  }

  /**
   * Asks whether a model takes inference requests.
   *
   * @param model the model's name
   * @return the operation; its answer is false when the server can't be reached
   */
  public Operation<Boolean> isModelReady(String model) {
    return isModelReady(model, "");
  }

  /**
   * Asks whether a version of a model takes inference requests.
   *
   * @param model the model's name
   * @param version the version, or ""
   * @return the operation; its answer is false when the server can't be reached
   */
  public Operation<Boolean> isModelReady(String model, String version) {
    return health(Paths.model(model, version) + "/ready", model);
  }

  private Operation<Boolean> health(String path, String model) {
    return new HttpOperation<>(this, "GET", path, null, answer -> answer.status() == 200)
        .about(model, "")
        .health();
  }

  // Metadata, configuration, statistics

  /**
   * Asks who the server is.
   *
   * @return the operation
   */
  public Operation<ServerMetadata> serverMetadata() {
    return get("/v2", "", Records::serverMetadata);
  }

  /**
   * Asks for a model's inputs and outputs.
   *
   * @param model the model's name
   * @return the operation
   */
  public Operation<ModelMetadata> modelMetadata(String model) {
    return modelMetadata(model, "");
  }

  /**
   * Asks for the inputs and outputs of a version of a model.
   *
   * @param model the model's name
   * @param version the version, or ""
   * @return the operation
   */
  public Operation<ModelMetadata> modelMetadata(String model, String version) {
    return get(Paths.model(model, version), model, Records::modelMetadata);
  }

  /**
   * Asks for a model's configuration.
   *
   * @param model the model's name
   * @return the operation; its answer is the JSON form of the configuration
   */
  public Operation<Map<String, Object>> modelConfig(String model) {
    return modelConfig(model, "");
  }

  /**
   * Asks for the configuration of a version of a model.
   *
   * @param model the model's name
   * @param version the version, or ""
   * @return the operation; its answer is the JSON form of the configuration
   */
  public Operation<Map<String, Object>> modelConfig(String model, String version) {
    return get(Paths.model(model, version) + "/config", model, Records::object);
  }

  /**
   * Asks for the statistics of all models.
   *
   * @return the operation
   */
  public Operation<List<ModelStatistics>> statistics() {
    return get("/v2/models/stats", "", Records::statistics);
  }

  /**
   * Asks for the statistics of a model.
   *
   * @param model the model's name
   * @return the operation
   */
  public Operation<List<ModelStatistics>> statistics(String model) {
    return statistics(model, "");
  }

  /**
   * Asks for the statistics of a version of a model.
   *
   * @param model the model's name
   * @param version the version, or ""
   * @return the operation
   */
  public Operation<List<ModelStatistics>> statistics(String model, String version) {
    return get(Paths.model(model, version) + "/stats", model, Records::statistics);
  }

  // Model repository

  /**
   * Asks for every model in the repository.
   *
   * @return the operation
   */
  public Operation<List<ModelIndex>> repositoryIndex() {
    return repositoryIndex(false);
  }

  /**
   * Asks for the models in the repository.
   *
   * @param ready whether to leave those out that are not ready
   * @return the operation
   */
  public Operation<List<ModelIndex>> repositoryIndex(boolean ready) {
    Operation<List<ModelIndex>> operation =
        post("/v2/repository/index", "", ready ? Map.of("ready", true) : Map.of(), Records::index);
    return operation.idempotent();
  }

  /**
   * Loads or reloads a model as the repository has it.
   *
   * @param model the model's name
   * @return the operation
   */
  public Operation<Void> loadModel(String model) {
    return loadModel(LoadRequest.of(model));
  }

  /**
   * Loads or reloads a model.
   *
   * @param request the model, with its configuration and files
   * @return the operation
   */
  public Operation<Void> loadModel(LoadRequest request) {
    String model = Checks.notNull("request", request).model();
    return post(repositoryPath(model, "load"), model, request.json(), null);
  }

  /**
   * Unloads a model.
   *
   * @param model the model's name
   * @return the operation
   */
  public Operation<Void> unloadModel(String model) {
    return unloadModel(model, false);
  }

  /**
   * Unloads a model.
   *
   * @param model the model's name
   * @param unloadDependents whether to unload those too that an ensemble brought along
   * @return the operation
   */
  public Operation<Void> unloadModel(String model, boolean unloadDependents) {
    return post(
        repositoryPath(model, "unload"),
        model,
        Map.of("parameters", Map.of("unload_dependents", unloadDependents)),
        null);
  }

  private static String repositoryPath(String model, String action) {
    return "/v2/repository/models/" + Paths.segment("model", model) + "/" + action;
  }

  // Trace and log settings

  /**
   * Asks for the global trace settings.
   *
   * @return the operation
   */
  public Operation<Map<String, Object>> traceSettings() {
    return traceSettings("");
  }

  /**
   * Asks for the trace settings of a model.
   *
   * @param model the model's name, or "" for the global ones
   * @return the operation
   */
  public Operation<Map<String, Object>> traceSettings(String model) {
    return get(tracePath(model), model, Records::object);
  }

  /**
   * Changes trace settings.
   *
   * @param model the model's name, or "" for the global ones
   * @param settings texts or lists of texts by name; null makes one follow the outer settings
   * @return the operation; its answer is the settings that are then in force
   */
  public Operation<Map<String, Object>> updateTraceSettings(String model, Map<String, ?> settings) {
    return post(tracePath(model), model, Checks.settings(settings), Records::object);
  }

  private static String tracePath(String model) {
    return Checks.notNull("model", model).isEmpty()
        ? "/v2/trace/setting"
        : Paths.model(model, "") + "/trace/setting";
  }

  /**
   * Asks for the log settings.
   *
   * @return the operation
   */
  public Operation<Map<String, Object>> logSettings() {
    return get("/v2/logging", "", Records::object);
  }

  /**
   * Changes log settings.
   *
   * @param settings Booleans, numbers or texts by name
   * @return the operation; its answer is the settings that are then in force
   */
  public Operation<Map<String, Object>> updateLogSettings(Map<String, ?> settings) {
    return post("/v2/logging", "", Checks.settings(settings), Records::object);
  }

  // Shared memory

  /**
   * Asks for all registered regions of system shared memory.
   *
   * @return the operation
   */
  public Operation<List<SystemSharedMemoryRegion>> systemSharedMemoryStatus() {
    return systemSharedMemoryStatus("");
  }

  /**
   * Asks for a registered region of system shared memory.
   *
   * @param name its name, or "" for all
   * @return the operation
   */
  public Operation<List<SystemSharedMemoryRegion>> systemSharedMemoryStatus(String name) {
    return get(regionPath("system", name, "status"), "", Records::systemRegions);
  }

  /**
   * Registers a region of system shared memory.
   *
   * @param name the name that tensors will refer to it by
   * @param memory the region
   * @return the operation
   */
  public Operation<Void> registerSystemSharedMemory(String name, SharedMemory memory) {
    return registerSystemSharedMemory(
        name, Checks.notNull("memory", memory).key(), memory.byteSize(), 0);
  }

  /**
   * Registers a region of system shared memory.
   *
   * @param name the name that tensors will refer to it by
   * @param key the name of the shared memory object, "/data" say
   * @param byteSize the region's size in bytes
   * @param offset where it begins in the object
   * @return the operation
   */
  public Operation<Void> registerSystemSharedMemory(
      String name, String key, long byteSize, long offset) {
    Map<String, Object> members = new LinkedHashMap<>();
    members.put("key", Checks.name("key", key));
    members.put("offset", Checks.notNegative("offset", offset));
    members.put("byte_size", Checks.notNegative("byteSize", byteSize));
    return post(regionPath("system", Checks.name("name", name), "register"), "", members, null);
  }

  /**
   * Unregisters all regions of system shared memory.
   *
   * @return the operation
   */
  public Operation<Void> unregisterSystemSharedMemory() {
    return unregisterSystemSharedMemory("");
  }

  /**
   * Unregisters a region of system shared memory.
   *
   * @param name its name, or "" for all
   * @return the operation
   */
  public Operation<Void> unregisterSystemSharedMemory(String name) {
    return post(regionPath("system", name, "unregister"), "", null, null);
  }

  /**
   * Asks for all registered regions of GPU memory.
   *
   * @return the operation
   */
  public Operation<List<CudaSharedMemoryRegion>> cudaSharedMemoryStatus() {
    return cudaSharedMemoryStatus("");
  }

  /**
   * Asks for a registered region of GPU memory.
   *
   * @param name its name, or "" for all
   * @return the operation
   */
  public Operation<List<CudaSharedMemoryRegion>> cudaSharedMemoryStatus(String name) {
    return get(regionPath("cuda", name, "status"), "", Records::cudaRegions);
  }

  /**
   * Registers a region of GPU memory.
   *
   * @param name the name that tensors will refer to it by
   * @param rawHandle the CUDA IPC handle of the memory
   * @param deviceId the GPU
   * @param byteSize the region's size in bytes
   * @return the operation
   */
  public Operation<Void> registerCudaSharedMemory(
      String name, byte[] rawHandle, int deviceId, long byteSize) {
    String handle = Base64.getEncoder().encodeToString(Checks.notNull("rawHandle", rawHandle));
    Map<String, Object> members = new LinkedHashMap<>();
    members.put("raw_handle", Map.of("b64", handle));
    members.put("device_id", Checks.notNegative("deviceId", deviceId));
    members.put("byte_size", Checks.notNegative("byteSize", byteSize));
    return post(regionPath("cuda", Checks.name("name", name), "register"), "", members, null);
  }

  /**
   * Unregisters all regions of GPU memory.
   *
   * @return the operation
   */
  public Operation<Void> unregisterCudaSharedMemory() {
    return unregisterCudaSharedMemory("");
  }

  /**
   * Unregisters a region of GPU memory.
   *
   * @param name its name, or "" for all
   * @return the operation
   */
  public Operation<Void> unregisterCudaSharedMemory(String name) {
    return post(regionPath("cuda", name, "unregister"), "", null, null);
  }

  private static String regionPath(String kind, String name, String action) {
    String region =
        Checks.notNull("name", name).isEmpty() ? "" : "/region/" + Paths.segment("name", name);
    return "/v2/" + kind + "sharedmemory" + region + "/" + action;
  }

  // What they have in common

  private interface JsonReader<T> {
    T read(Object json) throws IOException;
  }

  private <T> Operation<T> get(String path, String model, JsonReader<T> reader) {
    return new HttpOperation<>(this, "GET", path, null, json(reader)).about(model, "");
  }

  private <T> Operation<T> post(
      String path, String model, Map<String, Object> members, JsonReader<T> reader) {
    Body body = members == null ? null : Body.of(Json.bytes(members));
    HttpOperation.Reader<T> whole = reader == null ? answer -> null : json(reader);
    return new HttpOperation<>(this, "POST", path, () -> body, whole).about(model, "");
  }

  private static <T> HttpOperation.Reader<T> json(JsonReader<T> reader) {
    return answer -> reader.read(Json.parse(answer.body(), 0, answer.body().length));
  }

  Transport transport() {
    return transport;
  }

  Duration timeout() {
    return timeout;
  }

  Map<String, String> headers() {
    return headers;
  }

  Compression requestCompression() {
    return requestCompression;
  }

  Compression responseCompression() {
    return responseCompression;
  }

  /** Ends the calls that are under way, and lets go of the connections. Closing twice is fine. */
  @Override
  public void close() {
    transport.close();
  }
}
