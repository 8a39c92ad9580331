package triton.client;

import java.io.ByteArrayOutputStream;
import java.io.IOException;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import triton.client.internal.Json;

/** Recorded exchanges with a real Triton, which the clients in other languages use too. */
final class Recordings {
  private Recordings() {}

  /** One message: its first line, its headers with names in lower case, and its body. */
  static final class Message {
    final byte[] bytes;
    final String first;
    final Map<String, String> headers = new TreeMap<>();
    final byte[] body;

    Message(byte[] bytes) {
      this.bytes = bytes;
      String text = new String(bytes, StandardCharsets.ISO_8859_1);
      int end = text.indexOf("\r\n\r\n");
      String[] lines = text.substring(0, end).split("\r\n");
      first = lines[0];
      for (int i = 1; i < lines.length; i++) {
        int colon = lines[i].indexOf(':');
        headers.put(
            lines[i].substring(0, colon).toLowerCase(Locale.ROOT),
            lines[i].substring(colon + 1).strip());
      }
      body = text.substring(end + 4).getBytes(StandardCharsets.ISO_8859_1);
    }

    int status() {
      return Integer.parseInt(first.split(" ")[1]);
    }

    /** The length of the JSON in the body. */
    int headLength() {
      String length = headers.get("inference-header-content-length");
      return length == null ? body.length : Integer.parseInt(length);
    }
  }

  /** A request and its answer. */
  static final class Exchange {
    final String name;
    final Message request;
    final Message response;

    private Exchange(String name, byte[] request, byte[] response) {
      this.name = name;
      this.request = new Message(request);
      this.response = new Message(response);
    }
  }

  static Path directory() {
    Path path = Path.of(System.getProperty("triton.recordings", "../tests/data/recordings"));
    if (!Files.isDirectory(path)) {
      Servers.missing("no recordings: there is no folder " + path);
    }
    return path;
  }

  static List<String> subjects() throws IOException {
    try (Stream<Path> files = Files.list(directory())) {
      return files
          .map(file -> file.getFileName().toString())
          .filter(name -> name.endsWith(".json"))
          .map(name -> name.substring(0, name.length() - 5))
          .filter(name -> !name.equals("transport"))
          .sorted()
          .collect(Collectors.toList());
    }
  }

  static List<Exchange> load(String subject) throws IOException {
    byte[] text = Files.readAllBytes(directory().resolve(subject + ".json"));
    List<Exchange> exchanges = new ArrayList<>();
    for (Object entry : (List<?>) Json.parse(text, 0, text.length)) {
      Map<?, ?> each = (Map<?, ?>) entry;
      exchanges.add(
          new Exchange(
              (String) each.get("name"), join(each.get("request")), join(each.get("response"))));
    }
    return Collections.unmodifiableList(exchanges);
  }

  static Exchange find(String subject, String name) throws IOException {
    for (Exchange exchange : load(subject)) {
      if (exchange.name.equals(name)) {
        return exchange;
      }
    }
    throw new IllegalArgumentException(subject + " has no " + name);
  }

  private static byte[] join(Object parts) throws IOException {
    ByteArrayOutputStream all = new ByteArrayOutputStream();
    for (Object part : (List<?>) parts) {
      if (part instanceof String) {
        all.write(((String) part).getBytes(StandardCharsets.UTF_8));
      } else {
        String hex = ((String) ((Map<?, ?>) part).get("hex")).replace(" ", "");
        for (int i = 0; i < hex.length(); i += 2) {
          all.write(Integer.parseInt(hex.substring(i, i + 2), 16));
        }
      }
    }
    return all.toByteArray();
  }
}
