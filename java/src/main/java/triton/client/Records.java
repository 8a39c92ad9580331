package triton.client;

import java.io.IOException;
import java.util.List;
import java.util.Map;
import triton.client.internal.Fields;
import triton.client.messages.BatchStatistics;
import triton.client.messages.CudaSharedMemoryRegion;
import triton.client.messages.MemoryUsage;
import triton.client.messages.ModelIndex;
import triton.client.messages.ModelMetadata;
import triton.client.messages.ModelStatistics;
import triton.client.messages.ServerMetadata;
import triton.client.messages.StatisticDuration;
import triton.client.messages.SystemSharedMemoryRegion;
import triton.client.messages.TensorMetadata;

/** What answers other than those of inference say, read from their JSON. */
final class Records {
  private Records() {}

  static ServerMetadata serverMetadata(Object json) throws IOException {
    Fields fields = Fields.of("the server's metadata", json);
    return new ServerMetadata(
        fields.text("name"), fields.text("version"), fields.texts("extensions"));
  }

  static ModelMetadata modelMetadata(Object json) throws IOException {
    Fields fields = Fields.of("the model's metadata", json);
    return new ModelMetadata(
        fields.text("name"),
        fields.texts("versions"),
        fields.text("platform"),
        fields.list("inputs", Records::tensor),
        fields.list("outputs", Records::tensor));
  }

  private static TensorMetadata tensor(Fields fields) throws IOException {
    return new TensorMetadata(
        fields.text("name"), fields.text("datatype"), fields.numbers("shape"));
  }

  static List<ModelIndex> index(Object json) throws IOException {
    return Fields.list(
        "the index",
        json,
        fields ->
            new ModelIndex(
                fields.text("name"),
                fields.text("version"),
                fields.text("state"),
                fields.text("reason")));
  }

  static List<ModelStatistics> statistics(Object json) throws IOException {
    return Fields.of("the statistics", json).list("model_stats", Records::modelStatistics);
  }

  private static ModelStatistics modelStatistics(Fields fields) throws IOException {
    return new ModelStatistics(
        fields.text("name"),
        fields.text("version"),
        fields.number("last_inference"),
        fields.number("inference_count"),
        fields.number("execution_count"),
        fields.map("inference_stats", Records::duration),
        fields.list("batch_stats", Records::batchStatistics),
        fields.map("response_stats", stages -> stages.objects(Records::duration)),
        fields.list("memory_usage", Records::memoryUsage));
  }

  private static StatisticDuration duration(Fields fields) throws IOException {
    return new StatisticDuration(fields.number("count"), fields.number("ns"));
  }

  private static BatchStatistics batchStatistics(Fields fields) throws IOException {
    return new BatchStatistics(fields.number("batch_size"), fields.objects(Records::duration));
  }

  private static MemoryUsage memoryUsage(Fields fields) throws IOException {
    return new MemoryUsage(fields.text("type"), fields.number("id"), fields.number("byte_size"));
  }

  static List<SystemSharedMemoryRegion> systemRegions(Object json) throws IOException {
    return Fields.list(
        "the regions",
        json,
        fields ->
            new SystemSharedMemoryRegion(
                fields.text("name"),
                fields.text("key"),
                fields.number("offset"),
                fields.number("byte_size")));
  }

  static List<CudaSharedMemoryRegion> cudaRegions(Object json) throws IOException {
    return Fields.list(
        "the regions",
        json,
        fields ->
            new CudaSharedMemoryRegion(
                fields.text("name"), fields.number("device_id"), fields.number("byte_size")));
  }

  static Map<String, Object> object(Object json) throws IOException {
    return Fields.of("the answer", json).all();
  }
}
