package triton.client.internal;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import triton.client.pojo.DataType;

/**
 * Arrays and the bytes that stand for them on the wire: little-endian, in row-major order. Each
 * element of BYTES has its length in front, as four bytes.
 */
public final class Tensors {
  private static final int LENGTH_SIZE = 4;

  private Tensors() {}

  /** The datatype of this name, or null when it is not known. */
  public static DataType datatype(String name) {
    for (DataType known : DataType.values()) {
      if (known.name().equals(name)) {
        return known;
      }
    }
    return null;
  }

  /**
   * Returns the number of elements of a shape.
   *
   * @throws IllegalArgumentException a size is negative, or there are too many elements
   */
  public static long elementCount(long[] shape) {
    long count = 1;
    for (long size : shape) {
      if (size < 0) {
        throw new IllegalArgumentException(
            "the shape is " + Arrays.toString(shape) + ", expected sizes from 0");
      }
    }
    for (long size : shape) {
      if (size == 0) {
        return 0;
      }
    }
    for (long size : shape) {
      if (Math.multiplyHigh(count, size) != 0 || count * size < 0) {
        throw new IllegalArgumentException(
            "the shape is " + Arrays.toString(shape) + ", which has too many elements");
      }
      count *= size;
    }
    return count;
  }

  /**
   * Returns the wire bytes of an array.
   *
   * @throws IllegalArgumentException the datatype takes another kind of array
   */
  public static byte[] pack(DataType type, Object array) {
    if (array == null) {
      throw new IllegalArgumentException("data is null, expected " + arrayOf(type));
    }
    switch (type) {
      case BOOL:
        return packBooleans(as(boolean[].class, type, array));
      case INT8:
      case UINT8:
        return as(byte[].class, type, array).clone();
      case INT16:
      case UINT16:
        short[] shorts = as(short[].class, type, array);
        ByteBuffer forShorts = allocate(shorts.length, type);
        forShorts.asShortBuffer().put(shorts);
        return forShorts.array();
      case INT32:
      case UINT32:
        int[] ints = as(int[].class, type, array);
        ByteBuffer forInts = allocate(ints.length, type);
        forInts.asIntBuffer().put(ints);
        return forInts.array();
      case INT64:
      case UINT64:
        long[] longs = as(long[].class, type, array);
        ByteBuffer forLongs = allocate(longs.length, type);
        forLongs.asLongBuffer().put(longs);
        return forLongs.array();
      case FP16:
      case BF16:
        return packHalves(as(float[].class, type, array), type);
      case FP32:
        float[] floats = as(float[].class, type, array);
        ByteBuffer forFloats = allocate(floats.length, type);
        forFloats.asFloatBuffer().put(floats);
        return forFloats.array();
      case FP64:
        double[] doubles = as(double[].class, type, array);
        ByteBuffer forDoubles = allocate(doubles.length, type);
        forDoubles.asDoubleBuffer().put(doubles);
        return forDoubles.array();
      default:
        return array instanceof byte[][]
            ? packBytes((byte[][]) array)
            : packBytes(encode(as(String[].class, type, array)));
    }
  }

  /** The kind of array that holds elements of a datatype, for error messages. */
  public static String arrayOf(DataType type) {
    switch (type) {
      case BOOL:
        return "boolean[]";
      case INT8:
      case UINT8:
        return "byte[]";
      case INT16:
      case UINT16:
        return "short[]";
      case INT32:
      case UINT32:
        return "int[]";
      case INT64:
      case UINT64:
        return "long[]";
      case FP16:
      case BF16:
      case FP32:
        return "float[]";
      case FP64:
        return "double[]";
      default:
        return "String[] or byte[][]";
    }
  }

  private static <A> A as(Class<A> kind, DataType type, Object array) {
    if (!kind.isInstance(array)) {
      throw new IllegalArgumentException(
          "Could not set "
              + array.getClass().getSimpleName()
              + " as data of type: "
              + type
              + ", which takes "
              + arrayOf(type));
    }
    return kind.cast(array);
  }

  private static ByteBuffer allocate(int count, DataType type) {
    return ByteBuffer.wrap(new byte[byteSize((long) count * type.numByte)])
        .order(ByteOrder.LITTLE_ENDIAN);
  }

  private static int byteSize(long size) {
    if (size > Integer.MAX_VALUE - 8) {
      throw new IllegalArgumentException(
          "the data has " + size + " bytes, expected at most 2 GiB; send it in several requests");
    }
    return (int) size;
  }

