package triton.client.pojo;

import java.util.List;

/** The JSON of an inference answer. */
public class InferenceResponse {
  private String modelName;
  private String modelVersion;
  private String id;
  private Parameters parameters;
  private List<IOTensor> outputs;

  /** Creates an empty bean. */
  public InferenceResponse() {}

  /** {@return the model's name} */
  public String getModelName() {
    return modelName;
  }

  /**
   * Sets the model's name.
   *
   * @param modelName the name
   */
  public void setModelName(String modelName) {
    this.modelName = modelName;
  }

  /** {@return the model's version} */
  public String getModelVersion() {
    return modelVersion;
  }

  /**
   * Sets the model's version.
   *
   * @param modelVersion the version
   */
  public void setModelVersion(String modelVersion) {
    this.modelVersion = modelVersion;
  }

  /** {@return the id of the request} */
  public String getId() {
    return id;
  }

  /**
   * Sets the id of the request.
   *
   * @param id the id
   */
  public void setId(String id) {
    this.id = id;
  }

  /** {@return the answer's parameters} */
  public Parameters getParameters() {
    return parameters;
  }

  /**
   * Sets the answer's parameters.
   *
   * @param parameters the parameters
   */
  public void setParameters(Parameters parameters) {
    this.parameters = parameters;
  }

  /** {@return the outputs} */
  public List<IOTensor> getOutputs() {
    return outputs;
  }

  /**
   * Sets the outputs.
   *
   * @param outputs the outputs
   */
  public void setOutputs(List<IOTensor> outputs) {
    this.outputs = outputs;
  }

  /**
   * Returns an output.
   *
   * @param name its name
   * @return the output, or null when there is none of that name
   */
  public IOTensor getOutputByName(String name) {
    if (outputs != null) {
      for (IOTensor output : outputs) {
        if (output.getName() != null && output.getName().equals(name)) {
          return output;
        }
      }
    }
    return null;
  }
}
