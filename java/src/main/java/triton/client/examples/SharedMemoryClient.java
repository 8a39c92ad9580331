package triton.client.examples;

import java.nio.IntBuffer;
import triton.client.Client;
import triton.client.InferInput;
import triton.client.InferRequest;
import triton.client.InferRequestedOutput;
import triton.client.SharedMemory;
import triton.client.pojo.DataType;

/**
 * Passes tensors through shared memory; the server must run on this machine. The argument is the
 * server's URL, if any.
 */
public final class SharedMemoryClient {
  private static final int SIZE = 64; // bytes of a tensor

  private SharedMemoryClient() {}

  public static void main(String[] args) throws Exception {
    String region = "java_example_" + ProcessHandle.current().pid();
    try (Client client = Client.of(Arguments.url(args));
        SharedMemory memory = SharedMemory.create(region, 4 * SIZE)) {
      for (int i = 0; i < 16; i++) {
        memory.buffer(0, SIZE).putInt(4 * i, i);
        memory.buffer(SIZE, SIZE).putInt(4 * i, 1);
      }
      client.registerSystemSharedMemory(region, memory).execute();
      try {
        System.out.println(client.systemSharedMemoryStatus(region).execute());
        InferInput a = new InferInput("INPUT0", new long[] {1, 16}, DataType.INT32);
        a.setSharedMemory(region, SIZE, 0);
        InferInput b = new InferInput("INPUT1", new long[] {1, 16}, DataType.INT32);
        b.setSharedMemory(region, SIZE, SIZE);
        InferRequestedOutput sum = new InferRequestedOutput("OUTPUT0");
        sum.setSharedMemory(region, SIZE, 2 * SIZE);
        InferRequestedOutput difference = new InferRequestedOutput("OUTPUT1");
        difference.setSharedMemory(region, SIZE, 3 * SIZE);
        InferRequest request = InferRequest.of("simple").input(a).input(b);
        client.infer(request.output(sum).output(difference)).execute();
        IntBuffer sums = memory.buffer(2 * SIZE, SIZE).asIntBuffer();
        IntBuffer differences = memory.buffer(3 * SIZE, SIZE).asIntBuffer();
        for (int i = 0; i < 16; i++) {
          System.out.println(i + " + 1 = " + sums.get(i));
          System.out.println(i + " - 1 = " + differences.get(i));
          Arguments.check(sums.get(i) == i + 1 && differences.get(i) == i - 1, "wrong result");
        }
      } finally {
        client.unregisterSystemSharedMemory(region).execute();
      }
    }
    System.out.println("PASS: shared memory");
  }
}
