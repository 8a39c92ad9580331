package triton.client.internal;

import com.fasterxml.jackson.core.JsonFactory;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonToken;
import com.fasterxml.jackson.core.StreamReadConstraints;
import com.fasterxml.jackson.core.json.JsonReadFeature;
import java.io.IOException;
import java.io.UncheckedIOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** JSON as maps, lists, texts, numbers and Booleans. */
public final class Json {
  private static final int MAX_DEPTH = 200;

  /** For all reading and writing. Texts may be long: a tensor or a configuration is one. */
  public static final JsonFactory FACTORY =
      JsonFactory.builder()
          .streamReadConstraints(
              StreamReadConstraints.builder()
                  .maxStringLength(Integer.MAX_VALUE)
                  .maxNestingDepth(MAX_DEPTH)
                  .build())
          // Triton writes NaN and infinities, which JSON does not have, as they are.
          .enable(JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS)
          // Names come from the peer, and would stay in the table of interned texts.
          .disable(JsonFactory.Feature.INTERN_FIELD_NAMES)
          .build();

  private Json() {}

  /**
   * Returns the value that a whole text stands for.
   *
   * @throws IOException it is not one JSON value
   */
  public static Object parse(byte[] text, int offset, int length) throws IOException {
    try (JsonParser parser = FACTORY.createParser(text, offset, length)) {
      return parseAll(parser);
    }
  }

  /**
   * Returns the value that a whole text stands for.
   *
   * @throws IOException it is not one JSON value
   */
  public static Object parse(String text) throws IOException {
    try (JsonParser parser = FACTORY.createParser(text)) {
      return parseAll(parser);
    }
  }

  private static Object parseAll(JsonParser parser) throws IOException {
    parser.nextToken();
    Object value = read(parser);
    if (parser.nextToken() != null) {
      throw new JsonParseException(parser, "something follows the JSON value");
    }
    return value;
  }

  /** Reads the value at the parser's current token. */
  public static Object read(JsonParser parser) throws IOException {
    JsonToken token = parser.currentToken();
    if (token == null) {
      throw new JsonParseException(parser, "the JSON is empty");
    }
    switch (token) {
      case START_OBJECT:
        Map<String, Object> members = new LinkedHashMap<>();
        while (parser.nextToken() != JsonToken.END_OBJECT) {
          String name = parser.currentName();
          parser.nextToken();
          members.put(name, read(parser));
        }
        return members;
      case START_ARRAY:
        List<Object> items = new ArrayList<>();
        while (parser.nextToken() != JsonToken.END_ARRAY) {
          items.add(read(parser));
        }
        return items;
      case VALUE_STRING:
        return parser.getText();
      case VALUE_NUMBER_INT:
      case VALUE_NUMBER_FLOAT:
        return parser.getNumberValue();
      case VALUE_TRUE:
        return Boolean.TRUE;
      case VALUE_FALSE:
        return Boolean.FALSE;
      case VALUE_NULL:
        return null;
      default:
        throw new JsonParseException(parser, "unexpected " + token);
    }
  }

  /** Returns the UTF-8 of a value. */
  public static byte[] bytes(Object value) {
    Bytes out = new Bytes(256);
    try (JsonGenerator generator = FACTORY.createGenerator(out)) {
      write(generator, value);
    } catch (IOException e) {
      throw new UncheckedIOException(e); // memory does not fail
    }
    return out.toByteArray();
  }

  /**
   * Writes a value.
   *
   * @throws IllegalArgumentException it has no JSON form
   */
  public static void write(JsonGenerator generator, Object value) throws IOException {
    if (value == null) {
      generator.writeNull();
    } else if (value instanceof CharSequence) {
      generator.writeString(value.toString());
    } else if (value instanceof Boolean) {
      generator.writeBoolean((Boolean) value);
    } else if (value instanceof Number) {
      writeNumber(generator, (Number) value);
    } else if (value instanceof Map) {
      generator.writeStartObject();
      for (Map.Entry<?, ?> member : ((Map<?, ?>) value).entrySet()) {
        generator.writeFieldName(String.valueOf(member.getKey()));
        write(generator, member.getValue());
      }
      generator.writeEndObject();
    } else if (value instanceof Iterable) {
      generator.writeStartArray();
      for (Object item : (Iterable<?>) value) {
        write(generator, item);
      }
      generator.writeEndArray();
    } else {
      throw new IllegalArgumentException(
          "a value is of "
              + value.getClass().getName()
              + ", expected a text, a number, a Boolean, a map or a list");
    }
  }

  private static void writeNumber(JsonGenerator generator, Number value) throws IOException {
    if (value instanceof Double || value instanceof Float) {
      double number = value.doubleValue();
      if (Double.isNaN(number) || Double.isInfinite(number)) {
        throw new IllegalArgumentException("a value is " + value + ", which JSON does not have");
      }
    }
    // The text of every number of the JDK is one of JSON.
    generator.writeNumber(value.toString());
  }
}
