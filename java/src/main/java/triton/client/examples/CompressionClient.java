package triton.client.examples;

import java.util.Arrays;
import triton.client.Client;
import triton.client.Compression;
import triton.client.InferRequest;

/** Compresses requests and answers. The argument is the server's URL, if any. */
public final class CompressionClient {
  private CompressionClient() {}

  public static void main(String[] args) throws Exception {
    float[] zeros = new float[100_000];
    InferRequest request = InferRequest.of("identity_fp32").input("INPUT0", zeros, zeros.length);
    for (Compression way : Compression.values()) {
      try (Client client =
          Client.builder(Arguments.url(args))
              .requestCompression(way)
              .responseCompression(way)
              .build()) {
        float[] same = client.infer(request).execute().getOutputAsFloat("OUTPUT0");
        System.out.println(way + ": " + same.length + " elements");
        Arguments.check(Arrays.equals(zeros, same), "wrong answer");
      }
    }
    System.out.println("PASS: compression");
  }
}
