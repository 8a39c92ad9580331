package triton.client.messages;

/** A registered region of system shared memory. */
public final class SystemSharedMemoryRegion {
  private final String name;
  private final String key;
  private final long offset;
  private final long byteSize;

  /**
   * Creates one, for tests of programs that use them.
   *
   * @param name the name it was registered by
   * @param key the name of the shared memory object
   * @param offset where the region begins in the object
   * @param byteSize its size in bytes
   */
  public SystemSharedMemoryRegion(String name, String key, long offset, long byteSize) {
    this.name = name;
    this.key = key;
    this.offset = offset;
    this.byteSize = byteSize;
  }

  /** {@return the name it was registered by} */
  public String name() {
    return name;
  }

  /** {@return the name of the shared memory object} */
  public String key() {
    return key;
  }

  /** {@return where the region begins in the object} */
  public long offset() {
    return offset;
  }

  /** {@return its size in bytes} */
  public long byteSize() {
    return byteSize;
  }

  @Override
  public String toString() {
    return "SystemSharedMemoryRegion["
        + "name="
        + name
        + ", key="
        + key
        + ", offset="
        + offset
        + ", byteSize="
        + byteSize
        + "]";
  }
}
