package triton.client;

import java.nio.ByteBuffer;
import java.nio.FloatBuffer;
import java.util.ArrayList;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import triton.client.internal.Checks;
import triton.client.internal.Tensors;
import triton.client.pojo.DataType;
import triton.client.pojo.IOTensor;
import triton.client.pojo.InferenceResponse;
import triton.client.pojo.Parameters;

/**
 * The answer of a model. Its getters return null when there is no output of the name, or when the
 * output lies in shared memory.
 */
public class InferResult {
  private final String modelName;
  private final String modelVersion;
  private final String id;
  private final Map<String, Object> parameters;
  private final List<OutputTensor> outputs;

  /**
   * Creates an answer, for tests of programs that use them.
   *
   * @param modelName the model's name
   * @param modelVersion the model's version
   * @param id the request's id, or ""
   * @param parameters the answer's own parameters
   * @param outputs the outputs
   */
  public InferResult(
      String modelName,
      String modelVersion,
      String id,
      Map<String, Object> parameters,
      List<OutputTensor> outputs) {
    this.modelName = modelName;
    this.modelVersion = modelVersion;
    this.id = id;
    this.parameters = Checks.notNull("parameters", parameters);
    this.outputs = Checks.notNull("outputs", outputs);
  }

  /** Where the data of a binary output lies in {@link InferResult#getBinaryData()}. */
  public static final class Index {
    private final int start;
    private final int length;

    Index(int start, int length) {
      this.start = start;
      this.length = length;
    }

    /** {@return the position of its first byte} */
    public int getStart() {
      return start;
    }

    /** {@return its size in bytes} */
    public int getLength() {
      return length;
    }
  }

  /** {@return the model's name} */
  public String getModelName() {
    return modelName;
  }

  /** {@return the version of the model that answered} */
  public String getModelVersion() {
    return modelVersion;
  }

  /** {@return the id of the request, or ""} */
  public String getId() {
    return id;
  }

  /** {@return the answer's own parameters} */
  public Map<String, Object> getParameters() {
    return Collections.unmodifiableMap(parameters);
  }

  /** {@return the names of the outputs} */
  public List<String> getOutputs() {
    List<String> names = new ArrayList<>(outputs.size());
    for (OutputTensor output : outputs) {
      names.add(output.name());
    }
    return names;
  }

  /**
   * Returns an output with its datatype, shape and bytes.
   *
   * @param output its name
   * @return the output, or null when there is none of that name
   */
  public OutputTensor getOutput(String output) {
    for (OutputTensor tensor : outputs) {
      if (tensor.name().equals(output)) {
        return tensor;
      }
    }
    return null;
  }

  /**
   * Returns the shape of an output.
   *
   * @param output its name
   * @return the size of each dimension, or null when there is no such output
   */
  public long[] getShape(String output) {
    OutputTensor tensor = getOutput(output);
    return tensor == null ? null : tensor.shape();
  }

  /**
   * Returns the elements of a BOOL output.
   *
   * @param output its name
   * @return the elements in row-major order, or null when there is no such output
   * @throws IllegalArgumentException its datatype is another
   */
  public boolean[] getOutputAsBool(String output) {
    OutputTensor tensor = find(output, "boolean[]", DataType.BOOL);
    return tensor == null ? null : Tensors.booleans(tensor.bytes());
  }

  /**
   * Returns the elements of an INT8 or UINT8 output.
   *
   * @param output its name
   * @return the elements in row-major order, or null when there is no such output
   * @throws IllegalArgumentException its datatype is another
   */
  public byte[] getOutputAsByte(String output) {
    OutputTensor tensor = find(output, "byte[]", DataType.INT8, DataType.UINT8);
    if (tensor == null) {
      return null;
    }
    byte[] values = new byte[tensor.elementCount()];
    tensor.bytes().duplicate().get(values);
    return values;
  }

  /**
   * Returns the elements of an INT16 or UINT16 output.
   *
   * @param output its name
   * @return the elements in row-major order, or null when there is no such output
   * @throws IllegalArgumentException its datatype is another
   */
  public short[] getOutputAsShort(String output) {
    OutputTensor tensor = find(output, "short[]", DataType.INT16, DataType.UINT16);
    if (tensor == null) {
      return null;
    }
    short[] values = new short[tensor.elementCount()];
    tensor.bytes().asShortBuffer().get(values);
    return values;
  }

  /**
   * Returns the elements of an INT32 or UINT32 output.
   *
   * @param output its name
   * @return the elements in row-major order, or null when there is no such output
   * @throws IllegalArgumentException its datatype is another
   */
  public int[] getOutputAsInt(String output) {
    OutputTensor tensor = find(output, "int[]", DataType.INT32, DataType.UINT32);
    if (tensor == null) {
      return null;
    }
    int[] values = new int[tensor.elementCount()];
    tensor.bytes().asIntBuffer().get(values);
    return values;
  }

  /**
   * Returns the elements of an INT64 or UINT64 output.
   *
   * @param output its name
   * @return the elements in row-major order, or null when there is no such output
   * @throws IllegalArgumentException its datatype is another
   */
  public long[] getOutputAsLong(String output) {
    OutputTensor tensor = find(output, "long[]", DataType.INT64, DataType.UINT64);
    if (tensor == null) {
      return null;
    }
    long[] values = new long[tensor.elementCount()];
    tensor.bytes().asLongBuffer().get(values);
    return values;
  }

  /**
   * Returns the elements of an FP32, FP16 or BF16 output.
   *
   * @param output its name
   * @return the elements in row-major order, or null when there is no such output
   * @throws IllegalArgumentException its datatype is another
   */
  public float[] getOutputAsFloat(String output) {
    OutputTensor tensor = find(output, "float[]", DataType.FP32, DataType.FP16, DataType.BF16);
    return tensor == null ? null : Tensors.floats(tensor.known(), tensor.bytes());
  }

