package triton.client.examples;

/** What the examples of the modern client take: the server's URL. */
final class Arguments {
  private Arguments() {}

  static String url(String[] args) {
    return args.length > 0 ? args[0] : "http://localhost:8000";
  }

  /** Ends an example whose answer is not what it should be. */
  static void check(boolean right, String what) {
    if (!right) {
      System.out.println("FAIL: " + what);
      System.exit(1);
    }
  }
}
