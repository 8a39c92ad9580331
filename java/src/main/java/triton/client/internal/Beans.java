package triton.client.internal;

import com.fasterxml.jackson.core.JsonGenerationException;
import com.fasterxml.jackson.core.JsonGenerator;
import com.fasterxml.jackson.core.JsonParseException;
import com.fasterxml.jackson.core.JsonParser;
import com.fasterxml.jackson.core.JsonProcessingException;
import java.io.IOException;
import java.lang.reflect.Array;
import java.lang.reflect.Method;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import triton.client.pojo.IOTensor;
import triton.client.pojo.Parameters;

/** Beans as JSON. Those of the protocol have its names, with underscores, and no nulls. */
public final class Beans {
  private Beans() {}

  /** Returns a value as JSON. */
  public static String toJson(Object value) throws JsonProcessingException {
    Bytes out = new Bytes(256);
    try (JsonGenerator generator = Json.FACTORY.createGenerator(out)) {
      Json.write(generator, plain(value, 0));
    } catch (JsonProcessingException e) {
      throw e;
    } catch (IOException | IllegalArgumentException e) {
      throw new JsonGenerationException(e.getMessage(), e, (JsonGenerator) null);
    }
    return out.toString();
  }

  /** Returns the value of a JSON text. */
  public static <T> T fromJson(String json, Class<T> type) throws JsonProcessingException {
    try {
      @SuppressWarnings("unchecked")
      T value = (T) convert(Json.parse(json), type, "the value");
      return value;
    } catch (JsonProcessingException e) {
      throw e;
    } catch (IOException | IllegalArgumentException | UnsupportedOperationException e) {
      throw new JsonParseException((JsonParser) null, e.getMessage(), e);
    }
  }

  private static boolean isOurs(Class<?> type) {
    return type.getPackage() == IOTensor.class.getPackage();
  }

  // Writing

  private static Object plain(Object value, int depth) {
    if (depth > 100) {
      throw new IllegalArgumentException("the value refers to itself, or is nested too deeply");
    }
    if (value == null
        || value instanceof CharSequence
        || value instanceof Number
        || value instanceof Boolean) {
      return value;
    }
    if (value instanceof Enum) {
      return ((Enum<?>) value).name();
    }
    if (value instanceof Character) {
      return value.toString();
    }
    if (value instanceof Parameters) {
      return plain(((Parameters) value).toMap(), depth + 1);
    }
    if (value instanceof Map) {
      Map<String, Object> members = new LinkedHashMap<>();
      ((Map<?, ?>) value)
          .forEach((name, member) -> members.put(String.valueOf(name), plain(member, depth + 1)));
      return members;
    }
    List<Object> items = new ArrayList<>();
    if (value instanceof Iterable) {
      ((Iterable<?>) value).forEach(item -> items.add(plain(item, depth + 1)));
      return items;
    }
    if (value.getClass().isArray()) {
      for (int i = 0; i < Array.getLength(value); i++) {
        items.add(plain(Array.get(value, i), depth + 1));
      }
      return items;
    }
    return members(value, depth);
  }

  private static Map<String, Object> members(Object bean, int depth) {
    Map<String, Object> members = new TreeMap<>();
    boolean ours = isOurs(bean.getClass());
    for (Method method : bean.getClass().getMethods()) {
      String property = property(method);
      if (property == null) {
        continue;
      }
      Object member = plain(invoke(method, bean), depth + 1);
      if (member != null || !ours) {
        members.put(ours ? underscored(property) : property, member);
      }
    }
    if (members.isEmpty()) {
      throw new IllegalArgumentException(
          "a value of " + bean.getClass().getName() + " has no JSON form: it has no getters");
    }
    return members;
  }

  private static String property(Method getter) {
    String name = getter.getName();
    int prefix = name.startsWith("get") ? 3 : name.startsWith("is") ? 2 : 0;
    boolean other =
        prefix == 0
            || name.length() == prefix
            || getter.getParameterCount() != 0
            || getter.getDeclaringClass() == Object.class
            || java.lang.reflect.Modifier.isStatic(getter.getModifiers())
            || (prefix == 2 && getter.getReturnType() != boolean.class);
    return other ? null : decapitalized(name.substring(prefix));
  }

  private static String decapitalized(String name) {
    return name.substring(0, 1).toLowerCase(Locale.ROOT) + name.substring(1);
  }

