package triton.client.pojo;

import java.math.BigInteger;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.function.Function;

/** Parameters of a request, an answer or a tensor, by name. */
public class Parameters {
  /** The name of the parameter that holds the size of a binary tensor in bytes. */
  public static final String KEY_BINARY_DATA_SIZE = "binary_data_size";

  private final Map<String, Object> values;

  /** Creates parameters without any. */
  public Parameters() {
    this(Map.of());
  }

  /**
   * Creates parameters with a copy of the given ones.
   *
   * @param params values by name; null means none
   */
  public Parameters(Map<String, Object> params) {
    this.values = params == null ? new LinkedHashMap<>() : new LinkedHashMap<>(params);
  }

  /**
   * Sets a parameter.
   *
   * @param key its name
   * @param value its value: a text, a number or a Boolean
   * @return the value before, or null
   */
  public Object put(String key, Object value) {
    return values.put(key, value);
  }

  /**
   * Sets a parameter to a number that is read as unsigned.
   *
   * @param key its name
   * @param value its value; negative ones stand for those from 2 to the power of 63
   * @return the value before, or null
   */
  public Object putUnsignedLong(String key, long value) {
    return values.put(
        key, value < 0 ? new BigInteger(Long.toUnsignedString(value)) : (Object) value);
  }

  /**
   * Removes a parameter.
   *
   * @param key its name
   * @return its value, or null
   */
  public Object remove(String key) {
    return values.remove(key);
  }

  /** {@return whether there are none} */
  public boolean isEmpty() {
    return values.isEmpty();
  }

  /** {@return a copy of the parameters} */
  public Map<String, Object> toMap() {
    return new LinkedHashMap<>(values);
  }

  /**
   * Returns a parameter as a Boolean.
   *
   * @param key its name
   * @return its value, or null when there is none
   * @throws IllegalArgumentException it is neither a Boolean nor a text
   */
  public Boolean getBool(String key) {
    Object value = values.get(key);
    if (value == null || value instanceof Boolean) {
      return (Boolean) value;
    }
    if (value instanceof String) {
      return Boolean.valueOf((String) value);
    }
    throw wrongType(key, value, "Boolean");
  }

  /**
   * Returns a parameter as an int.
   *
   * @param key its name
   * @return its value, or null when there is none
   * @throws IllegalArgumentException it is neither a number of that range nor a text of one
   */
  public Integer getInt(String key) {
    return number(key, "int", Integer::valueOf, Parameters::toInt);
  }

  /**
   * Returns a parameter as a float.
   *
   * @param key its name
   * @return its value, or null when there is none
   * @throws IllegalArgumentException it is neither a number nor a text of one
   */
  public Float getFloat(String key) {
    return number(key, "float", Float::valueOf, Number::floatValue);
  }

  /**
   * Returns a parameter as a double.
   *
   * @param key its name
   * @return its value, or null when there is none
   * @throws IllegalArgumentException it is neither a number nor a text of one
   */
  public Double getDouble(String key) {
    return number(key, "double", Double::valueOf, Number::doubleValue);
  }

  /**
   * Returns a parameter as a text.
   *
   * @param key its name
   * @return its value, or null when there is none
   */
  public String getString(String key) {
    Object value = values.get(key);
    return value == null ? null : value.toString();
  }

  @Override
  public String toString() {
    return values.toString();
  }

  private <T> T number(
      String key, String type, Function<String, T> parse, Function<Number, T> convert) {
    Object value = values.get(key);
    if (value == null) {
      return null;
    }
    try {
      if (value instanceof Number) {
        return convert.apply((Number) value);
      }
      if (value instanceof String) {
        return parse.apply((String) value);
      }
    } catch (ArithmeticException | NumberFormatException e) {
      throw new IllegalArgumentException(wrongType(key, value, type).getMessage(), e);
    }
    throw wrongType(key, value, type);
  }

  private static Integer toInt(Number value) {
    if (value instanceof BigInteger) {
      return ((BigInteger) value).intValueExact();
    }
    return Math.toIntExact(value.longValue());
  }

  private static IllegalArgumentException wrongType(String key, Object value, String type) {
    return new IllegalArgumentException(
        "Parameter " + key + " is " + value + ", which can't be read as " + type);
  }
}
