package triton.client.messages;

import java.util.Map;

/** Durations of the executions of one batch size. */
public final class BatchStatistics {
  private final long batchSize;
  private final Map<String, StatisticDuration> stages;

  /**
   * Creates one, for tests of programs that use them.
   *
   * @param batchSize the batch size
   * @param stages durations by stage: compute_input, compute_infer, compute_output
   */
  public BatchStatistics(long batchSize, Map<String, StatisticDuration> stages) {
    this.batchSize = batchSize;
    this.stages = java.util.Collections.unmodifiableMap(stages);
  }

  /** {@return the batch size} */
  public long batchSize() {
    return batchSize;
  }

  /** {@return durations by stage: compute_input, compute_infer, compute_output} */
  public Map<String, StatisticDuration> stages() {
    return stages;
  }

  @Override
  public String toString() {
    return "BatchStatistics[" + "batchSize=" + batchSize + ", stages=" + stages + "]";
  }
}