  /**
   * Returns the elements of an FP32 output as they lie in the answer, without a copy.
   *
   * @param output its name
   * @return the elements in row-major order, read-only, or null when there is no such output
   * @throws IllegalArgumentException its datatype is another
   */
  public FloatBuffer getOutputAsFloatBuffer(String output) {
    OutputTensor tensor = find(output, "FloatBuffer", DataType.FP32);
    return tensor == null ? null : tensor.data().asFloatBuffer();
  }

  /**
   * Returns the elements of an FP64 output.
   *
   * @param output its name
   * @return the elements in row-major order, or null when there is no such output
   * @throws IllegalArgumentException its datatype is another
   */
  public double[] getOutputAsDouble(String output) {
    OutputTensor tensor = find(output, "double[]", DataType.FP64);
    if (tensor == null) {
      return null;
    }
    double[] values = new double[tensor.elementCount()];
    tensor.bytes().asDoubleBuffer().get(values);
    return values;
  }

  /**
   * Returns the elements of a BYTES output.
   *
   * @param output its name
   * @return the elements in row-major order, or null when there is no such output
   * @throws IllegalArgumentException its datatype is another
   */
  public byte[][] getOutputAsBytes(String output) {
    OutputTensor tensor = find(output, "byte[][]", DataType.BYTES);
    return tensor == null ? null : Tensors.bytes(tensor.bytes(), tensor.elementCount());
  }

  /**
   * Returns the elements of a BYTES output as texts. What is not UTF-8 becomes U+FFFD.
   *
   * @param output its name
   * @return the elements in row-major order, or null when there is no such output
   * @throws IllegalArgumentException its datatype is another
   */
  public String[] getOutputAsString(String output) {
    byte[][] elements = getOutputAsBytes(output);
    if (elements == null) {
      return null;
    }
    String[] values = new String[elements.length];
    for (int i = 0; i < values.length; i++) {
      values[i] = new String(elements[i], java.nio.charset.StandardCharsets.UTF_8);
    }
    return values;
  }

  /**
   * Returns the classes of an output that was asked for with a class count.
   *
   * @param output its name
   * @return the classes, best first; for a batch those of each element one after the other; null
   *     when there is no such output
   * @throws IllegalArgumentException the output does not hold classes
   */
  public List<Classification> getClasses(String output) {
    String[] texts = getOutputAsString(output);
    if (texts == null) {
      return null;
    }
    List<Classification> classes = new ArrayList<>(texts.length);
    for (String text : texts) {
      classes.add(Classification.parse(text));
    }
    return classes;
  }

  /**
   * Returns the JSON of the answer.
   *
   * @return a bean that describes the outputs; those that came as JSON also have their data
   */
  public InferenceResponse getResponse() {
    InferenceResponse response = new InferenceResponse();
    response.setModelName(modelName);
    response.setModelVersion(modelVersion);
    response.setId(id.isEmpty() ? null : id);
    response.setParameters(parameters.isEmpty() ? null : new Parameters(parameters));
    List<IOTensor> described = new ArrayList<>();
    for (OutputTensor output : outputs) {
      described.add(describe(output));
    }
    response.setOutputs(described);
    return response;
  }

  private static IOTensor describe(OutputTensor output) {
    IOTensor tensor = new IOTensor();
    tensor.setName(output.name());
    tensor.setShape(output.shape());
    tensor.setDatatype(output.known());
    Parameters parameters = new Parameters(output.parameters());
    if (output.bytes() != null && output.isBinary()) {
      parameters.put(Parameters.KEY_BINARY_DATA_SIZE, output.bytes().remaining());
    } else if (output.bytes() != null) {
      tensor.setData(InferCodec.jsonValues(output));
    }
    tensor.setParameters(parameters.isEmpty() ? null : parameters);
    return tensor;
  }

  /**
   * Returns the data of the binary outputs, one behind the other.
   *
   * @return a copy, or null when no output came as binary data
   */
  public byte[] getBinaryData() {
    int size = 0;
    for (Index index : getNameToBinaryIdx().values()) {
      size += index.length;
    }
    if (size == 0 && getNameToBinaryIdx().isEmpty()) {
      return null;
    }
    ByteBuffer all = ByteBuffer.allocate(size);
    for (OutputTensor output : outputs) {
      if (output.bytes() != null && output.isBinary()) {
        all.put(output.bytes().duplicate());
      }
    }
    return all.array();
  }

  /** {@return where the binary outputs lie in {@link #getBinaryData()}, by name} */
  public Map<String, Index> getNameToBinaryIdx() {
    Map<String, Index> positions = new LinkedHashMap<>();
    int start = 0;
    for (OutputTensor output : outputs) {
      if (output.bytes() != null && output.isBinary()) {
        positions.put(output.name(), new Index(start, output.bytes().remaining()));
        start += output.bytes().remaining();
      }
    }
    return positions;
  }

  private OutputTensor find(String output, String as, DataType... types) {
    OutputTensor tensor = getOutput(output);
    if (tensor == null) {
      return null;
    }
    for (DataType type : types) {
      if (type == tensor.known()) {
        return tensor.bytes() == null ? null : tensor;
      }
    }
    throw new IllegalArgumentException(
        "Could not get output "
            + output
            + " of datatype "
            + tensor.datatype()
            + " as "
            + as
            + (tensor.known() == null ? "" : ", expected " + Tensors.arrayOf(tensor.known())));
  }
}
