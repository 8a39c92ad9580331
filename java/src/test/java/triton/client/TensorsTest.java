package triton.client;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;
import triton.client.internal.Body;
import triton.client.internal.Half;
import triton.client.internal.Json;
import triton.client.pojo.DataType;

/** Arrays, wire bytes and the JSON of requests. */
class TensorsTest {
  private static byte[] bytes(int... values) {
    byte[] bytes = new byte[values.length];
    for (int i = 0; i < values.length; i++) {
      bytes[i] = (byte) values[i];
    }
    return bytes;
  }

  private static Map<?, ?> head(InferRequest request) throws Exception {
    Body body = InferCodec.encode(request);
    byte[] all = body.toByteArray();
    int length = body.headLength() < 0 ? all.length : body.headLength();
    return (Map<?, ?>) Json.parse(all, 0, length);
  }

  private static Object jsonData(InferInput input) throws Exception {
    List<?> inputs = (List<?>) head(InferRequest.of("m").input(input)).get("inputs");
    return ((Map<?, ?>) inputs.get(0)).get("data");
  }

  @Test
  void bytesAreLittleEndian() {
    assertArrayEquals(
        bytes(1, 0), BinaryProtocol.toBytes(DataType.BOOL, new boolean[] {true, false}));
    assertArrayEquals(bytes(255), BinaryProtocol.toBytes(DataType.UINT8, bytes(255)));
    assertArrayEquals(bytes(2, 1), BinaryProtocol.toBytes(DataType.INT16, new short[] {0x102}));
    assertArrayEquals(
        bytes(4, 3, 2, 1), BinaryProtocol.toBytes(DataType.UINT32, new int[] {0x1020304}));
    assertArrayEquals(
        bytes(1, 0, 0, 0, 0, 0, 0, 0x80),
        BinaryProtocol.toBytes(DataType.INT64, new long[] {Long.MIN_VALUE + 1}));
    assertArrayEquals(
        bytes(0, 0, 0x80, 0x3f), BinaryProtocol.toBytes(DataType.FP32, new float[] {1}));
    assertArrayEquals(
        bytes(0, 0, 0, 0, 0, 0, 0xf0, 0xbf),
        BinaryProtocol.toBytes(DataType.FP64, new double[] {-1}));
    assertArrayEquals(
        bytes(2, 0, 0, 0, 0xc3, 0xa9, 0, 0, 0, 0),
        BinaryProtocol.toBytes(DataType.BYTES, new String[] {"\u00e9", ""}));
    assertArrayEquals(bytes(0, 0x3c), BinaryProtocol.toBytes(DataType.FP16, new float[] {1}));
    assertArrayEquals(bytes(0x80, 0x3f), BinaryProtocol.toBytes(DataType.BF16, new float[] {1}));
  }

  @Test
  void everyHalfIsItself() {
    for (int bits = 0; bits < 65536; bits++) {
      short half = (short) bits;
      float fp16 = Half.fromFp16(half);
      float bf16 = Half.fromBf16(half);
      if (!Float.isNaN(fp16)) {
        assertEquals(half, Half.toFp16(fp16), "" + bits);
      } else {
        assertTrue(Float.isNaN(Half.fromFp16(Half.toFp16(fp16))));
      }
      if (!Float.isNaN(bf16)) {
        assertEquals(half, Half.toBf16(bf16), "" + bits);
      } else {
        assertTrue(Float.isNaN(Half.fromBf16(Half.toBf16(bf16))));
      }
    }
  }

  @Test
  void whatLiesBetweenHalvesIsRoundedToTheNearestTiesToEven() {
    for (int bits = 0; bits < 0x7bff; bits++) { // the finite ones and those next to them
      double low = Half.fromFp16((short) bits);
      double high = Half.fromFp16((short) (bits + 1));
      float middle = (float) ((low + high) / 2); // exact, as a float has more bits
      int even = bits % 2 == 0 ? bits : bits + 1;
      assertEquals((short) even, Half.toFp16(middle), "" + bits);
      assertEquals((short) bits, Half.toFp16(Math.nextDown(middle)), "" + bits);
      assertEquals((short) (bits + 1), Half.toFp16(Math.nextUp(middle)), "" + bits);
      assertEquals((short) (even | 0x8000), Half.toFp16(-middle), "" + bits);
    }
    assertEquals(0x7bff, Half.toFp16(65519));
    assertEquals(0x7c00, Half.toFp16(65520));
    assertEquals(0x7c00, Half.toFp16(Float.MAX_VALUE));
    for (int bits = 0; bits < 0x7f7f; bits++) {
      float middle = Float.intBitsToFloat((bits << 16) + 0x8000);
      int even = bits % 2 == 0 ? bits : bits + 1;
      assertEquals((short) even, Half.toBf16(middle), "" + bits);
      assertEquals((short) bits, Half.toBf16(Math.nextDown(middle)), "" + bits);
      assertEquals((short) (bits + 1), Half.toBf16(Math.nextUp(middle)), "" + bits);
    }
  }

