package triton.client.examples;

import java.util.List;
import triton.client.Classification;
import triton.client.Client;
import triton.client.InferRequest;
import triton.client.InferRequestedOutput;

/** Asks for the best classes of an output. The argument is the server's URL, if any. */
public final class ClassificationClient {
  private ClassificationClient() {}

  public static void main(String[] args) throws Exception {
    float[] image = new float[64];
    for (int row = 0; row < 8; row++) {
      image[8 * row + 3] = 16; // a line, which looks like a one
    }
    try (Client client = Client.of(Arguments.url(args))) {
      InferRequest request =
          InferRequest.of("digits")
              .input("IMAGE", image, 1, 1, 8, 8)
              .output(new InferRequestedOutput("PROBABILITIES", true, 3));
      List<Classification> best = client.infer(request).execute().getClasses("PROBABILITIES");
      best.forEach(System.out::println);
      Arguments.check(best.size() == 3, "there should be three classes");
    }
    System.out.println("PASS: classification");
  }
}
