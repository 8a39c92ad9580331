package triton.client;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.Map;
import triton.client.internal.Checks;
import triton.client.internal.Tensors;
import triton.client.pojo.DataType;

/**
 * An input tensor. Its data is converted when it is set, so that later changes of the array have no
 * effect. An input may be sent by several requests and threads, as long as none of them sets
 * anything.
 */
public class InferInput {
  private final String name;
  private final long[] shape;
  private final DataType datatype;
  private final long elementCount;
  private final Map<String, Object> parameters = new LinkedHashMap<>();

  private ByteBuffer data;
  private boolean binary = true;
  private SharedMemoryBlock block;

  /** What the codec remembers: the JSON that describes this input. Null when something was set. */
  volatile byte[] description;

  /**
   * Creates an input without data.
   *
   * @param name the input's name
   * @param shape the size of each dimension
   * @param dataType the datatype of its elements
   * @throws IllegalArgumentException a name, shape or datatype is missing, or a size is negative
   */
  public InferInput(String name, long[] shape, DataType dataType) {
    this.name = Checks.name("name of an input", name);
    this.shape = Checks.notNull("shape of input " + name, shape).clone();
    this.datatype = Checks.notNull("datatype of input " + name, dataType);
    try {
      this.elementCount = Tensors.elementCount(shape);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException("input " + name + ": " + e.getMessage(), e);
    }
  }

  /**
   * Creates an input with data that is sent as binary data. The array's kind tells the datatype:
   * BOOL, INT8, INT16, INT32, INT64, FP32, FP64, and BYTES for String[] and byte[][].
   *
   * @param name the input's name
   * @param data its elements in row-major order
   * @param shape the size of each dimension
   * @return the input
   * @throws IllegalArgumentException the data is no such array, or does not fit the shape
   */
  public static InferInput of(String name, Object data, long... shape) {
    InferInput input = new InferInput(name, shape, datatypeOf(name, data));
    input.set(data, true);
    return input;
  }

  private static DataType datatypeOf(String name, Object data) {
    for (DataType type :
        new DataType[] {
          DataType.INT32,
          DataType.FP32,
          DataType.INT64,
          DataType.FP64,
          DataType.INT8,
          DataType.INT16,
          DataType.BOOL
        }) {
      if (data != null && data.getClass().getSimpleName().equals(Tensors.arrayOf(type))) {
        return type;
      }
    }
    if (data instanceof String[] || data instanceof byte[][]) {
      return DataType.BYTES;
    }
    throw new IllegalArgumentException(
        "data of input "
            + name
            + " is "
            + (data == null ? "null" : data.getClass().getSimpleName())
            + ", expected an array of a primitive type, String[] or byte[][]");
  }

  /** {@return the input's name} */
  public String getName() {
    return name;
  }

  /** {@return the size of each dimension} */
  public long[] getShape() {
    return shape.clone();
  }

  /** {@return the datatype of the elements} */
  public DataType getDatatype() {
    return datatype;
  }

