package triton.client.grpc;

import com.google.protobuf.ByteString;
import inference.GRPCInferenceServiceGrpc;
import inference.GrpcService.CudaSharedMemoryRegisterRequest;
import inference.GrpcService.CudaSharedMemoryStatusRequest;
import inference.GrpcService.CudaSharedMemoryStatusResponse;
import inference.GrpcService.CudaSharedMemoryUnregisterRequest;
import inference.GrpcService.LogSettingsRequest;
import inference.GrpcService.LogSettingsResponse;
import inference.GrpcService.ModelConfigRequest;
import inference.GrpcService.ModelConfigResponse;
import inference.GrpcService.ModelMetadataRequest;
import inference.GrpcService.ModelMetadataResponse;
import inference.GrpcService.ModelReadyRequest;
import inference.GrpcService.ModelRepositoryParameter;
import inference.GrpcService.ModelStatisticsRequest;
import inference.GrpcService.ModelStatisticsResponse;
import inference.GrpcService.RepositoryIndexRequest;
import inference.GrpcService.RepositoryIndexResponse;
import inference.GrpcService.RepositoryModelLoadRequest;
import inference.GrpcService.RepositoryModelUnloadRequest;
import inference.GrpcService.ServerLiveRequest;
import inference.GrpcService.ServerMetadataRequest;
import inference.GrpcService.ServerReadyRequest;
import inference.GrpcService.SystemSharedMemoryRegisterRequest;
import inference.GrpcService.SystemSharedMemoryStatusRequest;
import inference.GrpcService.SystemSharedMemoryStatusResponse;
import inference.GrpcService.SystemSharedMemoryUnregisterRequest;
import inference.GrpcService.TraceSettingRequest;
import inference.GrpcService.TraceSettingResponse;
import inference.ModelConfigOuterClass.ModelConfig;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.MethodDescriptor;
import java.time.Duration;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.TimeUnit;
import triton.client.Compression;
import triton.client.InferInput;
import triton.client.InferRequest;
import triton.client.InferResult;
import triton.client.LoadRequest;
import triton.client.Operation;
import triton.client.messages.CudaSharedMemoryRegion;
import triton.client.messages.ModelIndex;
import triton.client.messages.ModelMetadata;
import triton.client.messages.ServerMetadata;
import triton.client.messages.SystemSharedMemoryRegion;
import triton.client.messages.TensorMetadata;

/**
 * A client of a server that speaks the v2 protocol over gRPC. It may be shared by threads, and has
 * no threads that keep a program from ending.
 *
 * <p>Each method returns an {@link Operation}, which {@link Operation#execute} sends.
 */
public final class GrpcClient implements AutoCloseable {
  private final ManagedChannel channel;
  private final String url;
  private final Duration timeout;
  private final Compression requestCompression;

  GrpcClient(ManagedChannel channel, String url, Duration timeout, Compression requestCompression) {
    this.channel = channel;
    this.url = url;
    this.timeout = timeout;
    this.requestCompression = requestCompression;
  }

  /**
   * Creates a client with the usual options.
   *
   * @param url the server, "grpc://localhost:8001" say; without a port grpc means 8001
   * @return the client
   * @throws IllegalArgumentException the text is no such URL
   */
  public static GrpcClient of(String url) {
    return builder(url).build();
  }

  /**
   * Begins a client with options.
   *
   * @param url the server; with grpcs: the connection is encrypted
   * @return a builder
   * @throws IllegalArgumentException the text is no such URL
   */
  public static GrpcClientBuilder builder(String url) {
    return new GrpcClientBuilder(url);
  }

  /**
   * Runs a model.
   *
   * @param request the model and its inputs; they are read when the operation is executed
   * @return the operation
   */
  public Operation<InferResult> infer(InferRequest request) {
    given("request", request);
    return new GrpcOperation<>(
            this,
            GRPCInferenceServiceGrpc.getModelInferMethod(),
            () -> InferMessages.encode(request),
            InferMessages::decode)
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
    for (InferInput input : given("inputs", inputs)) {
      request.input(input);
    }
    return infer(request);
  }

  /**
   * Opens a stream. It has no deadline.
   *
   * @param listener hears the answers
   * @return the stream
   */
  public InferStream openStream(InferStream.Listener listener) {
    return openStream(listener, null);
  }

  /**
   * Opens a stream.
   *
   * @param listener hears the answers
   * @param timeout the time that the whole stream may take; null for no limit
   * @return the stream
   */
  public InferStream openStream(InferStream.Listener listener, Duration timeout) {
    return new InferStream(this, given("listener", listener), timeout);
  }

