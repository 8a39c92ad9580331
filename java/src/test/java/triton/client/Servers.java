package triton.client;

import static org.junit.jupiter.api.Assertions.fail;

import java.util.ArrayList;
import java.util.List;
import org.junit.jupiter.api.Assumptions;

/** The servers that tests run against. System properties name them; see docs/java.md. */
final class Servers {
  private Servers() {}

  /** The URLs of those that there are: of the embedded server and of a real Triton. */
  static List<String> urls() {
    List<String> urls = new ArrayList<>();
    String missing = "";
    for (String property : new String[] {"triton.url.embedded", "triton.url.real"}) {
      String url = System.getProperty(property, "");
      if (url.isEmpty()) {
        missing += " " + property;
      } else {
        urls.add(url);
      }
    }
    if (urls.isEmpty() || (!missing.isEmpty() && System.getenv("CI") != null)) {
      missing("no server: no URL is given by" + missing);
    }
    return urls;
  }

  /** The URL of any of them. */
  static String url() {
    return urls().get(0);
  }

  /** Skips a test for a reason, or fails it in continuous integration. */
  static void missing(String reason) {
    if (System.getenv("CI") != null) {
      fail(reason);
    }
    Assumptions.abort(reason);
  }
}
