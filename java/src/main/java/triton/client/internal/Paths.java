package triton.client.internal;

import java.nio.charset.StandardCharsets;

/** The paths of the protocol. */
public final class Paths {
  private static final String UNRESERVED = "-._~";
  private static final String HEX = "0123456789ABCDEF";

  private Paths() {}

  /** Returns a text as a part of a path or a query: percent-encoded UTF-8. */
  public static String encode(String text) {
    StringBuilder out = null;
    for (int i = 0; i < text.length(); i++) {
      if (!isUnreserved(text.charAt(i))) {
        out = new StringBuilder(text.length() + 16);
        break;
      }
    }
    if (out == null) {
      return text;
    }
    for (byte b : text.getBytes(StandardCharsets.UTF_8)) {
      char c = (char) (b & 0xff);
      if (isUnreserved(c)) {
        out.append(c);
      } else {
        out.append('%').append(HEX.charAt(c >> 4)).append(HEX.charAt(c & 15));
      }
    }
    return out.toString();
  }

  private static boolean isUnreserved(char c) {
    return (c >= 'a' && c <= 'z')
        || (c >= 'A' && c <= 'Z')
        || (c >= '0' && c <= '9')
        || UNRESERVED.indexOf(c) >= 0;
  }

  /**
   * Returns a name as one segment of a path.
   *
   * @throws IllegalArgumentException it is missing, or means another path
   */
  public static String segment(String argument, String name) {
    Checks.name(argument, name);
    if (name.equals(".") || name.equals("..")) {
      throw new IllegalArgumentException(
          argument + " is \"" + name + "\", which means another path; expected a name");
    }
    return encode(name);
  }

  /** Returns the path of a model. */
  public static String model(String model, String version) {
    String path = "/v2/models/" + segment("model", model);
    return version == null || version.isEmpty()
        ? path
        : path + "/versions/" + segment("version", version);
  }
}
