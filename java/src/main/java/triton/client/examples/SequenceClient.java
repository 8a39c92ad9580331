package triton.client.examples;

import triton.client.Client;
import triton.client.InferRequest;

/** Sends a sequence of requests to a stateful model. The argument is the server's URL, if any. */
public final class SequenceClient {
  private SequenceClient() {}

  public static void main(String[] args) throws Exception {
    long id = 1000 + ProcessHandle.current().pid();
    int[] values = {10, 20, 30};
    try (Client client = Client.of(Arguments.url(args))) {
      for (int i = 0; i < values.length; i++) {
        InferRequest request =
            InferRequest.of("simple_dyna_sequence")
                .input("INPUT", new int[] {values[i]}, 1, 1)
                .sequenceId(id)
                .sequenceStart(i == 0)
                .sequenceEnd(i == values.length - 1);
        int answer = client.infer(request).execute().getOutputAsInt("OUTPUT")[0];
        System.out.println(values[i] + " -> " + answer);
        // The model adds one to the first value, and the sequence's id to the last.
        long expected = values[i] + (i == 0 ? 1 : 0) + (i == values.length - 1 ? id : 0);
        Arguments.check(answer == expected, "wrong answer");
      }
    }
    System.out.println("PASS: sequence");
  }
}
