package triton.client;

import triton.client.internal.Checks;

/** One of the best classes of an output, which a request asked for with a class count. */
public final class Classification {
  private final double value;
  private final int index;
  private final String label;

  private Classification(double value, int index, String label) {
    this.value = value;
    this.index = index;
    this.label = label;
  }

  /**
   * Reads the text of the protocol.
   *
   * @param text "value:index" or "value:index:label"
   * @return the class
   * @throws IllegalArgumentException the text is no such thing
   */
  public static Classification parse(String text) {
    String[] parts = Checks.notNull("text", text).split(":", 3);
    try {
      return new Classification(
          Double.parseDouble(parts[0]),
          Integer.parseInt(parts[1]),
          parts.length == 3 ? parts[2] : "");
    } catch (NumberFormatException | ArrayIndexOutOfBoundsException e) {
      throw new IllegalArgumentException(
          "text is \"" + text + "\", expected value:index or value:index:label", e);
    }
  }

  /** {@return the score} */
  public double value() {
    return value;
  }

  /** {@return the position of the class in the output} */
  public int index() {
    return index;
  }

  /** {@return the name of the class, or "" when the model has no labels} */
  public String label() {
    return label;
  }

  @Override
  public String toString() {
    return String.format(
        java.util.Locale.ROOT, "%f (%d)%s", value, index, label.isEmpty() ? "" : " = " + label);
  }
}
