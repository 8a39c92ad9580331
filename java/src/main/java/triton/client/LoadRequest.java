package triton.client;

import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.Map;
import triton.client.internal.Checks;

/** Which model to load, and how. Every setter returns this request. */
public final class LoadRequest {
  private final String model;
  private final Map<String, byte[]> files = new LinkedHashMap<>();
  private String config;

  private LoadRequest(String model) {
    this.model = Checks.name("model", model);
  }

  /**
   * Creates a request that loads a model as the repository has it.
   *
   * @param model the model's name
   * @return the request
   */
  public static LoadRequest of(String model) {
    return new LoadRequest(model);
  }

  /**
   * Sets the model's configuration, instead of the repository's.
   *
   * @param json the configuration as JSON
   * @return this
   */
  public LoadRequest config(String json) {
    this.config = Checks.name("config", json);
    return this;
  }

  /**
   * Adds a file of the model, instead of the repository's folder. Files need a configuration.
   *
   * @param path its path in the model's folder, "1/model.onnx" say
   * @param content its content
   * @return this
   */
  public LoadRequest file(String path, byte[] content) {
    Checks.name("path of a file", path);
    files.put(
        path.startsWith("file:") ? path : "file:" + path,
        Checks.notNull("content of file " + path, content));
    return this;
  }

  /** {@return the model's name} */
  public String model() {
    return model;
  }

  /** {@return the configuration as JSON, or null} */
  public String config() {
    return config;
  }

  /** {@return contents by name of parameter: "file:" and the path} */
  public Map<String, byte[]> files() {
    return new LinkedHashMap<>(files);
  }

  Map<String, Object> json() {
    Map<String, Object> parameters = new LinkedHashMap<>();
    if (config != null) {
      parameters.put("config", config);
    }
    files.forEach(
        (name, content) -> parameters.put(name, Base64.getEncoder().encodeToString(content)));
    return parameters.isEmpty() ? Map.of() : Map.of("parameters", parameters);
  }
}
