import com.google.protobuf.ByteString;
import inference.GRPCInferenceServiceGrpc;
import inference.GRPCInferenceServiceGrpc.GRPCInferenceServiceBlockingStub;
import inference.GrpcService.ModelInferRequest;
import inference.GrpcService.ModelInferRequest.InferInputTensor;
import inference.GrpcService.ModelInferRequest.InferRequestedOutputTensor;
import inference.GrpcService.ModelInferResponse;
import inference.GrpcService.ModelInferResponse.InferOutputTensor;
import inference.GrpcService.ModelMetadataRequest;
import inference.GrpcService.ModelMetadataResponse;
import inference.GrpcService.ModelMetadataResponse.TensorMetadata;
import inference.GrpcService.ModelReadyRequest;
import inference.GrpcService.ServerLiveRequest;
import inference.GrpcService.ServerReadyRequest;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.StatusRuntimeException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.concurrent.TimeUnit;
import java.util.stream.IntStream;

/**
 * Asks a server how it is and what its model "simple" takes, and adds and subtracts with it.
 *
 * <p>docs/generated_apis.md tells how to generate the classes that it imports, and how to run it.
 */
public final class SimpleJavaClient {
  private static final String MODEL = "simple";
  private static final int TIMEOUT_SECONDS = 10;

  private final GRPCInferenceServiceBlockingStub server;

  private SimpleJavaClient(GRPCInferenceServiceBlockingStub server) {
    this.server = server;
  }

  public static void main(String[] arguments) {
    String url = arguments.length > 0 ? arguments[0] : "localhost:8001";
    try {
      run(url);
    } catch (StatusRuntimeException | IllegalStateException error) {
      System.err.println(error.getMessage());
      System.exit(1);
    }
  }

  private static void run(String url) {
    ManagedChannel channel = ManagedChannelBuilder.forTarget(url).usePlaintext().build();
    try {
      // One deadline for all calls.
      SimpleJavaClient client =
          new SimpleJavaClient(
              GRPCInferenceServiceGrpc.newBlockingStub(channel)
                  .withDeadlineAfter(TIMEOUT_SECONDS, TimeUnit.SECONDS));
      client.showHealth();
      client.showMetadata();
      client.addAndSubtract();
    } finally {
      channel.shutdownNow();
    }
  }

  private void showHealth() {
    boolean live = server.serverLive(ServerLiveRequest.getDefaultInstance()).getLive();
    System.out.println("server is live: " + live);
    boolean ready = server.serverReady(ServerReadyRequest.getDefaultInstance()).getReady();
    System.out.println("server is ready: " + ready);
    ModelReadyRequest request = ModelReadyRequest.newBuilder().setName(MODEL).build();
    System.out.printf("model %s is ready: %b%n", MODEL, server.modelReady(request).getReady());
  }

  private void showMetadata() {
    ModelMetadataRequest request = ModelMetadataRequest.newBuilder().setName(MODEL).build();
    ModelMetadataResponse metadata = server.modelMetadata(request);
    for (TensorMetadata tensor : metadata.getInputsList()) {
      System.out.println("input: " + describe(tensor));
    }
    for (TensorMetadata tensor : metadata.getOutputsList()) {
      System.out.println("output: " + describe(tensor));
    }
  }

  private static String describe(TensorMetadata tensor) {
    return tensor.getName() + " " + tensor.getDatatype() + " " + tensor.getShapeList();
  }

  private void addAndSubtract() {
    int[] first = IntStream.range(0, 16).toArray();
    int[] second = IntStream.generate(() -> 1).limit(16).toArray();
    ModelInferRequest request =
        ModelInferRequest.newBuilder()
            .setModelName(MODEL)
            .addInputs(input("INPUT0"))
            .addInputs(input("INPUT1"))
            .addOutputs(InferRequestedOutputTensor.newBuilder().setName("OUTPUT0"))
            .addOutputs(InferRequestedOutputTensor.newBuilder().setName("OUTPUT1"))
            .addRawInputContents(toBytes(first))
            .addRawInputContents(toBytes(second))
            .build();
    ModelInferResponse response = server.modelInfer(request);
    int[] sums = intOutput(response, "OUTPUT0");
    int[] differences = intOutput(response, "OUTPUT1");
    check(
        sums.length == first.length && differences.length == first.length,
        "expected 16 sums and differences");
    for (int i = 0; i < first.length; i++) {
      int a = first[i];
      int b = second[i];
      System.out.printf("%d + %d = %d%n%d - %d = %d%n", a, b, sums[i], a, b, differences[i]);
      check(sums[i] == a + b && differences[i] == a - b, "wrong at index " + i);
    }
  }

  private static InferInputTensor input(String name) {
    return InferInputTensor.newBuilder()
        .setName(name)
        .setDatatype("INT32")
        .addShape(1)
        .addShape(16)
        .build();
  }

  /** The wire has elements in little-endian and row-major order, with nothing in between. */
  private static ByteString toBytes(int[] values) {
    ByteBuffer data = ByteBuffer.allocate(Integer.BYTES * values.length);
    data.order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().put(values);
    return ByteString.copyFrom(data);
  }

  /** An output by name; raw contents come in the order of the response's outputs. */
  private static int[] intOutput(ModelInferResponse response, String name) {
    for (int i = 0; i < response.getOutputsCount(); i++) {
      InferOutputTensor output = response.getOutputs(i);
      if (output.getName().equals(name)) {
        boolean expected =
            output.getDatatype().equals("INT32") && i < response.getRawOutputContentsCount();
        check(expected, "output " + name + " is no INT32 with raw contents");
        ByteBuffer data = response.getRawOutputContents(i).asReadOnlyByteBuffer();
        int[] values = new int[data.remaining() / Integer.BYTES];
        data.order(ByteOrder.LITTLE_ENDIAN).asIntBuffer().get(values);
        return values;
      }
    }
    throw new IllegalStateException("the response has no output " + name);
  }

  private static void check(boolean holds, String otherwise) {
    if (!holds) {
      throw new IllegalStateException(otherwise);
    }
  }
}
