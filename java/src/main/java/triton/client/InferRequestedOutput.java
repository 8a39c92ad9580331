package triton.client;

import java.util.LinkedHashMap;
import java.util.Map;
import triton.client.internal.Checks;
import triton.client.pojo.IOTensor;
import triton.client.pojo.Parameters;

/** An output to return. */
public class InferRequestedOutput {
  private final IOTensor tensor = new IOTensor();

  /**
   * Creates an output that comes back as binary data.
   *
   * @param name the output's name
   */
  public InferRequestedOutput(String name) {
    this(name, true);
  }

  /**
   * Creates an output.
   *
   * @param name the output's name
   * @param isBinary whether it comes back as binary data, rather than as JSON
   */
  public InferRequestedOutput(String name, boolean isBinary) {
    this(name, isBinary, 0);
  }

  /**
   * Creates an output.
   *
   * @param name the output's name
   * @param isBinary whether it comes back as binary data, rather than as JSON
   * @param classCount return this many best classes as texts "value:index:label", rather than the
   *     tensor; 0 for the tensor
   * @throws IllegalArgumentException the name is missing, or the number is negative
   */
  public InferRequestedOutput(String name, boolean isBinary, int classCount) {
    tensor.setName(Checks.name("name of an output", name));
    Checks.notNegative("classCount of output " + name, classCount);
    Parameters parameters = new Parameters();
    if (classCount != 0) {
      parameters.put("classification", classCount);
    }
    parameters.put("binary_data", isBinary);
    tensor.setParameters(parameters);
  }

  /**
   * Lets the server put the output into shared memory, which it knows by this name.
   *
   * @param region the name of the registered region
   * @param byteSize how many bytes the output may take
   * @param offset where it begins in the region
   * @throws IllegalArgumentException the name is missing, or a number is negative
   */
  public void setSharedMemory(String region, long byteSize, long offset) {
    Map<String, Object> all = tensor.getParameters().toMap();
    all.keySet().removeIf(key -> key.startsWith("shared_memory_"));
    // What goes to shared memory is not sent, so it must not be asked for as binary data.
    all.put("binary_data", false);
    new SharedMemoryBlock(region, byteSize, offset).describe(all);
    tensor.setParameters(new Parameters(all));
  }

  /**
   * Sets a parameter of this output.
   *
   * @param key its name
   * @param value its value: a text, a number or a Boolean
   * @throws IllegalArgumentException the value is of another kind
   */
  public void setParameter(String key, Object value) {
    Checks.parameter(key, value);
    tensor.getParameters().put(key, value);
  }

  /** {@return the JSON description of the output} */
  public IOTensor getTensor() {
    return tensor;
  }

  Map<String, Object> describe() {
    Map<String, Object> members = new LinkedHashMap<>();
    members.put("name", tensor.getName());
    members.put("parameters", parameters());
    return members;
  }

  /** {@return a copy of the output's parameters} */
  public Map<String, Object> parameters() {
    return tensor.getParameters() == null ? Map.of() : tensor.getParameters().toMap();
  }
}
