package triton.client.pojo;

/** The JSON description of a tensor. */
public class IOTensor {
  private String name;
  private long[] shape;
  private DataType datatype;
  private Parameters parameters;
  private Object[] data;

  /** Creates an empty bean. */
  public IOTensor() {}

  /** {@return the tensor's name} */
  public String getName() {
    return name;
  }

  /**
   * Sets the tensor's name.
   *
   * @param name the name
   */
  public void setName(String name) {
    this.name = name;
  }

  /** {@return the size of each dimension} */
  public long[] getShape() {
    return shape;
  }

  /**
   * Sets the size of each dimension.
   *
   * @param shape the sizes
   */
  public void setShape(long[] shape) {
    this.shape = shape;
  }

  /** {@return the datatype, or null for one that this library does not know} */
  public DataType getDatatype() {
    return datatype;
  }

  /**
   * Sets the datatype.
   *
   * @param datatype the datatype
   */
  public void setDatatype(DataType datatype) {
    this.datatype = datatype;
  }

  /** {@return the tensor's parameters} */
  public Parameters getParameters() {
    return parameters;
  }

  /**
   * Sets the tensor's parameters.
   *
   * @param parameters the parameters
   */
  public void setParameters(Parameters parameters) {
    this.parameters = parameters;
  }

  /** {@return the elements of a tensor that was sent as JSON, otherwise null} */
  public Object[] getData() {
    return data;
  }

  /**
   * Sets the elements.
   *
   * @param data the elements in row-major order
   */
  public void setData(Object[] data) {
    this.data = data;
  }
}
