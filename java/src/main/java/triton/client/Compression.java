package triton.client;

/** How bodies are compressed. */
public enum Compression {
  /** Not at all. */
  NONE("identity"),
  /** By gzip. */
  GZIP("gzip"),
  /** By zlib, which HTTP calls deflate. */
  DEFLATE("deflate");

  private final String coding;

  Compression(String coding) {
    this.coding = coding;
  }

  String coding() {
    return coding;
  }
}
