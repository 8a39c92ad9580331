package triton.client.examples;

import java.util.Map;
import triton.client.Client;
import triton.client.InferRequest;
import triton.client.messages.ModelStatistics;

/**
 * Asks for statistics, and for log and trace settings. The argument is the server's URL, if any.
 */
public final class StatisticsSettings {
  private StatisticsSettings() {}

  public static void main(String[] args) throws Exception {
    int[] numbers = new int[16];
    try (Client client = Client.of(Arguments.url(args))) {
      InferRequest request =
          InferRequest.of("simple").input("INPUT0", numbers, 1, 16).input("INPUT1", numbers, 1, 16);
      client.infer(request).execute();
      ModelStatistics statistics = client.statistics("simple").execute().get(0);
      System.out.println("inferences: " + statistics.inferenceCount());
      System.out.println("success: " + statistics.inferenceStats().get("success"));
      Arguments.check(statistics.inferenceCount() > 0, "nothing was counted");

      System.out.println("log settings: " + client.logSettings().execute());
      Map<String, Object> verbose =
          client.updateLogSettings(Map.of("log_verbose_level", 1)).execute();
      Arguments.check(verbose.get("log_verbose_level").equals(1), "the level has not changed");
      client.updateLogSettings(Map.of("log_verbose_level", 0)).execute();

      System.out.println("trace settings: " + client.traceSettings("simple").execute());
    }
    System.out.println("PASS: statistics and settings");
  }
}
