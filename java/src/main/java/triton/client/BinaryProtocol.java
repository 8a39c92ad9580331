package triton.client;

import triton.client.internal.Tensors;
import triton.client.pojo.DataType;

/**
 * The bytes of tensors on the wire: little-endian, in row-major order. Each element of BYTES has
 * its length in front, as four bytes.
 */
public final class BinaryProtocol {
  private BinaryProtocol() {}

  /**
   * Returns the bytes of a tensor.
   *
   * @param dataType the tensor's datatype
   * @param data its elements
   * @return the bytes
   * @throws IllegalArgumentException the datatype takes another kind of array
   */
  public static byte[] toBytes(DataType dataType, boolean[] data) {
    return Tensors.pack(dataType, data);
  }

  /**
   * Returns the bytes of a tensor.
   *
   * @param dataType the tensor's datatype
   * @param data its elements
   * @return the bytes
   * @throws IllegalArgumentException the datatype takes another kind of array
   */
  public static byte[] toBytes(DataType dataType, byte[] data) {
    return Tensors.pack(dataType, data);
  }

  /**
   * Returns the bytes of a tensor.
   *
   * @param dataType the tensor's datatype
   * @param data its elements
   * @return the bytes
   * @throws IllegalArgumentException the datatype takes another kind of array
   */
  public static byte[] toBytes(DataType dataType, short[] data) {
    return Tensors.pack(dataType, data);
  }

  /**
   * Returns the bytes of a tensor.
   *
   * @param dataType the tensor's datatype
   * @param data its elements
   * @return the bytes
   * @throws IllegalArgumentException the datatype takes another kind of array
   */
  public static byte[] toBytes(DataType dataType, int[] data) {
    return Tensors.pack(dataType, data);
  }

  /**
   * Returns the bytes of a tensor.
   *
   * @param dataType the tensor's datatype
   * @param data its elements
   * @return the bytes
   * @throws IllegalArgumentException the datatype takes another kind of array
   */
  public static byte[] toBytes(DataType dataType, long[] data) {
    return Tensors.pack(dataType, data);
  }

  /**
   * Returns the bytes of a tensor.
   *
   * @param dataType the tensor's datatype
   * @param data its elements
   * @return the bytes
   * @throws IllegalArgumentException the datatype takes another kind of array
   */
  public static byte[] toBytes(DataType dataType, float[] data) {
    return Tensors.pack(dataType, data);
  }

  /**
   * Returns the bytes of a tensor.
   *
   * @param dataType the tensor's datatype
   * @param data its elements
   * @return the bytes
   * @throws IllegalArgumentException the datatype takes another kind of array
   */
  public static byte[] toBytes(DataType dataType, double[] data) {
    return Tensors.pack(dataType, data);
  }

  /**
   * Returns the bytes of a tensor.
   *
   * @param dataType the tensor's datatype
   * @param data its elements
   * @return the bytes
   * @throws IllegalArgumentException the datatype takes another kind of array
   */
  public static byte[] toBytes(DataType dataType, String[] data) {
    return Tensors.pack(dataType, data);
  }
}
