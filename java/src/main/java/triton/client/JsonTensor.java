package triton.client;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.IOException;
import java.math.BigInteger;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import triton.client.internal.Bytes;
import triton.client.internal.Half;
import triton.client.pojo.DataType;

/** Reads the elements of a tensor from JSON, flat or nested, and makes wire bytes of them. */
final class JsonTensor {
  private static final BigInteger UINT64_MAX =
      BigInteger.ONE.shiftLeft(64).subtract(BigInteger.ONE);

  private final JsonParser parser;
  private final DataType type;
  private final int count;
  private final boolean latin1;

  JsonTensor(JsonParser parser, DataType type, int count, boolean latin1) {
    this.parser = parser;
    this.type = type;
    this.count = count;
    this.latin1 = latin1;
  }

  /**
   * Returns the wire bytes.
   *
   * @throws IOException the elements are too few, too many, or not of the datatype
   */
  ByteBuffer read() throws IOException {
    Bytes texts = type == DataType.BYTES ? new Bytes(16) : null;
    ByteBuffer out =
        ByteBuffer.allocate(texts == null ? Math.multiplyExact(count, type.numByte) : 4)
            .order(ByteOrder.LITTLE_ENDIAN);
    int read = 0;
    for (JsonToken token = parser.nextToken(); token != null; token = parser.nextToken()) {
      if (token == JsonToken.START_ARRAY || token == JsonToken.END_ARRAY) {
        continue;
      }
      if (read++ == count) {
        throw new IOException("there are more elements than the shape's " + count);
      }
      if (texts != null) {
        putText(texts, token);
      } else {
        put(out, token);
      }
    }
    if (read < count) {
      throw new IOException("there are " + read + " elements, expected " + count);
    }
    return texts == null ? out.flip() : ByteBuffer.wrap(texts.array(), 0, texts.size());
  }

  private void putText(Bytes out, JsonToken token) throws IOException {
    if (token != JsonToken.VALUE_STRING) {
      throw wrong(token);
    }
    String text = parser.getText();
    byte[] bytes = text.getBytes(latin1 ? StandardCharsets.ISO_8859_1 : StandardCharsets.UTF_8);
    out.write(bytes.length);
    out.write(bytes.length >>> 8);
    out.write(bytes.length >>> 16);
    out.write(bytes.length >>> 24);
    out.append(bytes);
  }

  private void put(ByteBuffer out, JsonToken token) throws IOException {
    switch (type) {
      case BOOL:
        if (token != JsonToken.VALUE_TRUE && token != JsonToken.VALUE_FALSE) {
          throw wrong(token);
        }
        out.put((byte) (token == JsonToken.VALUE_TRUE ? 1 : 0));
        break;
      case INT8:
        out.put((byte) integer(token, -128, 127));
        break;
      case UINT8:
        out.put((byte) integer(token, 0, 255));
        break;
      case INT16:
        out.putShort((short) integer(token, -32768, 32767));
        break;
      case UINT16:
        out.putShort((short) integer(token, 0, 65535));
        break;
      case INT32:
        out.putInt((int) integer(token, Integer.MIN_VALUE, Integer.MAX_VALUE));
        break;
      case UINT32:
        out.putInt((int) integer(token, 0, 0xffffffffL));
        break;
      case INT64:
        out.putLong(integer(token, Long.MIN_VALUE, Long.MAX_VALUE));
        break;
      case UINT64:
        out.putLong(unsigned(token));
        break;
      case FP16:
        out.putShort(Half.toFp16((float) number(token)));
        break;
      case BF16:
        out.putShort(Half.toBf16((float) number(token)));
        break;
      case FP32:
        number(token);
        out.putFloat(parser.getFloatValue());
        break;
      default:
        out.putDouble(number(token));
    }
  }

  private double number(JsonToken token) throws IOException {
    if (token != JsonToken.VALUE_NUMBER_INT && token != JsonToken.VALUE_NUMBER_FLOAT) {
      throw wrong(token);
    }
    return parser.getDoubleValue();
  }

  private long integer(JsonToken token, long low, long high) throws IOException {
    if (token != JsonToken.VALUE_NUMBER_INT) {
      throw wrong(token);
    }
    long value = parser.getLongValue();
    if (value < low || value > high) {
      throw new IOException(value + " is out of the range of " + type);
    }
    return value;
  }

  private long unsigned(JsonToken token) throws IOException {
    if (token != JsonToken.VALUE_NUMBER_INT) {
      throw wrong(token);
    }
    BigInteger value = parser.getBigIntegerValue();
    if (value.signum() < 0 || value.compareTo(UINT64_MAX) > 0) {
      throw new IOException(value + " is out of the range of " + type);
    }
    return value.longValue();
  }

  private IOException wrong(JsonToken token) {
    return new IOException("it holds " + token + ", expected elements of " + type);
  }
}
