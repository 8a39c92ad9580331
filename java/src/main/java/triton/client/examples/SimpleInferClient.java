package triton.client.examples;

import java.util.List;
import triton.client.InferInput;
import triton.client.InferRequestedOutput;
import triton.client.InferResult;
import triton.client.InferenceServerClient;
import triton.client.pojo.DataType;

/** Adds and subtracts 1 to 16 by the model "simple". The server is the argument, if any. */
@SuppressWarnings("try") // close() throws Exception
public final class SimpleInferClient {
  private SimpleInferClient() {}

  public static void main(String[] args) throws Exception {
    String server = args.length > 0 ? args[0] : "0.0.0.0:8000";
    int[] numbers = new int[16];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = i + 1;
    }
    InferInput input0 = new InferInput("INPUT0", new long[] {1, 16}, DataType.INT32);
    input0.setData(numbers, false);
    InferInput input1 = new InferInput("INPUT1", new long[] {1, 16}, DataType.INT32);
    input1.setData(numbers, true);
    List<InferRequestedOutput> outputs =
        List.of(
            new InferRequestedOutput("OUTPUT0", false), new InferRequestedOutput("OUTPUT1", true));

    InferResult result;
    try (InferenceServerClient client = new InferenceServerClient(server, 5000, 5000)) {
      result = client.infer("simple", List.of(input0, input1), outputs);
    }
    int[] sums = result.getOutputAsInt("OUTPUT0");
    int[] differences = result.getOutputAsInt("OUTPUT1");
    for (int i = 0; i < numbers.length; i++) {
      System.out.println(numbers[i] + " + " + numbers[i] + " = " + sums[i]);
      System.out.println(numbers[i] + " - " + numbers[i] + " = " + differences[i]);
      if (sums[i] != 2 * numbers[i]) {
        System.out.println("OUTPUT0 contains incorrect sum");
        System.exit(1);
      }
      if (differences[i] != 0) {
        System.out.println("OUTPUT1 contains incorrect difference");
        System.exit(1);
      }
    }
  }
}
