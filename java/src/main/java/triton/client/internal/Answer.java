package triton.client.internal;

import java.io.ByteArrayInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.util.Locale;
import java.util.zip.GZIPInputStream;
import java.util.zip.InflaterInputStream;

/** What a server answered, and where it is. */
public final class Answer {
  private static final int EXCERPT = 500;

  private final String endpoint;
  private final int status;
  private final String inferenceHeadLength;
  private final String contentEncoding;
  private final String location;
  private byte[] body;

  Answer(
      String endpoint,
      int status,
      String inferenceHeadLength,
      String contentEncoding,
      String location,
      byte[] body) {
    this.endpoint = endpoint;
    this.status = status;
    this.inferenceHeadLength = inferenceHeadLength;
    this.contentEncoding = contentEncoding;
    this.location = location;
    this.body = body;
  }

  /** The server's URL. */
  public String endpoint() {
    return endpoint;
  }

  /** The HTTP status. */
  public int status() {
    return status;
  }

  /** The length of the JSON of an inference answer as the server told it, or null. */
  public String inferenceHeadLength() {
    return inferenceHeadLength;
  }

  /** Where the server redirects to, or null. */
  public String location() {
    return location;
  }

  /** The body, as {@link #decompress} left it. */
  public byte[] body() {
    return body;
  }

  /**
   * Undoes the body's compression.
   *
   * @throws IOException it is not of a known kind, damaged, or too large
   */
  void decompress(long limit) throws IOException {
    String coding = contentEncoding;
    if (coding == null || coding.equalsIgnoreCase("identity") || body.length == 0) {
      return;
    }
    ByteArrayInputStream source = new ByteArrayInputStream(body);
    try (InputStream plain = open(coding.toLowerCase(Locale.ROOT), source)) {
      Bytes all = new Bytes((int) Math.min(4L * body.length, 1 << 20));
      byte[] piece = new byte[8192];
      for (int count = plain.read(piece); count >= 0; count = plain.read(piece)) {
        if (all.size() + (long) count > limit) {
          throw new IOException("the answer has more than " + limit + " bytes when decompressed");
        }
        all.write(piece, 0, count);
      }
      body = all.toByteArray();
    }
  }

  private static InputStream open(String coding, InputStream source) throws IOException {
    switch (coding) {
      case "gzip":
      case "x-gzip":
        return new GZIPInputStream(source);
      case "deflate":
        return new InflaterInputStream(source);
      default:
        throw new IOException("the answer's Content-Encoding is " + coding + ", which is unknown");
    }
  }

  /** The beginning of the body as a text, for messages. */
  public String excerpt() {
    String text =
        new String(body, 0, Math.min(body.length, EXCERPT), StandardCharsets.UTF_8).strip();
    return body.length > EXCERPT ? text + "..." : text;
  }
}
