package triton.client;

import com.fasterxml.jackson.core.JsonProcessingException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.Collection;
import triton.client.internal.Beans;
import triton.client.internal.Casts;
import triton.client.internal.Checks;
import triton.client.internal.Tensors;

/** Small helpers with the names of the classic library. */
public final class Util {
  private Util() {}

  /**
   * Returns whether a text is null or empty.
   *
   * @param str the text
   * @return whether it is
   */
  public static boolean isEmpty(String str) {
    return str == null || str.isEmpty();
  }

  /**
   * Returns whether a collection is null or empty.
   *
   * @param collection the collection
   * @return whether it is
   */
  public static boolean isEmpty(Collection<?> collection) {
    return collection == null || collection.isEmpty();
  }

  /**
   * Returns the number of elements of a tensor.
   *
   * @param shape the size of each dimension
   * @return the number
   * @throws IllegalArgumentException a size is negative, or there are too many elements
   */
  public static long elemNumFromShape(long[] shape) {
    return Tensors.elementCount(Checks.notNull("shape", shape));
  }

  /**
   * Returns the little-endian bytes of a number.
   *
   * @param n the number
   * @return four bytes
   */
  public static byte[] intToBytes(int n) {
    return ByteBuffer.allocate(4).order(ByteOrder.LITTLE_ENDIAN).putInt(n).array();
  }

  /**
   * Returns a value as JSON.
   *
   * @param object a text, number, Boolean, array, collection, map or bean
   * @return the JSON
   * @throws JsonProcessingException the value has no JSON form
   */
  public static String toJson(Object object) throws JsonProcessingException {
    return Beans.toJson(object);
  }

  /**
   * Returns the value of a JSON text. Members that a bean does not have are left out.
   *
   * @param json the text
   * @param clazz the type of the value: a bean, a collection, a map, or a simple type
   * @param <T> the same
   * @return the value
   * @throws JsonProcessingException the text is not JSON, or not of this type
   */
  public static <T> T fromJson(String json, Class<T> clazz) throws JsonProcessingException {
    return Beans.fromJson(Checks.notNull("json", json), Checks.notNull("clazz", clazz));
  }

  /**
   * Returns a number as one of another type, as Java's casts do.
   *
   * @param input the number; a Boolean or text stays as it is
   * @param clazz the other type, primitive or boxed
   * @return the number
   * @throws UnsupportedOperationException the value can't be cast to this type
   */
  public static Object numericCast(Object input, Class<?> clazz) {
    Checks.notNull("clazz", clazz);
    return Casts.numericCast(input, clazz);
  }
}
