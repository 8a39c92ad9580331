package triton.client.internal;

import java.net.ProtocolException;
import java.nio.charset.StandardCharsets;

/**
 * The status line and the headers of an answer, read from bytes. It is strict where leniency lets
 * an answer be read in two ways. Source: RFC 9112.
 */
final class ResponseHead {
  /** No length was told. */
  static final long UNKNOWN = -1;

  final int status;
  long contentLength = UNKNOWN;
  boolean chunked;
  boolean keepAlive;
  String inferenceHeadLength;
  String contentEncoding;
  String location;

  private final byte[] bytes;

  /**
   * Reads a head.
   *
   * @param end where it ends, behind the empty line
   * @throws ProtocolException it is not one of HTTP/1
   */
  ResponseHead(byte[] bytes, int end) throws ProtocolException {
    this.bytes = bytes;
    boolean http1 =
        end >= 16
            && startsWith(0, "HTTP/1.")
            && isDigit(7)
            && bytes[8] == ' '
            && isDigit(9)
            && isDigit(10)
            && isDigit(11)
            && (bytes[12] == ' ' || bytes[12] == '\r');
    if (!http1) {
      throw new ProtocolException("it does not begin as an answer of HTTP/1: " + excerpt(0, end));
    }
    status = 100 * (bytes[9] - '0') + 10 * (bytes[10] - '0') + bytes[11] - '0';
    keepAlive = bytes[7] != '0';
    int line = lineEnd(0, end) + 2;
    while (line < end - 2) {
      int stop = lineEnd(line, end);
      header(line, stop);
      line = stop + 2;
    }
    if (chunked && contentLength != UNKNOWN) {
      throw new ProtocolException("it has a Content-Length, and is chunked");
    }
  }

  /**
   * Returns where the head in these bytes ends, or -1 when it goes on.
   *
   * @param from where what was not looked at yet begins
   * @throws ProtocolException a line ends without a carriage return
   */
  static int end(byte[] bytes, int from, int filled) throws ProtocolException {
    for (int i = from; i < filled; i++) {
      if (bytes[i] != '\n') {
        continue;
      }
      if (i == 0 || bytes[i - 1] != '\r') {
        throw new ProtocolException("a line of its head ends without a carriage return");
      }
      if (i >= 3 && bytes[i - 2] == '\n') {
        return i + 1;
      }
    }
    return -1;
  }

  /** Whether the answer has a body. */
  boolean hasBody() {
    return status >= 200 && status != 204 && status != 304 && contentLength != 0;
  }

  private int lineEnd(int from, int end) throws ProtocolException {
    for (int i = from; i < end; i++) {
      byte b = bytes[i];
      if (b == '\r' && bytes[i + 1] == '\n') {
        return i;
      }
      if (b == '\n' || b == '\r' || b == 0) {
        break;
      }
    }
    throw new ProtocolException("a line of its head has a control character");
  }

  private void header(int from, int stop) throws ProtocolException {
    int colon = from;
    while (colon < stop && bytes[colon] != ':') {
      if (bytes[colon] <= ' ') {
        throw new ProtocolException("a header has no name: " + excerpt(from, stop));
      }
      colon++;
    }
    if (colon == from || colon == stop) {
      throw new ProtocolException("a header has no name: " + excerpt(from, stop));
    }
    int length = colon - from;
    if (length == 14 && isName(from, "content-length")) {
      long told = number(value(colon, stop));
      if (contentLength != UNKNOWN && contentLength != told) {
        throw new ProtocolException("it has two lengths");
      }
      contentLength = told;
    } else if (length == 17 && isName(from, "transfer-encoding")) {
      if (chunked || !value(colon, stop).equalsIgnoreCase("chunked")) {
        throw new ProtocolException("its Transfer-Encoding is " + value(colon, stop));
      }
      chunked = true;
    } else if (length == 10 && isName(from, "connection")) {
      String value = value(colon, stop).toLowerCase(java.util.Locale.ROOT);
      keepAlive = keepAlive ? !value.contains("close") : value.contains("keep-alive");
    } else if (length == 31 && isName(from, "inference-header-content-length")) {
      inferenceHeadLength = value(colon, stop);
    } else if (length == 16 && isName(from, "content-encoding")) {
      contentEncoding = value(colon, stop);
    } else if (length == 8 && isName(from, "location")) {
      location = value(colon, stop);
    }
  }

  private static long number(String text) throws ProtocolException {
    if (text.isEmpty() || text.length() > 18) {
      throw new ProtocolException("its Content-Length is " + text);
    }
    long number = 0;
    for (int i = 0; i < text.length(); i++) {
      int digit = text.charAt(i) - '0';
      if (digit < 0 || digit > 9) {
        throw new ProtocolException("its Content-Length is " + text);
      }
      number = 10 * number + digit;
    }
    return number;
  }

  private String value(int colon, int stop) {
    return new String(bytes, colon + 1, stop - colon - 1, StandardCharsets.ISO_8859_1).strip();
  }

  private boolean isName(int from, String lowerCase) {
    for (int i = 0; i < lowerCase.length(); i++) {
      int b = bytes[from + i];
      if ((b >= 'A' && b <= 'Z' ? b + 32 : b) != lowerCase.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  private boolean startsWith(int from, String text) {
    for (int i = 0; i < text.length(); i++) {
      if (bytes[from + i] != text.charAt(i)) {
        return false;
      }
    }
    return true;
  }

  private boolean isDigit(int at) {
    return bytes[at] >= '0' && bytes[at] <= '9';
  }

  private String excerpt(int from, int stop) {
    int length = Math.min(stop - from, 60);
    return new String(bytes, from, length, StandardCharsets.ISO_8859_1).replaceAll("[^ -~]", "?");
  }
}