  private static String underscored(String property) {
    StringBuilder out = new StringBuilder();
    for (char c : property.toCharArray()) {
      if (Character.isUpperCase(c)) {
        out.append('_');
      }
      out.append(Character.toLowerCase(c));
    }
    return out.toString();
  }

  private static Object invoke(Method method, Object bean, Object... arguments) {
    try {
      return method.invoke(bean, arguments);
    } catch (ReflectiveOperationException e) {
      Throwable cause = e.getCause() == null ? e : e.getCause();
      throw new IllegalArgumentException(method + " failed: " + cause, e);
    }
  }

  // Reading

  private static Object convert(Object value, Type type, String what) {
    if (type instanceof ParameterizedType) {
      ParameterizedType generic = (ParameterizedType) type;
      Type[] arguments = generic.getActualTypeArguments();
      Class<?> raw = (Class<?>) generic.getRawType();
      if (value instanceof List && raw.isAssignableFrom(ArrayList.class)) {
        return items((List<?>) value, arguments[0], what);
      }
      if (value instanceof Map && raw.isAssignableFrom(LinkedHashMap.class)) {
        Map<String, Object> members = new LinkedHashMap<>();
        ((Map<?, ?>) value)
            .forEach(
                (name, member) ->
                    members.put(
                        String.valueOf(name), convert(member, arguments[1], what + "." + name)));
        return members;
      }
      return convert(value, raw, what);
    }
    return type instanceof Class ? convert(value, (Class<?>) type, what) : value;
  }

  private static List<Object> items(List<?> values, Type type, String what) {
    List<Object> items = new ArrayList<>(values.size());
    for (Object value : values) {
      items.add(convert(value, type, "an item of " + what));
    }
    return items;
  }

  private static Object convert(Object value, Class<?> type, String what) {
    if (value == null && !type.isPrimitive()) {
      return null;
    }
    if (type.isInstance(value)) {
      return value;
    }
    if (value instanceof Number || value instanceof Boolean) {
      return type == String.class ? value.toString() : Casts.numericCast(value, type);
    }
    if (value instanceof String && type.isEnum()) {
      return constant((String) value, type);
    }
    if (value instanceof List && type.isArray()) {
      List<Object> items = items((List<?>) value, type.getComponentType(), what);
      Object array = Array.newInstance(type.getComponentType(), items.size());
      for (int i = 0; i < items.size(); i++) {
        Array.set(array, i, items.get(i));
      }
      return array;
    }
    if (value instanceof List && Collection.class.isAssignableFrom(type)) {
      return new java.util.LinkedHashSet<>((List<?>) value);
    }
    if (value instanceof Map && type == Parameters.class) {
      Map<String, Object> members = new LinkedHashMap<>();
      ((Map<?, ?>) value).forEach((name, member) -> members.put(String.valueOf(name), member));
      return new Parameters(members);
    }
    if (value instanceof Map && !type.isPrimitive() && type != String.class) {
      return bean((Map<?, ?>) value, type);
    }
    throw new IllegalArgumentException(what + " is " + value + ", expected " + type.getName());
  }

  private static Object constant(String name, Class<?> type) {
    for (Object constant : type.getEnumConstants()) {
      if (((Enum<?>) constant).name().equals(name)) {
        return constant;
      }
    }
    if (isOurs(type)) {
      return null; // a datatype that is not known
    }
    throw new IllegalArgumentException(name + " is no constant of " + type.getName());
  }

  private static Object bean(Map<?, ?> members, Class<?> type) {
    Object bean;
    try {
      bean = type.getConstructor().newInstance();
    } catch (ReflectiveOperationException e) {
      throw new IllegalArgumentException(
          type.getName() + " can't be made without arguments: " + e, e);
    }
    for (Method method : type.getMethods()) {
      if (!method.getName().startsWith("set")
          || method.getName().length() == 3
          || method.getParameterCount() != 1) {
        continue;
      }
      String property = decapitalized(method.getName().substring(3));
      String name = isOurs(type) ? underscored(property) : property;
      if (members.containsKey(name)) {
        Type expected = method.getGenericParameterTypes()[0];
        invoke(method, bean, new Object[] {convert(members.get(name), expected, name)});
      }
    }
    return bean;
  }
}
