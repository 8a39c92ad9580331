package triton.client.messages;

import java.util.List;

/** A model's tensors. For a model that batches, each shape begins with the batch dimension. */
public final class ModelMetadata {
  private final String name;
  private final List<String> versions;
  private final String platform;
  private final List<TensorMetadata> inputs;
  private final List<TensorMetadata> outputs;

  /**
   * Creates one, for tests of programs that use them.
   *
   * @param name its name
   * @param versions its versions
   * @param platform what executes it
   * @param inputs its inputs
   * @param outputs its outputs
   */
  public ModelMetadata(
      String name,
      List<String> versions,
      String platform,
      List<TensorMetadata> inputs,
      List<TensorMetadata> outputs) {
    this.name = name;
    this.versions = List.copyOf(versions);
    this.platform = platform;
    this.inputs = List.copyOf(inputs);
    this.outputs = List.copyOf(outputs);
  }

  /** {@return its name} */
  public String name() {
    return name;
  }

  /** {@return its versions} */
  public List<String> versions() {
    return versions;
  }

  /** {@return what executes it} */
  public String platform() {
    return platform;
  }

  /** {@return its inputs} */
  public List<TensorMetadata> inputs() {
    return inputs;
  }

  /** {@return its outputs} */
  public List<TensorMetadata> outputs() {
    return outputs;
  }

  @Override
  public String toString() {
    return "ModelMetadata["
        + "name="
        + name
        + ", versions="
        + versions
        + ", platform="
        + platform
        + ", inputs="
        + inputs
        + ", outputs="
        + outputs
        + "]";
  }
}
