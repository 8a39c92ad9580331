package triton.client.examples;

import java.time.Duration;
import triton.client.Client;
import triton.client.InferRequest;
import triton.client.InferenceConnectionException;
import triton.client.InferenceException;
import triton.client.InferenceTimeoutException;

/** Shows the errors of calls and deadlines. The optional argument is the server's URL. */
public final class ErrorsAndDeadlines {
  private ErrorsAndDeadlines() {}

  public static void main(String[] args) throws Exception {
    try (Client client = Client.of(Arguments.url(args))) {
      InferRequest slow =
          InferRequest.of("slow_identity")
              .input("INPUT0", new int[] {1}, 1)
              .input("DELAY_MS", new int[] {2000}, 1);
      try {
        client.infer(slow).timeout(Duration.ofMillis(200)).execute();
        Arguments.check(false, "the deadline has passed");
      } catch (InferenceTimeoutException e) {
        System.out.println("late: no complete answer within 200 ms");
      }
      try {
        client.infer(InferRequest.of("nowhere").id("7").input("X", new int[] {1}, 1)).execute();
        Arguments.check(false, "there is no such model");
      } catch (InferenceException e) {
        System.out.println(
            "refused: " + e.status() + " " + e.getMessage() + ", request " + e.requestId());
      }
      try {
        InferRequest.of("simple").input("INPUT0", new int[15], 1, 16);
        Arguments.check(false, "an element is missing");
      } catch (IllegalArgumentException e) {
        System.out.println("mistake: " + e.getMessage());
      }
    }
    try (Client nobody = Client.of("http://127.0.0.1:1")) {
      nobody.serverMetadata().execute();
      Arguments.check(false, "nobody listens there");
    } catch (InferenceConnectionException e) {
      System.out.println("unreachable: " + e.endpoint());
    }
    System.out.println("PASS: errors and deadlines");
  }
}