  /**
   * Asks whether the server's process is up.
   *
   * @return the operation; its answer is false when the server can't be reached
   */
  public Operation<Boolean> isServerLive() {
    return ask(
            GRPCInferenceServiceGrpc.getServerLiveMethod(),
            ServerLiveRequest.getDefaultInstance(),
            "",
            answer -> answer.getLive())
        .orUnreachable(false);
  }

  /**
   * Asks whether the server takes inference requests.
   *
   * @return the operation; its answer is false when the server can't be reached
   */
  public Operation<Boolean> isServerReady() {
    return ask(
            GRPCInferenceServiceGrpc.getServerReadyMethod(),
            ServerReadyRequest.getDefaultInstance(),
            "",
            answer -> answer.getReady())
        .orUnreachable(false);
  }

  /**
   * Asks whether a version of a model takes inference requests.
   *
   * @param model the model's name
   * @param version the version, or ""
   * @return the operation; its answer is false when the server can't be reached
   */
  public Operation<Boolean> isModelReady(String model, String version) {
    return ask(
            GRPCInferenceServiceGrpc.getModelReadyMethod(),
            ModelReadyRequest.newBuilder()
                .setName(given("model", model))
                .setVersion(given("version", version))
                .build(),
            model,
            answer -> answer.getReady())
        .orUnreachable(false);
  }

  /**
   * Asks who the server is.
   *
   * @return the operation
   */
  public Operation<ServerMetadata> serverMetadata() {
    return ask(
        GRPCInferenceServiceGrpc.getServerMetadataMethod(),
        ServerMetadataRequest.getDefaultInstance(),
        "",
        answer ->
            new ServerMetadata(answer.getName(), answer.getVersion(), answer.getExtensionsList()));
  }

  /**
   * Asks for the inputs and outputs of a version of a model.
   *
   * @param model the model's name
   * @param version the version, or ""
   * @return the operation
   */
  public Operation<ModelMetadata> modelMetadata(String model, String version) {
    return ask(
        GRPCInferenceServiceGrpc.getModelMetadataMethod(),
        ModelMetadataRequest.newBuilder()
            .setName(given("model", model))
            .setVersion(given("version", version))
            .build(),
        model,
        answer ->
            new ModelMetadata(
                answer.getName(),
                answer.getVersionsList(),
                answer.getPlatform(),
                tensors(answer.getInputsList()),
                tensors(answer.getOutputsList())));
  }

  private static List<TensorMetadata> tensors(List<ModelMetadataResponse.TensorMetadata> messages) {
    List<TensorMetadata> tensors = new ArrayList<>();
    for (ModelMetadataResponse.TensorMetadata message : messages) {
      long[] shape = message.getShapeList().stream().mapToLong(Long::longValue).toArray();
      tensors.add(new TensorMetadata(message.getName(), message.getDatatype(), shape));
    }
    return tensors;
  }

  /**
   * Asks for the configuration of a version of a model.
   *
   * @param model the model's name
   * @param version the version, or ""
   * @return the operation
   */
  public Operation<ModelConfig> modelConfig(String model, String version) {
    return ask(
        GRPCInferenceServiceGrpc.getModelConfigMethod(),
        ModelConfigRequest.newBuilder()
            .setName(given("model", model))
            .setVersion(given("version", version))
            .build(),
        model,
        ModelConfigResponse::getConfig);
  }

  /**
   * Asks for the statistics of a version of a model.
   *
   * @param model the model's name, or "" for all
   * @param version the version, or ""
   * @return the operation
   */
  public Operation<ModelStatisticsResponse> statistics(String model, String version) {
    return ask(
        GRPCInferenceServiceGrpc.getModelStatisticsMethod(),
        ModelStatisticsRequest.newBuilder()
            .setName(given("model", model))
            .setVersion(given("version", version))
            .build(),
        model,
        answer -> answer);
  }

  /**
   * Asks for the models in the repository.
   *
   * @param ready whether to leave those out that are not ready
   * @return the operation
   */
  public Operation<List<ModelIndex>> repositoryIndex(boolean ready) {
    return ask(
        GRPCInferenceServiceGrpc.getRepositoryIndexMethod(),
        RepositoryIndexRequest.newBuilder().setReady(ready).build(),
        "",
        answer -> {
          List<ModelIndex> models = new ArrayList<>();
          for (RepositoryIndexResponse.ModelIndex each : answer.getModelsList()) {
            models.add(
                new ModelIndex(
                    each.getName(), each.getVersion(), each.getState(), each.getReason()));
          }
          return models;
        });
  }