  /**
   * {@return the wire bytes of the data, read-only; null when none was set or it lies in shared
   * memory}
   */
  public ByteBuffer getData() {
    return data == null ? null : data.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** {@return whether the data is sent as binary data, rather than as JSON} */
  public boolean isBinary() {
    return binary;
  }

  /** {@return the input's own parameters, and those that name its shared memory} */
  public Map<String, Object> getParameters() {
    Map<String, Object> all = new LinkedHashMap<>(parameters);
    if (block != null) {
      block.describe(all);
    }
    return all;
  }

  /**
   * Sets the elements of an input of datatype BOOL.
   *
   * @param data the elements in row-major order
   * @param isBinaryData whether to send them as binary data, rather than as JSON
   * @throws IllegalArgumentException the datatype is another, or the number of elements does not
   *     fit the shape
   */
  public void setData(boolean[] data, boolean isBinaryData) {
    set(data, isBinaryData);
  }

  /**
   * Sets the elements of an input of datatype INT8 or UINT8.
   *
   * @param data the elements in row-major order
   * @param isBinaryData whether to send them as binary data, rather than as JSON
   * @throws IllegalArgumentException the datatype is another, or the number of elements does not
   *     fit the shape
   */
  public void setData(byte[] data, boolean isBinaryData) {
    set(data, isBinaryData);
  }

  /**
   * Sets the elements of an input of datatype INT16 or UINT16.
   *
   * @param data the elements in row-major order
   * @param isBinaryData whether to send them as binary data, rather than as JSON
   * @throws IllegalArgumentException the datatype is another, or the number of elements does not
   *     fit the shape
   */
  public void setData(short[] data, boolean isBinaryData) {
    set(data, isBinaryData);
  }

  /**
   * Sets the elements of an input of datatype INT32 or UINT32.
   *
   * @param data the elements in row-major order
   * @param isBinaryData whether to send them as binary data, rather than as JSON
   * @throws IllegalArgumentException the datatype is another, or the number of elements does not
   *     fit the shape
   */
  public void setData(int[] data, boolean isBinaryData) {
    set(data, isBinaryData);
  }

  /**
   * Sets the elements of an input of datatype INT64 or UINT64.
   *
   * @param data the elements in row-major order
   * @param isBinaryData whether to send them as binary data, rather than as JSON
   * @throws IllegalArgumentException the datatype is another, or the number of elements does not
   *     fit the shape
   */
  public void setData(long[] data, boolean isBinaryData) {
    set(data, isBinaryData);
  }

  /**
   * Sets the elements of an input of datatype FP32, or of FP16 or BF16, to which they are rounded.
   *
   * @param data the elements in row-major order
   * @param isBinaryData whether to send them as binary data, rather than as JSON
   * @throws IllegalArgumentException the datatype is another, or the number of elements does not
   *     fit the shape
   */
  public void setData(float[] data, boolean isBinaryData) {
    set(data, isBinaryData);
  }

  /**
   * Sets the elements of an input of datatype FP64.
   *
   * @param data the elements in row-major order
   * @param isBinaryData whether to send them as binary data, rather than as JSON
   * @throws IllegalArgumentException the datatype is another, or the number of elements does not
   *     fit the shape
   */
  public void setData(double[] data, boolean isBinaryData) {
    set(data, isBinaryData);
  }

  /**
   * Sets the elements of an input of datatype BYTES, as UTF-8.
   *
   * @param data the elements in row-major order
   * @param isBinaryData whether to send them as binary data, rather than as JSON
   * @throws IllegalArgumentException the datatype is another, or the number of elements does not
   *     fit the shape
   */
  public void setData(String[] data, boolean isBinaryData) {
    set(data, isBinaryData);
  }

  /**
   * Sets the elements of an input of datatype BYTES.
   *
   * @param data the elements in row-major order
   * @param isBinaryData whether to send them as binary data, rather than as JSON
   * @throws IllegalArgumentException the datatype is another, or the number of elements does not
   *     fit the shape
   */
  public void setData(byte[][] data, boolean isBinaryData) {
    set(data, isBinaryData);
  }

  /**
   * Sets the wire bytes of the data, which are sent as binary data. They are not copied: they must
   * stay as they are until the calls that send them have ended.
   *
   * @param wireBytes the bytes, from position to limit, little-endian and in row-major order; each
   *     element of BYTES has its length in front, as four bytes
   * @throws IllegalArgumentException they do not fit datatype and shape
   */
  public void setData(ByteBuffer wireBytes) {
    ByteBuffer bytes =
        Checks.notNull("data of input " + name, wireBytes).slice().order(ByteOrder.LITTLE_ENDIAN);
    String mismatch = Tensors.mismatch(datatype, elementCount, bytes);
    if (mismatch != null) {
      throw new IllegalArgumentException(
          String.format(
              "input %s, %s of shape %s, can't have %d bytes of data: %s",
              name, datatype, Arrays.toString(shape), bytes.remaining(), mismatch));
    }
    put(bytes, true);
  }

  private void set(Object values, boolean isBinaryData) {
    byte[] packed;
    try {
      packed = Tensors.pack(datatype, values);
    } catch (IllegalArgumentException e) {
      throw new IllegalArgumentException(e.getMessage() + " (input " + name + ")", e);
    }
    long given = java.lang.reflect.Array.getLength(values);
    if (given != elementCount) {
      throw new IllegalArgumentException(
          String.format(
              "input %s of shape %s takes %d elements, got %d",
              name, Arrays.toString(shape), elementCount, given));
    }
    if (!isBinaryData) {
      InferCodec.checkJson(this, values);
    }
    put(ByteBuffer.wrap(packed).order(ByteOrder.LITTLE_ENDIAN), isBinaryData);
  }

  private void put(ByteBuffer bytes, boolean isBinaryData) {
    data = bytes;
    binary = isBinaryData;
    block = null;
    description = null;
  }

  /**
   * Says that the data lies in shared memory, which the server knows by this name.
   *
   * @param region the name of the registered region
   * @param byteSize the size of the data in bytes
   * @param offset where it begins in the region
   * @throws IllegalArgumentException the name is missing, or a number is negative
   */
  public void setSharedMemory(String region, long byteSize, long offset) {
    block = new SharedMemoryBlock(region, byteSize, offset);
    data = null;
    description = null;
  }

  /**
   * Sets a parameter of this input.
   *
   * @param key its name
   * @param value its value: a text, a number or a Boolean
   * @throws IllegalArgumentException the value is of another kind, or the client sets this one
   */
  public void setParameter(String key, Object value) {
    Checks.parameter(key, value);
    if (key.equals("binary_data_size") || key.startsWith("shared_memory_")) {
      throw new IllegalArgumentException(
          "parameter " + key + " of input " + name + " is set by the client itself");
    }
    parameters.put(key, value);
    description = null;
  }

  ByteBuffer data() {
    return data;
  }

  long[] shape() {
    return shape;
  }
}
