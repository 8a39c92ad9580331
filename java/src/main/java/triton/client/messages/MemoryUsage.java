package triton.client.messages;

/** Memory that a model holds. */
public final class MemoryUsage {
  private final String type;
  private final long id;
  private final long byteSize;

  /**
   * Creates one, for tests of programs that use them.
   *
   * @param type the kind of memory
   * @param id the device
   * @param byteSize its size in bytes
   */
  public MemoryUsage(String type, long id, long byteSize) {
    this.type = type;
    this.id = id;
    this.byteSize = byteSize;
  }

  /** {@return the kind of memory} */
  public String type() {
    return type;
  }

  /** {@return the device} */
  public long id() {
    return id;
  }

  /** {@return its size in bytes} */
  public long byteSize() {
    return byteSize;
  }

  @Override
  public String toString() {
    return "MemoryUsage[" + "type=" + type + ", id=" + id + ", byteSize=" + byteSize + "]";
  }
}
