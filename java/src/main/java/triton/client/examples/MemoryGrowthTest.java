package triton.client.examples;

import java.util.Arrays;
import java.util.List;
import triton.client.InferInput;
import triton.client.InferRequestedOutput;
import triton.client.InferResult;
import triton.client.InferenceServerClient;
import triton.client.pojo.DataType;

/**
 * Makes 100 clients that are never closed, and calls the model "custom_identity_int32" by each. The
 * program ends all the same. The server is the argument, if any.
 */
public final class MemoryGrowthTest {
  private static final int CLIENTS = 100;

  private MemoryGrowthTest() {}

  @SuppressWarnings("resource") // that is what it tests
  public static void main(String[] args) throws Exception {
    String server = args.length > 0 ? args[0] : "0.0.0.0:8000";
    int[] numbers = new int[1024];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = i;
    }
    InferInput input = new InferInput("INPUT0", new long[] {1, numbers.length}, DataType.INT32);
    input.setData(numbers, true);
    List<InferRequestedOutput> outputs = List.of(new InferRequestedOutput("OUTPUT0", true));
    for (int i = 0; i < CLIENTS; i++) {
      InferenceServerClient client = new InferenceServerClient(server, 5000, 5000);
      InferResult result = client.infer("custom_identity_int32", List.of(input), outputs);
      if (!Arrays.equals(numbers, result.getOutputAsInt("OUTPUT0"))) {
        System.out.println("incorrect output");
        System.exit(1);
      }
    }
  }
}
