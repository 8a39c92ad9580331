package triton.client.internal;

import java.io.OutputStream;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;

/** Bytes that are written one after the other. Unlike ByteArrayOutputStream it takes no locks. */
public final class Bytes extends OutputStream {
  private byte[] array;
  private int size;

  /** Creates an empty one with room for that many bytes. */
  public Bytes(int capacity) {
    array = new byte[capacity];
  }

  @Override
  public void write(int value) {
    reserve(1);
    array[size++] = (byte) value;
  }

  @Override
  public void write(byte[] source, int offset, int length) {
    reserve(length);
    System.arraycopy(source, offset, array, size, length);
    size += length;
  }

  /** Appends all bytes of an array. */
  public Bytes append(byte[] source) {
    write(source, 0, source.length);
    return this;
  }

  /** Appends a text of ASCII characters. */
  public Bytes append(String ascii) {
    int length = ascii.length();
    reserve(length);
    for (int i = 0; i < length; i++) {
      array[size++] = (byte) ascii.charAt(i);
    }
    return this;
  }

  /** The number of bytes written. */
  public int size() {
    return size;
  }

  /** The memory that the bytes lie in, from its beginning. */
  public byte[] array() {
    return array;
  }

  /** Returns a copy of the bytes. */
  public byte[] toByteArray() {
    return Arrays.copyOf(array, size);
  }

  @Override
  public String toString() {
    return new String(array, 0, size, StandardCharsets.UTF_8);
  }

  private void reserve(int count) {
    if (count > array.length - size) {
      long wanted = Math.max((long) size + count, 2L * array.length);
      if ((long) size + count > Integer.MAX_VALUE - 8) {
        throw new OutOfMemoryError("more than 2 GiB in one piece");
      }
      array = Arrays.copyOf(array, (int) Math.min(wanted, Integer.MAX_VALUE - 8));
    }
  }
}
