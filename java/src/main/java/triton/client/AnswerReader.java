package triton.client;

import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStreamReader;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import triton.client.internal.Json;
import triton.client.internal.Tensors;
import triton.client.pojo.DataType;

/** Reads an inference answer: its JSON, and the data of binary outputs behind that. */
final class AnswerReader {
  private final byte[] body;
  private final int headLength;
  private final boolean latin1;
  private int position;

  private String modelName = "";
  private String modelVersion = "";
  private String id = "";
  private Map<String, Object> parameters = Map.of();
  private final List<OutputTensor> outputs = new ArrayList<>(2);

  private AnswerReader(byte[] body, int headLength, boolean latin1) {
    this.body = body;
    this.headLength = headLength;
    this.latin1 = latin1;
    this.position = headLength;
  }

  /**
   * Returns the answer in a body. Its outputs are views of that body.
   *
   * @param head the header that tells the length of the JSON, or null when all is JSON
   * @throws IOException the body is not an inference answer
   * @throws IllegalArgumentException the same
   */
  static InferResult read(String head, byte[] body) throws IOException {
    int length = head == null ? body.length : headLength(head, body.length);
    try {
      return new AnswerReader(body, length, false).read();
    } catch (java.io.CharConversionException | com.fasterxml.jackson.core.JsonParseException e) {
      if (isUtf8(body, length)) {
        throw e;
      }
      // Triton writes BYTES that are no text into its JSON as they are. Latin-1 keeps each byte.
      return new AnswerReader(body, length, true).read();
    }
  }

  private static int headLength(String text, int limit) throws IOException {
    try {
      int length = Integer.parseInt(text);
      if (length >= 0 && length <= limit && Character.isDigit(text.charAt(0))) {
        return length;
      }
    } catch (NumberFormatException e) {
      // Told below.
    }
    throw new IOException(
        InferCodec.HEAD_LENGTH + " is " + text + " with a body of " + limit + " bytes");
  }

  private static boolean isUtf8(byte[] body, int length) {
    try {
      StandardCharsets.UTF_8.newDecoder().decode(ByteBuffer.wrap(body, 0, length));
      return true;
    } catch (java.nio.charset.CharacterCodingException e) {
      return false;
    }
  }

  private JsonParser parser(int offset, int length) throws IOException {
    if (!latin1) {
      return Json.FACTORY.createParser(body, offset, length);
    }
    return Json.FACTORY.createParser(
        new InputStreamReader(
            new ByteArrayInputStream(body, offset, length), StandardCharsets.ISO_8859_1));
  }

  private InferResult read() throws IOException {
    boolean found = false;
    try (JsonParser parser = parser(0, headLength)) {
      expect(parser, parser.nextToken(), JsonToken.START_OBJECT, "the answer");
      while (parser.nextToken() != JsonToken.END_OBJECT) {
        String member = parser.currentName();
        if (parser.nextToken() == JsonToken.VALUE_NULL) {
          continue; // how KServe's servers write what they leave out
        }
        switch (member) {
          case "model_name":
            modelName = text(parser, member);
            found = true;
            break;
          case "model_version":
            modelVersion = text(parser, member);
            break;
          case "id":
            id = text(parser, member);
            break;
          case "parameters":
            parameters = parameters(parser, "the answer");
            break;
          case "outputs":
            readOutputs(parser);
            found = true;
            break;
          default:
            parser.skipChildren();
        }
      }
      if (parser.nextToken() != null) {
        throw new IOException("something follows the JSON");
      }
    }
    if (!found) {
      throw new IOException("neither model_name nor outputs is there");
    }
    if (position != body.length) {
      throw new IOException(body.length - position + " bytes follow the last output");
    }
    return new InferResult(modelName, modelVersion, id, parameters, outputs);
  }

