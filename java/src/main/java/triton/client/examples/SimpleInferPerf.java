package triton.client.examples;

import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import triton.client.InferInput;
import triton.client.InferRequestedOutput;
import triton.client.InferenceServerClient;
import triton.client.pojo.DataType;

/**
 * Measures calls of the model "simple" by 8 threads, each with a client of its own. The arguments,
 * if any, are the server and the number of calls per thread.
 */
@SuppressWarnings("try") // close() throws Exception
public final class SimpleInferPerf {
  private static final int THREADS = 8;
  private static final int REPORT_EVERY = 100;

  private final String server;
  private final int calls;
  private final List<InferInput> inputs = new ArrayList<>();
  private final List<InferRequestedOutput> outputs =
      List.of(
          new InferRequestedOutput("OUTPUT0", false), new InferRequestedOutput("OUTPUT1", true));

  private SimpleInferPerf(String server, int calls) {
    this.server = server;
    this.calls = calls;
    int[] numbers = new int[16];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = i + 1;
    }
    for (int i = 0; i < 2; i++) {
      InferInput input = new InferInput("INPUT" + i, new long[] {1, 16}, DataType.INT32);
      input.setData(numbers, i == 1);
      inputs.add(input);
    }
  }

  public static void main(String[] args) throws Exception {
    String server = args.length > 0 ? args[0] : "0.0.0.0:8000";
    int calls = args.length > 1 ? Integer.parseInt(args[1]) : 1000;
    new SimpleInferPerf(server, calls).run();
  }

  private void run() throws Exception {
    System.out.println("Testing simple with " + THREADS + " threads.");
    double[] qps = new double[THREADS];
    double[] latency = new double[THREADS];
    List<Throwable> failures = java.util.Collections.synchronizedList(new ArrayList<>());
    List<Thread> threads = new ArrayList<>();
    for (int i = 0; i < THREADS; i++) {
      int number = i;
      Thread thread =
          new Thread(
              () -> {
                try {
                  double millis = measure(number);
                  latency[number] = millis / calls;
                  qps[number] = 1000 * calls / millis;
                } catch (Exception e) {
                  failures.add(e);
                }
              });
      thread.start();
      threads.add(thread);
    }
    for (Thread thread : threads) {
      thread.join();
    }
    if (!failures.isEmpty()) {
      System.err.println("failed: " + failures.get(0));
      System.exit(1);
    }
    System.out.println("=".repeat(40));
    System.out.println(format("[ALL]         QPS: %.2f", sum(qps)));
    System.out.println(format("[ALL] Latency(ms): %.2f", sum(latency) / THREADS));
    System.out.println("=".repeat(40));
  }

  /** Returns the milliseconds that all calls of a thread took. */
  private double measure(int number) throws Exception {
    double total = 0;
    try (InferenceServerClient client = new InferenceServerClient(server, 5000, 5000)) {
      double since = 0;
      for (int call = 1; call <= calls; call++) {
        long start = System.nanoTime();
        client.infer("simple", inputs, outputs);
        since += (System.nanoTime() - start) / 1e6;
        if (call % REPORT_EVERY == 0) {
          System.out.println(
              format(
                  "[%d][GAP] Requests: %d, avg latency(ms): %.2f",
                  number, REPORT_EVERY, since / REPORT_EVERY));
          total += since;
          since = 0;
        }
      }
      total += since;
    }
    System.out.println(
        format(
            "[%d][TOTAL] avg latency(ms): %.2f, qps: %.2f",
            number, total / calls, 1000 * calls / total));
    return total;
  }

  private static double sum(double[] values) {
    double sum = 0;
    for (double value : values) {
      sum += value;
    }
    return sum;
  }

  private static String format(String format, Object... values) {
    return String.format(Locale.ROOT, format, values);
  }
}
