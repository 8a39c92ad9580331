package triton.client.examples;

import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import triton.client.Client;
import triton.client.InferRequest;

/** Sends many requests at once. The argument is the server's URL, if any. */
public final class AsyncInferClient {
  private AsyncInferClient() {}

  public static void main(String[] args) throws Exception {
    try (Client client = Client.of(Arguments.url(args))) {
      List<CompletableFuture<Integer>> sums = new ArrayList<>();
      for (int n = 0; n < 20; n++) {
        int[] numbers = new int[16];
        numbers[0] = n;
        InferRequest request =
            InferRequest.of("simple")
                .input("INPUT0", numbers, 1, 16)
                .input("INPUT1", numbers, 1, 16);
        sums.add(
            client
                .infer(request)
                .executeAsync()
                .thenApply(result -> result.getOutputAsInt("OUTPUT0")[0]));
      }
      for (int n = 0; n < sums.size(); n++) {
        int sum = sums.get(n).get();
        System.out.println(n + " + " + n + " = " + sum);
        Arguments.check(sum == 2 * n, "wrong sum");
      }
    }
    System.out.println("PASS: async infer");
  }
}