  private static byte[] packBooleans(boolean[] values) {
    byte[] packed = new byte[values.length];
    for (int i = 0; i < packed.length; i++) {
      packed[i] = (byte) (values[i] ? 1 : 0);
    }
    return packed;
  }

  private static byte[] packHalves(float[] values, DataType type) {
    short[] halves = new short[values.length];
    for (int i = 0; i < halves.length; i++) {
      halves[i] = type == DataType.FP16 ? Half.toFp16(values[i]) : Half.toBf16(values[i]);
    }
    ByteBuffer packed = allocate(halves.length, type);
    packed.asShortBuffer().put(halves);
    return packed.array();
  }

  private static byte[][] encode(String[] values) {
    byte[][] encoded = new byte[values.length][];
    for (int i = 0; i < encoded.length; i++) {
      if (values[i] == null) {
        throw new IllegalArgumentException("element " + i + " of the data is null");
      }
      checkText(values[i], i);
      encoded[i] = values[i].getBytes(UTF_8);
    }
    return encoded;
  }

  /** A lone surrogate has no UTF-8, and getBytes would put a question mark in its place. */
  private static void checkText(String text, int index) {
    for (int i = 0; i < text.length(); i++) {
      char c = text.charAt(i);
      if (!Character.isSurrogate(c)) {
        continue;
      }
      boolean pair =
          Character.isHighSurrogate(c)
              && i + 1 < text.length()
              && Character.isLowSurrogate(text.charAt(i + 1));
      if (!pair) {
        throw new IllegalArgumentException(
            "element " + index + " of the data has half of a surrogate pair at position " + i);
      }
      i++;
    }
  }

  private static byte[] packBytes(byte[][] values) {
    long size = 0;
    for (int i = 0; i < values.length; i++) {
      if (values[i] == null) {
        throw new IllegalArgumentException("element " + i + " of the data is null");
      }
      size += LENGTH_SIZE + values[i].length;
    }
    ByteBuffer packed = ByteBuffer.wrap(new byte[byteSize(size)]).order(ByteOrder.LITTLE_ENDIAN);
    for (byte[] value : values) {
      packed.putInt(value.length).put(value);
    }
    return packed.array();
  }

  // Reading. The buffers are little-endian, from position to limit, and were checked on arrival.

  /** Returns the elements of a BOOL tensor. */
  public static boolean[] booleans(ByteBuffer data) {
    boolean[] values = new boolean[data.remaining()];
    for (int i = 0; i < values.length; i++) {
      values[i] = data.get(data.position() + i) != 0;
    }
    return values;
  }

  /** Returns the elements of an FP16, BF16 or FP32 tensor. */
  public static float[] floats(DataType type, ByteBuffer data) {
    float[] values = new float[data.remaining() / type.numByte];
    if (type == DataType.FP32) {
      data.asFloatBuffer().get(values);
      return values;
    }
    for (int i = 0; i < values.length; i++) {
      short half = data.getShort(data.position() + 2 * i);
      values[i] = type == DataType.FP16 ? Half.fromFp16(half) : Half.fromBf16(half);
    }
    return values;
  }

  /** Returns the elements of a BYTES tensor of that many elements. */
  public static byte[][] bytes(ByteBuffer data, int count) {
    ByteBuffer rest = data.duplicate().order(ByteOrder.LITTLE_ENDIAN);
    byte[][] values = new byte[count][];
    for (int i = 0; i < count; i++) {
      values[i] = new byte[rest.getInt()];
      rest.get(values[i]);
    }
    return values;
  }

  /** Returns why a buffer can't be the data of a tensor, or null when it can. */
  public static String mismatch(DataType type, long count, ByteBuffer data) {
    if (type != DataType.BYTES) {
      boolean fits =
          data.remaining() % type.numByte == 0 && data.remaining() / type.numByte == count;
      return fits ? null : "expected " + count + " elements of " + type.numByte + " bytes";
    }
    int position = data.position();
    for (long i = 0; i < count; i++) {
      if (data.limit() - position < LENGTH_SIZE) {
        return "it ends before element " + i + " of " + count;
      }
      int length = data.getInt(position);
      position += LENGTH_SIZE;
      if (length < 0 || length > data.limit() - position) {
        return "element " + i + " goes beyond its end";
      }
      position += length;
    }
    return position == data.limit() ? null : "bytes follow the last of its " + count + " elements";
  }
}
