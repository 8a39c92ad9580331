package triton.client.examples;

import triton.client.Client;
import triton.client.InferenceException;
import triton.client.LoadRequest;
import triton.client.messages.ModelIndex;

/**
 * Loads and unloads a model; the server must run with --model-control-mode explicit. The argument
 * is the server's URL, if any.
 */
public final class ModelControl {
  private static final String MODEL = "simple_identity";

  private ModelControl() {}

  public static void main(String[] args) throws Exception {
    try (Client client = Client.of(Arguments.url(args))) {
      client.unloadModel(MODEL).execute();
      while (client.isModelReady(MODEL).execute()) { // unloading goes on in the background
        Thread.sleep(20);
      }
      System.out.println(MODEL + " is unloaded");
      client.loadModel(MODEL).execute();
      Arguments.check(client.isModelReady(MODEL).execute(), "the model is not ready");
      for (ModelIndex model : client.repositoryIndex(true).execute()) {
        if (model.name().equals(MODEL)) {
          System.out.println(model);
        }
      }
      try {
        client.loadModel(LoadRequest.of(MODEL).config("{no JSON")).execute();
        Arguments.check(false, "the configuration is wrong");
      } catch (InferenceException e) {
        System.out.println("refused: " + e.getMessage());
      }
      client.loadModel(MODEL).execute();
    }
    System.out.println("PASS: model control");
  }
}
