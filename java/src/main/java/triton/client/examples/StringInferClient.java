package triton.client.examples;

import java.util.Arrays;
import triton.client.Client;
import triton.client.InferRequest;
import triton.client.InferResult;

/** Sends texts and bytes. The argument is the server's URL, if any. */
public final class StringInferClient {
  private StringInferClient() {}

  public static void main(String[] args) throws Exception {
    String[] a = new String[16];
    String[] b = new String[16];
    for (int i = 0; i < 16; i++) {
      a[i] = Integer.toString(i);
      b[i] = "1";
    }
    try (Client client = Client.of(Arguments.url(args))) {
      InferRequest sum =
          InferRequest.of("simple_string").input("INPUT0", a, 1, 16).input("INPUT1", b, 1, 16);
      String[] sums = client.infer(sum).execute().getOutputAsString("OUTPUT0");
      for (int i = 0; i < 16; i++) {
        System.out.println(a[i] + " + " + b[i] + " = " + sums[i]);
        Arguments.check(sums[i].equals(Integer.toString(i + 1)), "wrong sum");
      }
      byte[][] bytes = {{0, 1, 2}, {}, {-1}};
      InferResult same =
          client.infer(InferRequest.of("identity_bytes").input("INPUT0", bytes, 3)).execute();
      Arguments.check(Arrays.deepEquals(bytes, same.getOutputAsBytes("OUTPUT0")), "wrong bytes");
    }
    System.out.println("PASS: string infer");
  }
}
