package triton.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.util.ArrayList;
import java.util.List;
import java.util.Queue;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.Tag;
import org.junit.jupiter.api.Test;

/** Many threads on one client, and many calls. */
class ThreadsTest {
  private static final int THREADS = 16;

  /** Runs something by many threads at once. */
  private static void everywhere(int threads, Work work) throws Exception {
    Queue<Throwable> failures = new ConcurrentLinkedQueue<>();
    List<Thread> all = new ArrayList<>();
    for (int i = 0; i < threads; i++) {
      int number = i;
      Thread thread =
          new Thread(
              () -> {
                try {
                  work.run(number);
                } catch (Throwable e) {
                  failures.add(e);
                }
              });
      thread.start();
      all.add(thread);
    }
    for (Thread thread : all) {
      thread.join();
    }
    if (!failures.isEmpty()) {
      throw new AssertionError(failures.size() + " threads failed", failures.peek());
    }
  }

  private interface Work {
    void run(int number) throws Exception;
  }

  /** A server whose answer depends on the request, so that no thread may get another's. */
  private static Stub echo() throws Exception {
    return new Stub(
        (request, socket) -> {
          int length = Integer.parseInt(request.headers.get("inference-header-content-length"));
          int size = request.body.length - length;
          byte[] head =
              String.format(
                      "{\"model_name\":\"m\",\"outputs\":[{\"name\":\"OUT\",\"datatype\":\"INT32\","
                          + "\"shape\":[%d],\"parameters\":{\"binary_data_size\":%d}}]}",
                      size / 4, size)
                  .getBytes(java.nio.charset.StandardCharsets.US_ASCII);
          byte[] body = new byte[head.length + size];
          System.arraycopy(head, 0, body, 0, head.length);
          System.arraycopy(request.body, length, body, head.length, size);
          Stub.send(
              socket,
              Stub.answer(
                  "200 OK", "Inference-Header-Content-Length: " + head.length + "\r\n", body));
        });
  }

  private static void call(Client client, int value, int size) throws Exception {
    int[] values = new int[size];
    values[0] = value;
    values[size - 1] = value;
    int[] answer =
        client
            .infer(InferRequest.of("m").input("IN", values, size))
            .execute()
            .getOutputAsInt("OUT");
    assertEquals(size, answer.length);
    assertEquals(value, answer[0]);
    assertEquals(value, answer[size - 1]);
  }

  @Test
  void manyThreadsShareAClient() throws Exception {
    try (Stub stub = echo();
        Client client = Client.of(stub.url())) {
      everywhere(
          THREADS,
          number -> {
            for (int i = 0; i < 200; i++) {
              call(client, 1000 * number + i, i % 50 == 0 ? 100_000 : 1 + i);
            }
          });
      assertEquals(THREADS * 200, stub.requests.get());
      assertTrue(stub.connections.get() <= 4 * THREADS, stub.connections + " connections");
    }
  }

  @Test
  void asynchronousCallsMayBeMany() throws Exception {
    int calls = 1000;
    try (Stub stub = echo();
        Client client = Client.of(stub.url())) {
      CountDownLatch left = new CountDownLatch(calls);
      AtomicInteger wrong = new AtomicInteger();
      for (int i = 0; i < calls; i++) {
        int value = i;
        InferRequest request = InferRequest.of("m").input("IN", new int[] {value}, 1);
        client
            .infer(request)
            .executeAsync()
            .whenComplete(
                (result, failure) -> {
                  if (failure != null || result.getOutputAsInt("OUT")[0] != value) {
                    wrong.incrementAndGet();
                  }
                  left.countDown();
                });
        if (i % 100 == 99) { // the kernel's queue of new connections is short
          while (left.getCount() > calls - i + 50) {
            Thread.onSpinWait();
          }
        }
      }
      assertTrue(left.await(120, TimeUnit.SECONDS));
      assertEquals(0, wrong.get());
    }
  }

  @Test
  void callsLeaveNothingBehind() throws Exception {
    checkFlat(4_000);
  }

  @Test
  @Tag("long")
  void aHundredThousandCallsLeaveNothingBehind() throws Exception {
    checkFlat(100_000);
  }

  private static long selectors() {
    return Thread.getAllStackTraces().keySet().stream()
        .filter(thread -> thread.getName().startsWith("HttpClient-"))
        .count();
  }

  @Test
  @SuppressWarnings("resource")
  void clientsThatAreDroppedWithoutBeingClosedLeaveNothingBehind() throws Exception {
    try (Stub stub = echo()) {
      long before = selectors();
      for (int i = 0; i < 20; i++) {
        InferRequest request = InferRequest.of("m").input("IN", new int[] {i}, 1);
        Client client = Client.of(stub.url());
        client.infer(request).execute();
        client.infer(request).executeAsync().get(60, TimeUnit.SECONDS);
      }
      for (int i = 0; i < 240 && selectors() > before + 2; i++) {
        System.gc(); // the JDK looks every few seconds
        Thread.sleep(250);
      }
      assertTrue(selectors() <= before + 2, selectors() + " selector threads");
    }
  }

  private static void checkFlat(int calls) throws Exception {
    try (Stub stub = echo();
        Client client = Client.of(stub.url())) {
      run(client, calls / 10);
      long heapBefore = heap();
      int threadsBefore = Thread.getAllStackTraces().size();
      run(client, calls);
      long grown = heap() - heapBefore;
      int threads = Thread.getAllStackTraces().size() - threadsBefore;
      assertTrue(grown < 2 << 20, "the heap has grown by " + grown + " bytes");
      assertTrue(threads <= 4, "there are " + threads + " more threads");
      System.out.printf("%d calls: heap %+d bytes, threads %+d%n", calls, grown, threads);
    }
  }

  private static void run(Client client, int calls) throws Exception {
    for (int i = 0; i < calls; i++) {
      if (i % 4 == 0) {
        InferRequest request = InferRequest.of("m").input("IN", new int[] {i}, 1);
        assertEquals(
            i,
            client
                .infer(request)
                .executeAsync()
                .get(60, TimeUnit.SECONDS)
                .getOutputAsInt("OUT")[0]);
      } else {
        call(client, i, 16);
      }
    }
  }

  private static long heap() throws InterruptedException {
    for (int i = 0; i < 3; i++) {
      System.gc();
      Thread.sleep(50);
    }
    return Runtime.getRuntime().totalMemory() - Runtime.getRuntime().freeMemory();
  }
}
