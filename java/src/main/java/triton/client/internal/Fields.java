package triton.client.internal;

import java.io.IOException;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** The members of a JSON object, by type. What is left out or null is empty. */
public final class Fields {
  private final Map<?, ?> members;

  private Fields(Map<?, ?> members) {
    this.members = members;
  }

  /** Makes something of a JSON object. */
  public interface Maker<T> {
    /**
     * Returns it.
     *
     * @throws IOException a member is of another type
     */
    T make(Fields fields) throws IOException;
  }

  /**
   * Returns the members of a value.
   *
   * @throws IOException the value is no object
   */
  public static Fields of(String what, Object value) throws IOException {
    return new Fields(cast(what, value == null ? Map.of() : value, Map.class, "an object"));
  }

  /**
   * Returns what is made of each item of a list.
   *
   * @throws IOException the value is no list of objects
   */
  public static <T> List<T> list(String what, Object value, Maker<T> maker) throws IOException {
    List<?> items = cast(what, value == null ? List.of() : value, List.class, "a list");
    List<T> made = new ArrayList<>(items.size());
    for (Object item : items) {
      made.add(maker.make(of("an item of " + what, item)));
    }
    return made;
  }

  private static <T> T cast(String what, Object value, Class<T> type, String expected)
      throws IOException {
    if (!type.isInstance(value)) {
      throw new IOException(what + " is " + value + ", expected " + expected);
    }
    return type.cast(value);
  }

  /** Returns a text. */
  public String text(String name) throws IOException {
    Object value = members.get(name);
    return value == null ? "" : cast(name, value, String.class, "a text");
  }

  /** Returns a whole number. */
  public long number(String name) throws IOException {
    Object value = members.get(name);
    if (value instanceof String) {
      // Protobuf's JSON writes 64 bits as texts.
      try {
        return Long.parseLong((String) value);
      } catch (NumberFormatException e) {
        throw new IOException(name + " is " + value + ", expected a whole number", e);
      }
    }
    if (value != null && !(value instanceof Integer || value instanceof Long)) {
      throw new IOException(name + " is " + value + ", expected a whole number of 64 bits");
    }
    return value == null ? 0 : ((Number) value).longValue();
  }

  /** Returns a list of texts. */
  public List<String> texts(String name) throws IOException {
    List<String> texts = new ArrayList<>();
    for (Object item : items(name)) {
      texts.add(cast("an item of " + name, item, String.class, "a text"));
    }
    return texts;
  }

  /** Returns a list of whole numbers. */
  public long[] numbers(String name) throws IOException {
    List<?> items = items(name);
    long[] numbers = new long[items.size()];
    for (int i = 0; i < numbers.length; i++) {
      numbers[i] = new Fields(java.util.Collections.singletonMap(name, items.get(i))).number(name);
    }
    return numbers;
  }

  private List<?> items(String name) throws IOException {
    Object value = members.get(name);
    return value == null ? List.of() : cast(name, value, List.class, "a list");
  }

  /** Returns what is made of each object of a list. */
  public <T> List<T> list(String name, Maker<T> maker) throws IOException {
    return list(name, members.get(name), maker);
  }

  /** Returns what is made of each object in an object. */
  public <T> Map<String, T> map(String name, Maker<T> maker) throws IOException {
    Map<String, T> made = new LinkedHashMap<>();
    for (Map.Entry<?, ?> entry : of(name, members.get(name)).members.entrySet()) {
      String key = String.valueOf(entry.getKey());
      made.put(key, maker.make(of(name + "." + key, entry.getValue())));
    }
    return made;
  }

  /** Returns all members. */
  public Map<String, Object> all() {
    Map<String, Object> all = new LinkedHashMap<>();
    for (Map.Entry<?, ?> entry : members.entrySet()) {
      all.put(String.valueOf(entry.getKey()), entry.getValue());
    }
    return all;
  }

  /** Returns what is made of each member that is an object; others are left out. */
  public <T> Map<String, T> objects(Maker<T> maker) throws IOException {
    Map<String, T> made = new LinkedHashMap<>();
    for (Map.Entry<String, Object> entry : all().entrySet()) {
      if (entry.getValue() instanceof Map) {
        made.put(entry.getKey(), maker.make(of(entry.getKey(), entry.getValue())));
      }
    }
    return made;
  }
}