  /**
   * Loads or reloads a model.
   *
   * @param request the model, with its configuration and files
   * @return the operation
   */
  public Operation<Void> loadModel(LoadRequest request) {
    RepositoryModelLoadRequest.Builder message =
        RepositoryModelLoadRequest.newBuilder().setModelName(given("request", request).model());
    if (request.config() != null) {
      message.putParameters(
          "config", ModelRepositoryParameter.newBuilder().setStringParam(request.config()).build());
    }
    request
        .files()
        .forEach(
            (name, content) ->
                message.putParameters(
                    name,
                    ModelRepositoryParameter.newBuilder()
                        .setBytesParam(ByteString.copyFrom(content))
                        .build()));
    return ask(
        GRPCInferenceServiceGrpc.getRepositoryModelLoadMethod(),
        message.build(),
        request.model(),
        answer -> null);
  }

  /**
   * Unloads a model.
   *
   * @param model the model's name
   * @param unloadDependents whether to unload those too that an ensemble brought along
   * @return the operation
   */
  public Operation<Void> unloadModel(String model, boolean unloadDependents) {
    return ask(
        GRPCInferenceServiceGrpc.getRepositoryModelUnloadMethod(),
        RepositoryModelUnloadRequest.newBuilder()
            .setModelName(given("model", model))
            .putParameters(
                "unload_dependents",
                ModelRepositoryParameter.newBuilder().setBoolParam(unloadDependents).build())
            .build(),
        model,
        answer -> null);
  }

  /**
   * Asks for trace settings, or changes them.
   *
   * @param model the model's name, or "" for the global ones
   * @param changes the values by name; an empty list makes one follow the outer settings
   * @return the operation; its answer is the settings that are then in force
   */
  public Operation<Map<String, List<String>>> traceSettings(
      String model, Map<String, List<String>> changes) {
    TraceSettingRequest.Builder message =
        TraceSettingRequest.newBuilder().setModelName(given("model", model));
    given("changes", changes)
        .forEach(
            (name, values) ->
                message.putSettings(
                    name,
                    TraceSettingRequest.SettingValue.newBuilder().addAllValue(values).build()));
    return ask(
        GRPCInferenceServiceGrpc.getTraceSettingMethod(),
        message.build(),
        model,
        answer -> {
          Map<String, List<String>> settings = new LinkedHashMap<>();
          for (Map.Entry<String, TraceSettingResponse.SettingValue> each :
              answer.getSettingsMap().entrySet()) {
            settings.put(each.getKey(), List.copyOf(each.getValue().getValueList()));
          }
          return settings;
        });
  }

  /**
   * Asks for the log settings, or changes them.
   *
   * @param changes Booleans, Integers or texts by name
   * @return the operation; its answer is the settings that are then in force
   * @throws IllegalArgumentException a value is of another kind
   */
  public Operation<Map<String, Object>> logSettings(Map<String, ?> changes) {
    LogSettingsRequest.Builder message = LogSettingsRequest.newBuilder();
    given("changes", changes)
        .forEach((name, value) -> message.putSettings(name, logSetting(name, value)));
    return ask(
        GRPCInferenceServiceGrpc.getLogSettingsMethod(),
        message.build(),
        "",
        answer -> {
          Map<String, Object> settings = new LinkedHashMap<>();
          for (Map.Entry<String, LogSettingsResponse.SettingValue> each :
              answer.getSettingsMap().entrySet()) {
            settings.put(each.getKey(), plain(each.getValue()));
          }
          return settings;
        });
  }

  private static LogSettingsRequest.SettingValue logSetting(String name, Object value) {
    LogSettingsRequest.SettingValue.Builder setting = LogSettingsRequest.SettingValue.newBuilder();
    if (value instanceof Boolean) {
      return setting.setBoolParam((Boolean) value).build();
    }
    if (value instanceof Integer && (Integer) value >= 0) {
      return setting.setUint32Param((Integer) value).build();
    }
    if (value instanceof String) {
      return setting.setStringParam((String) value).build();
    }
    throw new IllegalArgumentException(
        "setting " + name + " is " + value + ", expected a Boolean, an Integer from 0 or a String");
  }

  private static Object plain(LogSettingsResponse.SettingValue setting) {
    switch (setting.getParameterChoiceCase()) {
      case BOOL_PARAM:
        return setting.getBoolParam();
      case UINT32_PARAM:
        return setting.getUint32Param();
      default:
        return setting.getStringParam();
    }
  }

