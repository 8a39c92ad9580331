package triton.client.examples;

import java.util.List;
import java.util.Locale;

/** The flags of {@link ImageClient}. */
final class ImageOptions {
  static final String USAGE =
      String.join(
          System.lineSeparator(),
          "usage: ImageClient [-v] [-a] -m MODEL [-x VERSION] [-b BATCH] [-c CLASSES]",
          "                   [-s NONE|INCEPTION|VGG] [-u HOST:PORT] [-i HTTP] IMAGE_OR_FOLDER",
          "  -v, --verbose        tell more",
          "  -a, --async          send up to 20 requests at once",
          "  -m, --model-name     name of the model",
          "  -x, --model-version  its version; the server's choice by default",
          "  -b, --batch-size     images per request (1)",
          "  -c, --classes        classes to show for each image (1)",
          "  -s, --scaling        what to do to pixel values (NONE)",
          "  -u, --url            the server (localhost:8000)",
          "  -i, --protocol       HTTP; java-grpc speaks gRPC");

  boolean verbose;
  boolean async;
  String model = "";
  String version = "";
  int batchSize = 1;
  int classes = 1;
  String scaling = "NONE";
  String url = "localhost:8000";
  String path = "";

  /**
   * Reads the command line.
   *
   * @throws IllegalArgumentException it is wrong; the message says why
   */
  static ImageOptions parse(String[] args) {
    ImageOptions options = new ImageOptions();
    for (int i = 0; i < args.length; i++) {
      String flag = args[i];
      switch (flag) {
        case "-v":
        case "--verbose":
          options.verbose = true;
          break;
        case "-a":
        case "--async":
          options.async = true;
          break;
        case "--streaming":
          throw new IllegalArgumentException("Streaming is only allowed with gRPC protocol");
        default:
          if (flag.startsWith("-")) {
            if (++i == args.length) {
              throw new IllegalArgumentException(flag + " has no value");
            }
            options.set(flag, args[i]);
          } else if (options.path.isEmpty()) {
            options.path = flag;
          } else {
            throw new IllegalArgumentException("there are two images or folders: " + flag);
          }
      }
    }
    if (options.model.isEmpty() || options.path.isEmpty()) {
      throw new IllegalArgumentException(
          options.model.isEmpty() ? "-m, the model, is missing" : "the image or folder is missing");
    }
    return options;
  }

  private void set(String flag, String value) {
    switch (flag) {
      case "-m":
      case "--model-name":
        model = value;
        break;
      case "-x":
      case "--model-version":
        version = value;
        break;
      case "-b":
      case "--batch-size":
        batchSize = positive(flag, value);
        break;
      case "-c":
      case "--classes":
        classes = positive(flag, value);
        break;
      case "-s":
      case "--scaling":
        scaling = value.toUpperCase(Locale.ROOT);
        if (!List.of("NONE", "INCEPTION", "VGG").contains(scaling)) {
          throw new IllegalArgumentException(
              flag + " is " + value + ", expected NONE, INCEPTION or VGG");
        }
        break;
      case "-u":
      case "--url":
        url = value;
        break;
      case "-i":
      case "--protocol":
        if (!value.equalsIgnoreCase("http")) {
          throw new IllegalArgumentException(flag + " is " + value + ", expected HTTP");
        }
        break;
      default:
        throw new IllegalArgumentException("there is no flag " + flag);
    }
  }

  private static int positive(String flag, String value) {
    try {
      int number = Integer.parseInt(value);
      if (number > 0) {
        return number;
      }
    } catch (NumberFormatException e) {
      // Told below.
    }
    throw new IllegalArgumentException(flag + " is " + value + ", expected a number from 1");
  }
}
