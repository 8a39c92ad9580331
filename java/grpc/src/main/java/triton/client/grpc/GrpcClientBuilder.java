package triton.client.grpc;

import io.grpc.ChannelCredentials;
import io.grpc.Grpc;
import io.grpc.InsecureChannelCredentials;
import io.grpc.ManagedChannel;
import io.grpc.TlsChannelCredentials;
import java.io.IOException;
import java.net.URI;
import java.nio.file.Path;
import java.time.Duration;
import triton.client.Compression;

/** The options of a {@link GrpcClient}. Every setter returns this builder. */
public final class GrpcClientBuilder {
  private final String host;
  private final int port;
  private final boolean secure;
  private final TlsChannelCredentials.Builder tls = TlsChannelCredentials.newBuilder();
  private Duration timeout = Duration.ofSeconds(60);
  private Compression compression = Compression.NONE;

  GrpcClientBuilder(String url) {
    URI uri;
    try {
      uri = URI.create(url == null ? "" : url);
    } catch (IllegalArgumentException e) {
      throw wrong(url, e);
    }
    secure = "grpcs".equals(uri.getScheme());
    boolean other = uri.getRawPath() != null && !uri.getRawPath().isEmpty();
    if ((!secure && !"grpc".equals(uri.getScheme())) || uri.getHost() == null || other) {
      throw wrong(url, null);
    }
    host = uri.getHost();
    port = uri.getPort() > 0 ? uri.getPort() : secure ? 443 : 8001;
  }

  private static IllegalArgumentException wrong(String url, Throwable cause) {
    return new IllegalArgumentException(
        "url is \"" + url + "\", expected grpc(s)://host[:port], for example grpc://localhost:8001",
        cause);
  }

  /**
   * Sets the time that a call may take from its beginning to its end.
   *
   * @param timeout the time, 60 seconds by default; null for no limit
   * @return this
   */
  public GrpcClientBuilder timeout(Duration timeout) {
    if (timeout != null && (timeout.isNegative() || timeout.isZero())) {
      throw new IllegalArgumentException("timeout is " + timeout + ", expected more than 0");
    }
    this.timeout = timeout;
    return this;
  }

  /**
   * Sets how requests are compressed.
   *
   * @param compression GZIP, or NONE, which is the default
   * @return this
   */
  public GrpcClientBuilder requestCompression(Compression compression) {
    if (compression == null || compression == Compression.DEFLATE) {
      throw new IllegalArgumentException(
          "compression is " + compression + ", expected GZIP or NONE");
    }
    this.compression = compression;
    return this;
  }

  /**
   * Trusts servers whose certificates an authority has signed, rather than those of the JDK.
   *
   * @param authority a PEM file with the authority's certificates
   * @return this
   * @throws IOException the file can't be read
   */
  public GrpcClientBuilder trust(Path authority) throws IOException {
    tls.trustManager(authority.toFile());
    return this;
  }

  /**
   * Shows servers a certificate of our own.
   *
   * @param certificate a PEM file with the certificate, and those that lead to its authority
   * @param privateKey a PEM file with its key, as PKCS #8
   * @return this
   * @throws IOException a file can't be read
   */
  public GrpcClientBuilder identity(Path certificate, Path privateKey) throws IOException {
    tls.keyManager(certificate.toFile(), privateKey.toFile());
    return this;
  }

  /**
   * Creates the client. It connects when it is first used.
   *
   * @return the client
   */
  public GrpcClient build() {
    ChannelCredentials credentials = secure ? tls.build() : InsecureChannelCredentials.create();
    ManagedChannel channel =
        Grpc.newChannelBuilderForAddress(host, port, credentials)
            .maxInboundMessageSize(Integer.MAX_VALUE)
            .build();
    String url = (secure ? "grpcs://" : "grpc://") + host + ":" + port;
    return new GrpcClient(channel, url, timeout, compression);
  }
}
