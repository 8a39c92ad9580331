package triton.client.examples;

import java.util.Arrays;
import triton.client.Client;
import triton.client.InferRequest;
import triton.client.InferResult;

/** Infers with the modern client. The argument is the server's URL, if any. */
public final class InferClient {
  private InferClient() {}

  public static void main(String[] args) throws Exception {
    int[] a = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    int[] b = new int[16];
    Arrays.fill(b, 1);
    try (Client client = Client.of(Arguments.url(args))) {
      InferRequest request =
          InferRequest.of("simple").input("INPUT0", a, 1, 16).input("INPUT1", b, 1, 16);
      InferResult result = client.infer(request).execute();
      int[] sums = result.getOutputAsInt("OUTPUT0");
      int[] differences = result.getOutputAsInt("OUTPUT1");
      for (int i = 0; i < a.length; i++) {
        System.out.println(a[i] + " + " + b[i] + " = " + sums[i]);
        System.out.println(a[i] + " - " + b[i] + " = " + differences[i]);
        Arguments.check(sums[i] == a[i] + b[i] && differences[i] == a[i] - b[i], "wrong result");
      }
    }
    System.out.println("PASS: infer");
  }
}
