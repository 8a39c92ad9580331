package triton.client;

import java.lang.reflect.Constructor;
import java.lang.reflect.Executable;
import java.lang.reflect.Field;
import java.lang.reflect.Method;
import java.lang.reflect.Modifier;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;

/** Public and protected names of the classic library's classes, one a line. */
final class Signatures {
  private static final String[] CLASSES = {
    "BinaryProtocol",
    "InferInput",
    "InferRequestedOutput",
    "InferResult",
    "InferenceException",
    "InferenceServerClient",
    "InferenceServerClient$HttpConfig",
    "InferenceServerClient$InferArguments",
    "Util",
    "endpoint.AbstractEndpoint",
    "endpoint.FixedEndpoint",
    "pojo.DataType",
    "pojo.IOTensor",
    "pojo.InferenceResponse",
    "pojo.Parameters",
    "pojo.ResponseError",
  };

  private Signatures() {}

  static Set<String> of(ClassLoader loader) throws ClassNotFoundException {
    Set<String> lines = new TreeSet<>();
    for (String name : CLASSES) {
      Class<?> type = Class.forName("triton.client." + name, false, loader);
      String about = type.isEnum() ? "enum " : "class ";
      lines.add(about + name + " extends " + type.getSuperclass().getSimpleName());
      for (Class<?> each : type.getInterfaces()) {
        lines.add(about + name + " implements " + each.getSimpleName());
      }
      for (Constructor<?> each : type.getDeclaredConstructors()) {
        if (isVisible(each.getModifiers()) && !each.isSynthetic()) {
          lines.add(name + "(" + parameters(each) + ")" + thrown(each));
        }
      }
      for (Method each : type.getDeclaredMethods()) {
        if (isVisible(each.getModifiers()) && !each.isSynthetic()) {
          lines.add(
              modifiers(each.getModifiers())
                  + each.getReturnType().getSimpleName()
                  + " "
                  + name
                  + "."
                  + each.getName()
                  + "("
                  + parameters(each)
                  + ")"
                  + thrown(each));
        }
      }
      for (Field each : type.getDeclaredFields()) {
        if (isVisible(each.getModifiers()) && !each.isSynthetic()) {
          lines.add(
              modifiers(each.getModifiers())
                  + each.getType().getSimpleName()
                  + " "
                  + name
                  + "."
                  + each.getName());
        }
      }
    }
    return lines;
  }

  private static boolean isVisible(int modifiers) {
    return Modifier.isPublic(modifiers) || Modifier.isProtected(modifiers);
  }

  private static String modifiers(int modifiers) {
    return (Modifier.isProtected(modifiers) ? "protected " : "")
        + (Modifier.isStatic(modifiers) ? "static " : "")
        + (Modifier.isAbstract(modifiers) ? "abstract " : "");
  }

  private static String parameters(Executable executable) {
    return Arrays.stream(executable.getParameterTypes())
        .map(Class::getSimpleName)
        .collect(Collectors.joining(", "));
  }

  private static String thrown(Executable executable) {
    String names =
        Arrays.stream(executable.getExceptionTypes())
            .map(Class::getSimpleName)
            .sorted()
            .collect(Collectors.joining(", "));
    return names.isEmpty() ? "" : " throws " + names;
  }
}
