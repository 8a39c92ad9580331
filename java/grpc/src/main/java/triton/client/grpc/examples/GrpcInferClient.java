package triton.client.grpc.examples;

import java.util.Arrays;
import java.util.concurrent.CompletableFuture;
import triton.client.InferRequest;
import triton.client.InferResult;
import triton.client.grpc.GrpcClient;

/** Infers over gRPC, blocking and by a future. The argument is the server's URL, if any. */
public final class GrpcInferClient {
  private GrpcInferClient() {}

  public static void main(String[] args) throws Exception {
    int[] a = new int[16];
    int[] b = new int[16];
    Arrays.setAll(a, i -> i);
    Arrays.fill(b, 1);
    InferRequest request =
        InferRequest.of("simple").input("INPUT0", a, 1, 16).input("INPUT1", b, 1, 16);
    String url = args.length > 0 ? args[0] : "grpc://localhost:8001";
    try (GrpcClient client = GrpcClient.of(url)) {
      System.out.println("server is ready: " + client.isServerReady().execute());
      System.out.println(client.modelMetadata("simple", "").execute());
      int[] sums = client.infer(request).execute().getOutputAsInt("OUTPUT0");
      CompletableFuture<InferResult> future = client.infer(request).executeAsync();
      int[] differences = future.get().getOutputAsInt("OUTPUT1");
      for (int i = 0; i < 16; i++) {
        System.out.println(a[i] + " + " + b[i] + " = " + sums[i]);
        System.out.println(a[i] + " - " + b[i] + " = " + differences[i]);
        if (sums[i] != a[i] + b[i] || differences[i] != a[i] - b[i]) {
          System.out.println("FAIL: wrong result");
          System.exit(1);
        }
      }
    }
    System.out.println("PASS: gRPC infer");
  }
}