  @Test
  void wrongArraysAreNamed() {
    InferInput input = new InferInput("X", new long[] {1}, DataType.FP32);
    IllegalArgumentException wrong =
        assertThrows(IllegalArgumentException.class, () -> input.setData(new short[] {1}, true));
    assertTrue(
        wrong.getMessage().startsWith("Could not set short[] as data of type: FP32"),
        wrong.getMessage());
    assertTrue(wrong.getMessage().contains("float[]") && wrong.getMessage().contains("X"));
    for (DataType type : DataType.values()) {
      Object other = type == DataType.BOOL ? (Object) new int[] {1} : (Object) new boolean[] {true};
      assertThrows(IllegalArgumentException.class, () -> set(type, other), type.name());
    }
  }

  private static void set(DataType type, Object array) {
    InferInput input = new InferInput("X", new long[] {1}, type);
    if (array instanceof int[]) {
      input.setData((int[]) array, true);
    } else {
      input.setData((boolean[]) array, true);
    }
  }

  @Test
  void countsMustFitTheShape() {
    long[] shape = {2, 2};
    List<Runnable> wrong =
        List.of(
            () -> new InferInput("X", shape, DataType.BOOL).setData(new boolean[3], true),
            () -> new InferInput("X", shape, DataType.INT8).setData(new byte[5], true),
            () -> new InferInput("X", shape, DataType.INT16).setData(new short[3], true),
            () -> new InferInput("X", shape, DataType.INT32).setData(new int[3], false),
            () -> new InferInput("X", shape, DataType.INT64).setData(new long[3], true),
            () -> new InferInput("X", shape, DataType.FP32).setData(new float[3], true),
            () -> new InferInput("X", shape, DataType.FP64).setData(new double[3], true),
            () -> new InferInput("X", shape, DataType.BYTES).setData(new String[] {"x"}, true),
            () -> new InferInput("X", shape, DataType.INT32).setData(ByteBuffer.allocate(15)),
            () -> new InferInput("X", shape, DataType.BYTES).setData(ByteBuffer.allocate(15)));
    for (Runnable each : wrong) {
      String text = assertThrows(IllegalArgumentException.class, each::run).getMessage();
      assertTrue(text.contains("X") && text.contains("[2, 2]"), text);
    }
  }

