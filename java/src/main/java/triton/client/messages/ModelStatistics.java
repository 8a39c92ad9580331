package triton.client.messages;

import java.util.List;
import java.util.Map;

/** What one version of a model has done since it was loaded. */
public final class ModelStatistics {
  private final String name;
  private final String version;
  private final long lastInference;
  private final long inferenceCount;
  private final long executionCount;
  private final Map<String, StatisticDuration> inferenceStats;
  private final List<BatchStatistics> batchStats;
  private final Map<String, Map<String, StatisticDuration>> responseStats;
  private final List<MemoryUsage> memoryUsage;

  /**
   * Creates one, for tests of programs that use them.
   *
   * @param name the model's name
   * @param version the version
   * @param lastInference the time of the last request, in milliseconds since the epoch
   * @param inferenceCount inferences; a batch of n counts n
   * @param executionCount executions of the model; a batch counts 1
   * @param inferenceStats durations by stage: success, fail, queue, compute_input and others
   * @param batchStats durations by batch size
   * @param responseStats durations by stage, by the position of the response of a decoupled model
   * @param memoryUsage the memory that it holds
   */
  public ModelStatistics(
      String name,
      String version,
      long lastInference,
      long inferenceCount,
      long executionCount,
      Map<String, StatisticDuration> inferenceStats,
      List<BatchStatistics> batchStats,
      Map<String, Map<String, StatisticDuration>> responseStats,
      List<MemoryUsage> memoryUsage) {
    this.name = name;
    this.version = version;
    this.lastInference = lastInference;
    this.inferenceCount = inferenceCount;
    this.executionCount = executionCount;
    this.inferenceStats = java.util.Collections.unmodifiableMap(inferenceStats);
    this.batchStats = List.copyOf(batchStats);
    this.responseStats = java.util.Collections.unmodifiableMap(responseStats);
    this.memoryUsage = List.copyOf(memoryUsage);
  }

  /** {@return the model's name} */
  public String name() {
    return name;
  }

  /** {@return the version} */
  public String version() {
    return version;
  }

  /** {@return the time of the last request, in milliseconds since the epoch} */
  public long lastInference() {
    return lastInference;
  }

  /** {@return inferences; a batch of n counts n} */
  public long inferenceCount() {
    return inferenceCount;
  }

  /** {@return executions of the model; a batch counts 1} */
  public long executionCount() {
    return executionCount;
  }

  /** {@return durations by stage: success, fail, queue, compute_input and others} */
  public Map<String, StatisticDuration> inferenceStats() {
    return inferenceStats;
  }

  /** {@return durations by batch size} */
  public List<BatchStatistics> batchStats() {
    return batchStats;
  }

  /** {@return durations by stage, by the position of the response of a decoupled model} */
  public Map<String, Map<String, StatisticDuration>> responseStats() {
    return responseStats;
  }

  /** {@return the memory that it holds} */
  public List<MemoryUsage> memoryUsage() {
    return memoryUsage;
  }

  @Override
  public String toString() {
    return "ModelStatistics["
        + "name="
        + name
        + ", version="
        + version
        + ", lastInference="
        + lastInference
        + ", inferenceCount="
        + inferenceCount
        + ", executionCount="
        + executionCount
        + ", inferenceStats="
        + inferenceStats
        + ", batchStats="
        + batchStats
        + ", responseStats="
        + responseStats
        + ", memoryUsage="
        + memoryUsage
        + "]";
  }
}
