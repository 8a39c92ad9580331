package triton.client.internal;

/** Floats of 16 bits, rounded to the nearest, ties to even. */
public final class Half {
  private static final int SIGN = 0x8000;
  private static final int INFINITY = 0x7c00;
  private static final int FP32_INFINITY = 0x7f800000;
  private static final int SMALLEST_NORMAL = 0x38800000; // 2^-14
  private static final int TOO_LARGE = 0x47800000; // 2^16
  private static final int TOO_SMALL = 0x33000000; // 2^-25

  private Half() {}

  /** Returns the FP16 nearest to a float. */
  public static short toFp16(float value) {
    int bits = Float.floatToRawIntBits(value);
    int sign = (bits >>> 16) & SIGN;
    int magnitude = bits & 0x7fffffff;
    if (magnitude > FP32_INFINITY) {
      return (short) (sign | 0x7e00 | ((magnitude >>> 13) & 0x1ff));
    }
    if (magnitude >= TOO_LARGE) {
      return (short) (sign | INFINITY);
    }
    if (magnitude >= SMALLEST_NORMAL) {
      int rebiased = magnitude - 0x38000000;
      return (short) (sign | ((rebiased + 0xfff + ((rebiased >>> 13) & 1)) >>> 13));
    }
    if (magnitude <= TOO_SMALL) {
      return (short) sign;
    }
    int shift = 126 - (magnitude >>> 23);
    int mantissa = (magnitude & 0x7fffff) | 0x800000;
    int quotient = mantissa >>> shift;
    int rest = mantissa & ((1 << shift) - 1);
    int tie = 1 << (shift - 1);
    if (rest > tie || (rest == tie && (quotient & 1) == 1)) {
      quotient++;
    }
    return (short) (sign | quotient);
  }

  /** Returns the float that an FP16 stands for. */
  public static float fromFp16(short half) {
    int sign = (half & SIGN) << 16;
    int exponent = (half >>> 10) & 0x1f;
    int mantissa = half & 0x3ff;
    if (exponent == 0) {
      float magnitude = mantissa * 0x1p-24f;
      return sign == 0 ? magnitude : -magnitude;
    }
    int bits = exponent == 0x1f ? FP32_INFINITY : (exponent + 112) << 23;
    return Float.intBitsToFloat(sign | bits | (mantissa << 13));
  }

  /** Returns the BF16 nearest to a float. */
  public static short toBf16(float value) {
    int bits = Float.floatToRawIntBits(value);
    if ((bits & 0x7fffffff) > FP32_INFINITY) {
      return (short) ((bits >>> 16) | 0x40);
    }
    return (short) ((bits + 0x7fff + ((bits >>> 16) & 1)) >>> 16);
  }

  /** Returns the float that a BF16 stands for. */
  public static float fromBf16(short brain) {
    return Float.intBitsToFloat(brain << 16);
  }
}
