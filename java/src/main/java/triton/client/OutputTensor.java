package triton.client;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Arrays;
import java.util.Map;
import triton.client.internal.Checks;
import triton.client.internal.Tensors;
import triton.client.pojo.DataType;

/** An output of an answer. */
public final class OutputTensor {
  private final String name;
  private final String datatype;
  private final DataType known;
  private final long[] shape;
  private final long elementCount;
  private final Map<String, Object> parameters;
  private final ByteBuffer data;
  private final boolean binary;

  /**
   * Creates an output.
   *
   * @param name its name
   * @param datatype the protocol's name of its datatype
   * @param shape the size of each dimension
   * @param data its wire bytes, from position to limit; null when it lies in shared memory
   * @param parameters its parameters
   * @throws IllegalArgumentException the bytes are not those of a tensor of this shape
   */
  public OutputTensor(
      String name, String datatype, long[] shape, ByteBuffer data, Map<String, Object> parameters) {
    this(name, datatype, shape, data, parameters, true);
  }

  OutputTensor(
      String name,
      String datatype,
      long[] shape,
      ByteBuffer data,
      Map<String, Object> parameters,
      boolean binary) {
    this.name = Checks.name("name of an output", name);
    this.datatype = Checks.name("datatype of output " + name, datatype);
    this.known = Tensors.datatype(datatype);
    this.shape = shape;
    this.elementCount = Tensors.elementCount(shape);
    this.data = data == null ? null : data.slice().order(ByteOrder.LITTLE_ENDIAN);
    this.parameters = parameters;
    this.binary = binary;
    if (data != null && known != null) {
      String mismatch = Tensors.mismatch(known, elementCount, this.data);
      if (mismatch != null) {
        throw new IllegalArgumentException(
            String.format(
                "output %s, %s of shape %s, has %d bytes of data: %s",
                name, datatype, Arrays.toString(shape), data.remaining(), mismatch));
      }
    }
  }

  /** {@return the output's name} */
  public String name() {
    return name;
  }

  /** {@return the protocol's name of the datatype} */
  public String datatype() {
    return datatype;
  }

  /** {@return the size of each dimension} */
  public long[] shape() {
    return shape.clone();
  }

  /** {@return the output's parameters} */
  public Map<String, Object> parameters() {
    return parameters;
  }

  /** {@return the wire bytes, little-endian and read-only; null for an output in shared memory} */
  public ByteBuffer data() {
    return data == null ? null : data.asReadOnlyBuffer().order(ByteOrder.LITTLE_ENDIAN);
  }

  /** The bytes for those who do not change them. */
  ByteBuffer bytes() {
    return data;
  }

  DataType known() {
    return known;
  }

  int elementCount() {
    return (int) elementCount;
  }

  boolean isBinary() {
    return binary;
  }
}
