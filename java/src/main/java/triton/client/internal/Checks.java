package triton.client.internal;

import java.time.Duration;
import java.util.Map;
import java.util.Set;

/** What must hold for arguments, before anything is sent. */
public final class Checks {
  private static final Set<String> NOT_FOR_CALLERS =
      Set.of(
          "connection",
          "content-encoding",
          "content-length",
          "expect",
          "host",
          "inference-header-content-length",
          "transfer-encoding",
          "upgrade");

  private Checks() {}

  /** Returns a text that must not be null or empty. */
  public static String name(String argument, String value) {
    if (value == null || value.isEmpty()) {
      throw new IllegalArgumentException(
          argument + " is " + (value == null ? "null" : "\"\"") + ", expected a name");
    }
    return value;
  }

  /** Returns a text, with null standing for none. */
  public static String orEmpty(String value) {
    return value == null ? "" : value;
  }

  /** Returns a value that must not be null. */
  public static <T> T notNull(String argument, T value) {
    if (value == null) {
      throw new IllegalArgumentException(argument + " is null");
    }
    return value;
  }

  /** Returns a number that must not be negative. */
  public static long notNegative(String argument, long value) {
    if (value < 0) {
      throw new IllegalArgumentException(argument + " is " + value + ", expected 0 or more");
    }
    return value;
  }

  /** Returns a duration that must be longer than 0. */
  public static Duration positive(String argument, Duration value) {
    if (notNull(argument, value).isNegative() || value.isZero()) {
      throw new IllegalArgumentException(argument + " is " + value + ", expected more than 0");
    }
    return value;
  }

  /** Checks the name and value of a header that a caller gives. */
  public static void header(String name, String value) {
    name("name of a header", name);
    for (int i = 0; i < name.length(); i++) {
      char c = name.charAt(i);
      boolean letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
      if (!letter && "!#$%&'*+-.^_`|~".indexOf(c) < 0) {
        throw new IllegalArgumentException(
            "name of a header is \"" + name + "\", expected letters, digits and hyphens");
      }
    }
    if (NOT_FOR_CALLERS.contains(name.toLowerCase(java.util.Locale.ROOT))) {
      throw new IllegalArgumentException(
          "header " + name + " is set by the client itself; leave it out");
    }
    notNull("value of header " + name, value);
    for (int i = 0; i < value.length(); i++) {
      char c = value.charAt(i);
      if ((c < ' ' && c != '\t') || c > '~') {
        throw new IllegalArgumentException(
            "value of header " + name + " has a character that is not printable ASCII at " + i);
      }
    }
  }

  /** Checks a parameter that a caller gives. */
  public static void parameter(String name, Object value) {
    name("name of a parameter", name);
    boolean known =
        value instanceof String
            || value instanceof Boolean
            || value instanceof Integer
            || value instanceof Long
            || value instanceof java.math.BigInteger
            || (value instanceof Double
                && !((Double) value).isNaN()
                && !((Double) value).isInfinite());
    if (!known) {
      throw new IllegalArgumentException(
          "parameter "
              + name
              + " is "
              + (value == null ? "null" : value + " of " + value.getClass().getName())
              + ", expected a String, Boolean, Integer, Long, BigInteger or finite Double");
    }
  }

  /** Checks the settings that a caller gives: texts, numbers, Booleans, lists of texts, null. */
  public static Map<String, Object> settings(Map<String, ?> settings) {
    Map<String, Object> copy = new java.util.LinkedHashMap<>(notNull("settings", settings));
    for (String name : copy.keySet()) {
      name("name of a setting", name);
    }
    return copy;
  }
}
