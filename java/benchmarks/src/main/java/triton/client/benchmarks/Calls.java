package triton.client.benchmarks;

import java.util.List;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import triton.client.Client;
import triton.client.InferInput;
import triton.client.InferRequest;
import triton.client.InferRequestedOutput;
import triton.client.InferenceServerClient;
import triton.client.pojo.DataType;

/** Blocking calls, one after the other: an INT32 tensor there, and one back. */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Fork(1)
@Warmup(iterations = 3, time = 2)
@Measurement(iterations = 5, time = 2)
public class Calls {
  /** Elements of the tensor: 64 bytes, and 16 MiB. */
  @Param({"16", "4194304"})
  int elements;

  private int[] values;
  private Peer peer;
  private Client client;
  private InferenceServerClient classic;
  private Baseline baseline;

  /** Starts the server and the clients. */
  @Setup
  public void start() throws Exception {
    values = new int[elements];
    peer = new Peer(elements);
    client = Client.of("http://" + peer.address());
    classic = new InferenceServerClient(peer.address(), 5000, 60000);
    baseline = new Baseline(peer.address(), 60000);
  }

  /** Ends them. */
  @TearDown
  public void stop() throws Exception {
    client.close();
    classic.close();
    baseline.close();
    peer.close();
  }

  /** Calls by the modern client. */
  @Benchmark
  public int[] modern() throws Exception {
    InferRequest request = InferRequest.of("m").input("IN", values, 1, elements);
    return client.infer(request).execute().getOutputAsInt("OUT");
  }

  /** Calls by the classic client. */
  @Benchmark
  public int[] classic() throws Exception {
    InferInput input = new InferInput("IN", new long[] {1, elements}, DataType.INT32);
    input.setData(values, true);
    List<InferRequestedOutput> outputs = List.of(new InferRequestedOutput("OUT"));
    return classic.infer("m", List.of(input), outputs).getOutputAsInt("OUT");
  }

  /** Calls by a client of the classic library's shape. */
  @Benchmark
  public int[] baseline() throws Exception {
    return baseline.infer("m", "IN", new long[] {1, elements}, Baseline.pack(values));
  }
}
