package triton.client;

import java.util.Map;
import triton.client.internal.Checks;

/** Where in a registered region of shared memory a tensor lies. */
final class SharedMemoryBlock {
  private final String region;
  private final long byteSize;
  private final long offset;

  SharedMemoryBlock(String region, long byteSize, long offset) {
    this.region = Checks.name("name of a region", region);
    this.byteSize = Checks.notNegative("byteSize", byteSize);
    this.offset = Checks.notNegative("offset", offset);
  }

  /** Adds the parameters of the protocol that say so. */
  void describe(Map<String, Object> parameters) {
    parameters.put("shared_memory_region", region);
    parameters.put("shared_memory_byte_size", byteSize);
    if (offset != 0) {
      parameters.put("shared_memory_offset", offset);
    }
  }
}
