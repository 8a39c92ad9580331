package triton.client.internal;

/** Casts of numbers, as the language has them. */
public final class Casts {
  private Casts() {}

  /**
   * Returns a number as one of another type.
   *
   * @param input the number; a Boolean or text stays as it is
   * @param clazz the other type, primitive or boxed
   * @return the number
   * @throws UnsupportedOperationException the value can't be cast to this type
   */
  public static Object numericCast(Object input, Class<?> clazz) {
    if (clazz.isInstance(input) || (clazz == boolean.class && input instanceof Boolean)) {
      return input;
    }
    if (input instanceof Number) {
      Number number = (Number) input;
      if (clazz == Byte.class || clazz == byte.class) {
        return number.byteValue();
      }
      if (clazz == Short.class || clazz == short.class) {
        return number.shortValue();
      }
      if (clazz == Integer.class || clazz == int.class) {
        return number.intValue();
      }
      if (clazz == Long.class || clazz == long.class) {
        return number.longValue();
      }
      if (clazz == Float.class || clazz == float.class) {
        return number.floatValue();
      }
      if (clazz == Double.class || clazz == double.class) {
        return number.doubleValue();
      }
    }
    throw new UnsupportedOperationException(
        "can't cast "
            + (input == null ? "null" : input + " of " + input.getClass().getName())
            + " to "
            + clazz.getName());
  }
}
