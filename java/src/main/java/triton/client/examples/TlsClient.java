package triton.client.examples;

import java.nio.file.Path;
import javax.net.ssl.SSLContext;
import triton.client.Client;
import triton.client.Tls;

/**
 * Calls a server over https. The arguments are its URL, a PEM file with the certificate of its
 * authority, and, for servers that want one, PEM files with our certificate and its key.
 */
public final class TlsClient {
  private TlsClient() {}

  public static void main(String[] args) throws Exception {
    if (args.length != 2 && args.length != 4) {
      System.err.println("usage: TlsClient URL AUTHORITY [CERTIFICATE KEY]");
      System.exit(2);
    }
    Path authority = Path.of(args[1]);
    SSLContext tls =
        args.length == 2
            ? Tls.trusting(authority)
            : Tls.of(authority, Path.of(args[2]), Path.of(args[3]));
    try (Client client = Client.builder(args[0]).tls(tls).build()) {
      System.out.println("server: " + client.serverMetadata().execute().name());
    }
    System.out.println("PASS: TLS");
  }
}
