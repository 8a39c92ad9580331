package triton.client.grpc.examples;

import java.util.ArrayList;
import java.util.List;
import triton.client.InferInput;
import triton.client.InferRequest;
import triton.client.InferResult;
import triton.client.InferenceException;
import triton.client.grpc.GrpcClient;
import triton.client.grpc.InferStream;
import triton.client.pojo.DataType;

/**
 * Takes the answers of a decoupled model from a stream. The argument is the server's URL, if any.
 */
public final class GrpcStreamClient {
  private GrpcStreamClient() {}

  public static void main(String[] args) throws Exception {
    int[] values = {4, 2, 42};
    List<Integer> answers = new ArrayList<>();
    InferStream.Listener listener =
        new InferStream.Listener() {
          @Override
          public void onResult(InferResult result) {
            int[] out = result.getOutputAsInt("OUT");
            if (out != null) { // the last answer may be an empty one
              answers.add(out[0]);
            }
          }

          @Override
          public void onRefusal(InferenceException failure) {
            System.out.println("refused: " + failure.getMessage());
          }
        };
    InferInput delay = new InferInput("DELAY", new long[] {3}, DataType.UINT32);
    delay.setData(new int[3], true);
    InferInput wait = new InferInput("WAIT", new long[] {1}, DataType.UINT32);
    wait.setData(new int[1], true);
    String url = args.length > 0 ? args[0] : "grpc://localhost:8001";
    try (GrpcClient client = GrpcClient.of(url);
        InferStream stream = client.openStream(listener)) {
      stream.send(InferRequest.of("repeat_int32").input("IN", values, 3).input(delay).input(wait));
      stream.finish().get();
    }
    answers.forEach(System.out::println);
    if (!answers.equals(List.of(4, 2, 42))) {
      System.out.println("FAIL: wrong answers");
      System.exit(1);
    }
    System.out.println("PASS: gRPC stream");
  }
}