  @Test
  void argumentsAreChecked() {
    List<Runnable> wrong =
        List.of(
            () -> new InferInput(null, new long[] {1}, DataType.INT8),
            () -> new InferInput("", new long[] {1}, DataType.INT8),
            () -> new InferInput("X", null, DataType.INT8),
            () -> new InferInput("X", new long[] {1}, null),
            () -> new InferInput("X", new long[] {-1}, DataType.INT8),
            () -> new InferInput("X", new long[] {1L << 40, 1L << 40}, DataType.INT8),
            () -> new InferInput("X", new long[] {1}, DataType.INT8).setData((byte[]) null, true),
            () ->
                new InferInput("X", new long[] {1}, DataType.BYTES)
                    .setData(new String[] {null}, true),
            () ->
                new InferInput("X", new long[] {1}, DataType.BYTES)
                    .setData(new String[] {"\ud800"}, true),
            () ->
                new InferInput("X", new long[] {1}, DataType.FP32)
                    .setData(new float[] {Float.NaN}, false),
            () ->
                new InferInput("X", new long[] {1}, DataType.FP16).setData(new float[] {1}, false),
            () -> new InferInput("X", new long[] {1}, DataType.INT8).setSharedMemory("", 1, 0),
            () -> new InferInput("X", new long[] {1}, DataType.INT8).setSharedMemory("r", -1, 0),
            () -> InferInput.of("X", new Object(), 1),
            () -> InferInput.of("X", null, 1),
            () -> new InferRequestedOutput(""),
            () -> new InferRequestedOutput("X", true, -1),
            () -> InferRequest.of(""),
            () -> InferRequest.of("m").parameter("priority", 1),
            () -> InferRequest.of("m").parameter("triton_x", 1),
            () -> InferRequest.of("m").parameter("x", new Object()),
            () -> InferRequest.of("m").parameter("x", null),
            () -> InferRequest.of("m").serverTimeout(java.time.Duration.ZERO),
            () ->
                InferCodec.encode(
                    InferRequest.of("m").input(new InferInput("X", new long[] {1}, DataType.INT8))),
            () ->
                InferCodec.encode(
                    InferRequest.of("m").input("X", new int[] {1}, 1).input("X", new int[] {1}, 1)),
            () -> Client.of(null),
            () -> Client.of("localhost:8000"),
            () -> Client.of("grpc://localhost:8001"),
            () -> Client.of("http://"),
            () -> Client.of("http://a b"),
            () -> Client.of("http://h:99999"),
            () -> Client.of("http://h?x=1"),
            Client::builder,
            () -> Client.builder("http://h").timeout(java.time.Duration.ZERO),
            () -> Client.builder("http://h").retries(-1),
            () -> Client.builder("http://h").maxResponseSize(0),
            () -> Client.builder("http://h").header("Content-Length", "1"),
            () -> Client.builder("http://h").header("a b", "1"),
            () -> Client.builder("http://h").header("a", "1\r\nb: 2"),
            () -> Client.of("http://h").modelMetadata(""),
            () -> Client.of("http://h").modelMetadata(".."),
            () -> Client.of("http://h").serverMetadata().timeout(null),
            () -> Client.of("http://h").registerSystemSharedMemory("r", "/k", -1, 0));
    for (int i = 0; i < wrong.size(); i++) {
      String text =
          assertThrows(IllegalArgumentException.class, wrong.get(i)::run, "" + i).getMessage();
      assertTrue(text != null && text.length() > 5, i + ": " + text);
    }
  }

  @Test
  void unsignedNumbersKeepTheirValueAsJson() throws Exception {
    InferInput bytes = new InferInput("X", new long[] {2}, DataType.UINT8);
    bytes.setData(bytes(255, 1), false);
    assertEquals(List.of(255, 1), jsonData(bytes));
    InferInput shorts = new InferInput("X", new long[] {1}, DataType.UINT16);
    shorts.setData(new short[] {-1}, false);
    assertEquals(List.of(65535), jsonData(shorts));
    InferInput ints = new InferInput("X", new long[] {1}, DataType.UINT32);
    ints.setData(new int[] {-1}, false);
    assertEquals(List.of(4294967295L), jsonData(ints));
    InferInput longs = new InferInput("X", new long[] {1}, DataType.UINT64);
    longs.setData(new long[] {-1}, false);
    assertEquals("[18446744073709551615]", jsonData(longs).toString());
    InferInput texts = new InferInput("X", new long[] {1}, DataType.BYTES);
    String text = "\u00e9\"\\\n\u706b\ud83d\ude00";
    texts.setData(new String[] {text}, false);
    assertEquals(List.of(text), jsonData(texts));
  }

  @Test
  void anInputHasOneKindOfData() throws Exception {
    InferInput input = new InferInput("X", new long[] {1}, DataType.INT32);
    int[] values = {7};
    input.setData(values, false);
    values[0] = 8; // the data was converted
    assertEquals(List.of(7), jsonData(input));
    input.setData(new int[] {9}, true);
    Body binary = InferCodec.encode(InferRequest.of("m").input(input));
    assertNull(jsonData(input));
    assertTrue(new String(binary.toByteArray(), StandardCharsets.UTF_8).contains("_size\":4"));
    input.setData(new int[] {10}, false);
    assertEquals(List.of(10), jsonData(input));
    assertEquals(-1, InferCodec.encode(InferRequest.of("m").input(input)).headLength());
  }

  @Test
  void largeBodiesAreSentWithoutCopies() {
    byte[] memory = new byte[1 << 20];
    InferInput input = new InferInput("X", new long[] {1 << 20}, DataType.INT8);
    input.setData(ByteBuffer.wrap(memory));
    Body body = InferCodec.encode(InferRequest.of("m").input(input));
    assertEquals(memory, body.parts().get(1).array());
  }
}
