package triton.client.examples;

import triton.client.Client;
import triton.client.InferenceException;
import triton.client.messages.ModelMetadata;
import triton.client.messages.TensorMetadata;

/** Asks for health, metadata, configuration. The argument is the server's URL, if any. */
public final class HealthMetadata {
  private HealthMetadata() {}

  public static void main(String[] args) throws Exception {
    try (Client client = Client.of(Arguments.url(args))) {
      System.out.println("server is live: " + client.isServerLive().execute());
      System.out.println("server is ready: " + client.isServerReady().execute());
      System.out.println("model simple is ready: " + client.isModelReady("simple").execute());
      System.out.println("extensions: " + client.serverMetadata().execute().extensions());
      ModelMetadata metadata = client.modelMetadata("simple").execute();
      for (TensorMetadata input : metadata.inputs()) {
        System.out.println("input: " + input);
      }
      for (TensorMetadata output : metadata.outputs()) {
        System.out.println("output: " + output);
      }
      Object batch = client.modelConfig("simple").execute().get("max_batch_size");
      System.out.println("max_batch_size: " + batch);
      try {
        client.modelMetadata("nowhere").execute();
        Arguments.check(false, "there is no model nowhere");
      } catch (InferenceException e) {
        System.out.println("refused: " + e.status() + " " + e.getMessage());
      }
    }
    System.out.println("PASS: health metadata");
  }
}
