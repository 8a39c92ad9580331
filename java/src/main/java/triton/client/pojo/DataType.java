package triton.client.pojo;

/** Datatypes of tensors. */
public enum DataType {
  /** One byte, 0 or 1. */
  BOOL(1),
  /** Signed, 8 bits. */
  INT8(1, true),
  /** Signed, 16 bits. */
  INT16(2, true),
  /** Signed, 32 bits. */
  INT32(4, true),
  /** Signed, 64 bits. */
  INT64(8, true),
  /** Unsigned, 8 bits. */
  UINT8(1),
  /** Unsigned, 16 bits. */
  UINT16(2),
  /** Unsigned, 32 bits. */
  UINT32(4),
  /** Unsigned, 64 bits. */
  UINT64(8),
  /** IEEE 754 half precision. */
  FP16(2),
  /** IEEE 754 single precision. */
  FP32(4),
  /** IEEE 754 double precision. */
  FP64(8),
  /** Texts or bytes; each element has a size of its own. */
  BYTES(-1),
  /** The upper 16 bits of an FP32. */
  BF16(2);

  /** Bytes of one element, or -1 for {@link #BYTES}. */
  public final int numByte;

  /** Whether this is one of INT8 to INT64. The spelling is that of the classic library. */
  public final boolean singed;

  DataType(int numByte) {
    this(numByte, false);
  }

  DataType(int numByte, boolean singed) {
    this.numByte = numByte;
    this.singed = singed;
  }
}
