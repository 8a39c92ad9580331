package triton.client;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.nio.file.attribute.PosixFilePermissions;
import java.util.EnumSet;
import triton.client.internal.Checks;

/**
 * A shared memory object of Linux, which a server on the same machine can map too. Whoever created
 * it removes it by {@link #close}; whoever opened it does not.
 */
public final class SharedMemory implements AutoCloseable {
  private static final Path FOLDER = Path.of("/dev/shm");
  private static final int PIECE = 1 << 20;

  private final Path file;
  private final MappedByteBuffer memory;
  private final boolean owner;

  private SharedMemory(Path file, MappedByteBuffer memory, boolean owner) {
    this.file = file;
    this.memory = memory;
    this.owner = owner;
  }

  /**
   * Creates an object, filled with zeros.
   *
   * @param key its name, "/data" or "data" say
   * @param byteSize its size in bytes, at most 2 GiB
   * @return the object
   * @throws IOException there is one of that name, or not enough memory
   * @throws IllegalArgumentException the name or the size is not right
   */
  public static SharedMemory create(String key, long byteSize) throws IOException {
    Path file = file(key);
    if (byteSize < 1 || byteSize > Integer.MAX_VALUE) {
      throw new IllegalArgumentException(
          "byteSize is " + byteSize + ", expected 1 to " + Integer.MAX_VALUE);
    }
    FileChannel channel =
        FileChannel.open(
            file,
            EnumSet.of(
                StandardOpenOption.CREATE_NEW, StandardOpenOption.READ, StandardOpenOption.WRITE),
            PosixFilePermissions.asFileAttribute(PosixFilePermissions.fromString("rw-------")));
    try (channel) {
      // Taking the memory now makes a lack of it an error here, and not a signal later.
      ByteBuffer zeros = ByteBuffer.allocate((int) Math.min(byteSize, PIECE));
      for (long rest = byteSize; rest > 0; ) {
        zeros.clear().limit((int) Math.min(rest, PIECE));
        rest -= channel.write(zeros);
      }
      MappedByteBuffer memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, byteSize);
      return new SharedMemory(file, memory, true);
    } catch (IOException e) {
      Files.deleteIfExists(file);
      throw new IOException(
          "shared memory of " + byteSize + " bytes can't be had: " + e.getMessage(), e);
    }
  }

  /**
   * Opens an object that another program created.
   *
   * @param key its name
   * @return the object, as large as it is
   * @throws IOException there is none of that name, or it can't be mapped
   * @throws IllegalArgumentException the name is not right
   */
  public static SharedMemory open(String key) throws IOException {
    Path file = file(key);
    try (FileChannel channel =
        FileChannel.open(file, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
      if (channel.size() > Integer.MAX_VALUE) {
        throw new IOException(
            file + " has " + channel.size() + " bytes, at most 2 GiB can be mapped");
      }
      MappedByteBuffer memory = channel.map(FileChannel.MapMode.READ_WRITE, 0, channel.size());
      return new SharedMemory(file, memory, false);
    }
  }

  private static Path file(String key) {
    String name = Checks.name("key", key).startsWith("/") ? key.substring(1) : key;
    if (name.isEmpty() || name.contains("/") || name.startsWith(".") || name.indexOf(0) >= 0) {
      throw new IllegalArgumentException(
          "key is \"" + key + "\", expected a name without slashes behind the first character");
    }
    if (!Files.isDirectory(FOLDER)) {
      throw new UnsupportedOperationException(
          FOLDER + " is not there; shared memory works on Linux only");
    }
    return FOLDER.resolve(name);
  }

  /** {@return the object's name as servers take it, "/data" say} */
  public String key() {
    return "/" + file.getFileName();
  }

  /** {@return the size in bytes} */
  public long byteSize() {
    return memory.capacity();
  }

  /** {@return a view of the whole memory, little-endian as tensors are} */
  public ByteBuffer buffer() {
    ByteBuffer view = memory.duplicate();
    view.clear();
    return view.order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * Returns a view of a part of the memory.
   *
   * @param offset where it begins
   * @param byteSize its size in bytes
   * @return the view, little-endian as tensors are
   * @throws IllegalArgumentException it goes beyond the end
   */
  public ByteBuffer buffer(long offset, long byteSize) {
    if (offset < 0 || byteSize < 0 || offset > byteSize() || byteSize > byteSize() - offset) {
      throw new IllegalArgumentException(
          "offset "
              + offset
              + " and byteSize "
              + byteSize
              + " go beyond the "
              + byteSize()
              + " bytes of "
              + key());
    }
    ByteBuffer view = memory.duplicate();
    view.limit((int) (offset + byteSize)).position((int) offset);
    return view.slice().order(ByteOrder.LITTLE_ENDIAN);
  }

  /**
   * Removes the object's name, if this program created it. Views stay valid; the memory is freed
   * with the last of them.
   *
   * @throws IOException the name can't be removed
   */
  @Override
  public void close() throws IOException {
    if (owner) {
      Files.deleteIfExists(file);
    }
  }
}