  /**
   * Asks for registered regions of system shared memory.
   *
   * @param name a region's name, or "" for all
   * @return the operation
   */
  public Operation<List<SystemSharedMemoryRegion>> systemSharedMemoryStatus(String name) {
    return ask(
        GRPCInferenceServiceGrpc.getSystemSharedMemoryStatusMethod(),
        SystemSharedMemoryStatusRequest.newBuilder().setName(given("name", name)).build(),
        "",
        answer -> {
          List<SystemSharedMemoryRegion> regions = new ArrayList<>();
          for (SystemSharedMemoryStatusResponse.RegionStatus each :
              answer.getRegionsMap().values()) {
            regions.add(
                new SystemSharedMemoryRegion(
                    each.getName(), each.getKey(), each.getOffset(), each.getByteSize()));
          }
          return regions;
        });
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
    return ask(
        GRPCInferenceServiceGrpc.getSystemSharedMemoryRegisterMethod(),
        SystemSharedMemoryRegisterRequest.newBuilder()
            .setName(given("name", name))
            .setKey(given("key", key))
            .setByteSize(byteSize)
            .setOffset(offset)
            .build(),
        "",
        answer -> null);
  }

  /**
   * Unregisters regions of system shared memory.
   *
   * @param name a region's name, or "" for all
   * @return the operation
   */
  public Operation<Void> unregisterSystemSharedMemory(String name) {
    return ask(
        GRPCInferenceServiceGrpc.getSystemSharedMemoryUnregisterMethod(),
        SystemSharedMemoryUnregisterRequest.newBuilder().setName(given("name", name)).build(),
        "",
        answer -> null);
  }

  /**
   * Asks for registered regions of GPU memory.
   *
   * @param name a region's name, or "" for all
   * @return the operation
   */
  public Operation<List<CudaSharedMemoryRegion>> cudaSharedMemoryStatus(String name) {
    return ask(
        GRPCInferenceServiceGrpc.getCudaSharedMemoryStatusMethod(),
        CudaSharedMemoryStatusRequest.newBuilder().setName(given("name", name)).build(),
        "",
        answer -> {
          List<CudaSharedMemoryRegion> regions = new ArrayList<>();
          for (CudaSharedMemoryStatusResponse.RegionStatus each : answer.getRegionsMap().values()) {
            regions.add(
                new CudaSharedMemoryRegion(each.getName(), each.getDeviceId(), each.getByteSize()));
          }
          return regions;
        });
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
    return ask(
        GRPCInferenceServiceGrpc.getCudaSharedMemoryRegisterMethod(),
        CudaSharedMemoryRegisterRequest.newBuilder()
            .setName(given("name", name))
            .setRawHandle(ByteString.copyFrom(given("rawHandle", rawHandle)))
            .setDeviceId(deviceId)
            .setByteSize(byteSize)
            .build(),
        "",
        answer -> null);
  }

  /**
   * Unregisters regions of GPU memory.
   *
   * @param name a region's name, or "" for all
   * @return the operation
   */
  public Operation<Void> unregisterCudaSharedMemory(String name) {
    return ask(
        GRPCInferenceServiceGrpc.getCudaSharedMemoryUnregisterMethod(),
        CudaSharedMemoryUnregisterRequest.newBuilder().setName(given("name", name)).build(),
        "",
        answer -> null);
  }

  private static <T> T given(String argument, T value) {
    if (value == null) {
      throw new IllegalArgumentException(argument + " is null");
    }
    return value;
  }

  private <Q, A, T> GrpcOperation<Q, A, T> ask(
      MethodDescriptor<Q, A> method, Q message, String model, GrpcOperation.Reader<A, T> reader) {
    return new GrpcOperation<>(this, method, () -> message, reader).about(model, "");
  }

  /** {@return the channel, for generated stubs} */
  public ManagedChannel channel() {
    return channel;
  }

  String url() {
    return url;
  }

  Duration timeout() {
    return timeout;
  }

  /** Returns options with a deadline; null means none. */
  static CallOptions within(Duration timeout) {
    if (timeout == null) {
      return CallOptions.DEFAULT;
    }
    // Longer ones are beyond what a timer of nanoseconds can count.
    Duration longest = Duration.ofDays(36500);
    Duration limit = timeout.compareTo(longest) > 0 ? longest : timeout;
    return CallOptions.DEFAULT.withDeadlineAfter(limit.toNanos(), TimeUnit.NANOSECONDS);
  }

  Compression requestCompression() {
    return requestCompression;
  }

  /** Ends the calls that are under way, and the connection. */
  @Override
  public void close() {
    channel.shutdownNow();
  }
}
