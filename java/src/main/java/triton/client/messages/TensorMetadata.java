package triton.client.messages;

import java.util.Arrays;

/** A model's input or output. A dimension of -1 takes any size. */
public final class TensorMetadata {
  private final String name;
  private final String datatype;
  private final long[] shape;

  /**
   * Creates one, for tests of programs that use them.
   *
   * @param name its name
   * @param datatype the protocol's name of its datatype
   * @param shape the size of each dimension
   */
  public TensorMetadata(String name, String datatype, long[] shape) {
    this.name = name;
    this.datatype = datatype;
    this.shape = shape.clone();
  }

  /** {@return its name} */
  public String name() {
    return name;
  }

  /** {@return the protocol's name of its datatype} */
  public String datatype() {
    return datatype;
  }

  /** {@return the size of each dimension} */
  public long[] shape() {
    return shape.clone();
  }

  @Override
  public String toString() {
    return "TensorMetadata["
        + "name="
        + name
        + ", datatype="
        + datatype
        + ", shape="
        + Arrays.toString(shape)
        + "]";
  }
}
