package triton.client.messages;

/** A registered region of GPU memory. */
public final class CudaSharedMemoryRegion {
  private final String name;
  private final long deviceId;
  private final long byteSize;

  /**
   * Creates one, for tests of programs that use them.
   *
   * @param name the name it was registered by
   * @param deviceId the GPU
   * @param byteSize its size in bytes
   */
  public CudaSharedMemoryRegion(String name, long deviceId, long byteSize) {
    this.name = name;
    this.deviceId = deviceId;
    this.byteSize = byteSize;
  }

  /** {@return the name it was registered by} */
  public String name() {
    return name;
  }

  /** {@return the GPU} */
  public long deviceId() {
    return deviceId;
  }

  /** {@return its size in bytes} */
  public long byteSize() {
    return byteSize;
  }

  @Override
  public String toString() {
    return "CudaSharedMemoryRegion["
        + "name="
        + name
        + ", deviceId="
        + deviceId
        + ", byteSize="
        + byteSize
        + "]";
  }
}