  private void readOutputs(JsonParser parser) throws IOException {
    expect(parser, parser.currentToken(), JsonToken.START_ARRAY, "outputs");
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      outputs.add(readOutput(parser));
    }
  }

  private OutputTensor readOutput(JsonParser parser) throws IOException {
    expect(parser, parser.currentToken(), JsonToken.START_OBJECT, "an output");
    String name = null;
    String datatype = null;
    long[] shape = null;
    Map<String, Object> given = Map.of();
    int dataStart = -1;
    int dataEnd = -1;
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String member = parser.currentName();
      if (parser.nextToken() == JsonToken.VALUE_NULL) {
        continue;
      }
      switch (member) {
        case "name":
          name = text(parser, member);
          break;
        case "datatype":
          datatype = text(parser, member);
          break;
        case "shape":
          shape = shape(parser);
          break;
        case "parameters":
          given = parameters(parser, "an output");
          break;
        case "data":
          // Read later, since the datatype may stand behind it.
          expect(parser, parser.currentToken(), JsonToken.START_ARRAY, "data");
          dataStart = offset(parser.currentTokenLocation());
          parser.skipChildren();
          dataEnd = offset(parser.currentLocation());
          break;
        default:
          parser.skipChildren();
      }
    }
    if (name == null || datatype == null || shape == null) {
      throw new IOException("an output has no name, datatype or shape");
    }
    Object size = given.isEmpty() ? null : given.remove("binary_data_size");
    if (size != null) {
      return new OutputTensor(name, datatype, shape, take(name, size), given, true);
    }
    ByteBuffer data = null;
    if (dataStart >= 0) {
      DataType type = Tensors.datatype(datatype);
      if (type != null) {
        data = jsonData(name, type, shape, dataStart, dataEnd);
      }
    }
    return new OutputTensor(name, datatype, shape, data, given, false);
  }

  private int offset(com.fasterxml.jackson.core.JsonLocation location) {
    return (int) (latin1 ? location.getCharOffset() : location.getByteOffset());
  }

  private ByteBuffer take(String name, Object size) throws IOException {
    if (!(size instanceof Integer) || (Integer) size < 0) {
      throw new IOException("binary_data_size of output " + name + " is " + size);
    }
    int length = (Integer) size;
    if (length > body.length - position) {
      throw new IOException(
          "the body ends inside the data of output " + name + ", which has " + length + " bytes");
    }
    ByteBuffer data = ByteBuffer.wrap(body, position, length);
    position += length;
    return data;
  }

  private ByteBuffer jsonData(String name, DataType type, long[] shape, int start, int end)
      throws IOException {
    long count = Tensors.elementCount(shape);
    if (count > end - start) { // each takes a character at least
      throw new IOException("output " + name + " has fewer elements than its shape tells");
    }
    try (JsonParser parser = parser(start, end - start)) {
      return new JsonTensor(parser, type, (int) count, latin1).read();
    } catch (IllegalArgumentException e) {
      throw new IOException("the data of output " + name + ": " + e.getMessage(), e);
    }
  }

  private String text(JsonParser parser, String member) throws IOException {
    expect(parser, parser.currentToken(), JsonToken.VALUE_STRING, member);
    return parser.getText();
  }

  private static long[] shape(JsonParser parser) throws IOException {
    expect(parser, parser.currentToken(), JsonToken.START_ARRAY, "shape");
    long[] sizes = new long[4];
    int count = 0;
    while (parser.nextToken() != JsonToken.END_ARRAY) {
      expect(parser, parser.currentToken(), JsonToken.VALUE_NUMBER_INT, "a size of a shape");
      if (count == sizes.length) {
        sizes = java.util.Arrays.copyOf(sizes, 2 * count);
      }
      sizes[count++] = parser.getLongValue();
    }
    return java.util.Arrays.copyOf(sizes, count);
  }

  private static Map<String, Object> parameters(JsonParser parser, String of) throws IOException {
    expect(parser, parser.currentToken(), JsonToken.START_OBJECT, "parameters of " + of);
    Map<String, Object> values = new LinkedHashMap<>();
    while (parser.nextToken() != JsonToken.END_OBJECT) {
      String name = parser.currentName();
      parser.nextToken();
      values.put(name, Json.read(parser));
    }
    return values;
  }

  private static void expect(JsonParser parser, JsonToken token, JsonToken expected, String what)
      throws IOException {
    if (token != expected) {
      throw new IOException(
          what + " is " + (token == null ? "missing" : token.name()) + ", expected " + expected);
    }
  }
}
