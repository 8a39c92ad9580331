package triton.client;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.GeneralSecurityException;
import java.security.KeyFactory;
import java.security.KeyStore;
import java.security.PrivateKey;
import java.security.cert.Certificate;
import java.security.cert.CertificateFactory;
import java.security.spec.InvalidKeySpecException;
import java.security.spec.PKCS8EncodedKeySpec;
import java.util.Base64;
import java.util.Collection;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import javax.net.ssl.KeyManager;
import javax.net.ssl.KeyManagerFactory;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManager;
import javax.net.ssl.TrustManagerFactory;
import triton.client.internal.Bytes;
import triton.client.internal.Checks;

/** Makes contexts for {@link ClientBuilder#tls} of PEM files. */
public final class Tls {
  private static final Pattern KEY =
      Pattern.compile("-----BEGIN ([A-Z ]*PRIVATE KEY)-----([^-]*)-----END");
  private static final char[] NO_PASSWORD = {};

  /** The identifiers of the algorithms: 1.2.840.113549.1.1.1 with no parameters. */
  private static final byte[] RSA = {
    6, 9, 0x2a, (byte) 0x86, 0x48, (byte) 0x86, (byte) 0xf7, 13, 1, 1, 1, 5, 0
  };

  /** The same: 1.2.840.10045.2.1, whose parameter is a curve. */
  private static final byte[] EC = {6, 7, 0x2a, (byte) 0x86, 0x48, (byte) 0xce, 0x3d, 2, 1};

  private Tls() {}

  /**
   * Trusts the servers whose certificates an authority has signed.
   *
   * @param authority a PEM file with the authority's certificates
   * @return the context
   * @throws IOException a file can't be read, or does not hold what it should
   */
  public static SSLContext trusting(Path authority) throws IOException {
    return context(trust(Checks.notNull("authority", authority)), null);
  }

  /**
   * Trusts the servers whose certificates an authority has signed, and shows them a certificate of
   * our own.
   *
   * @param authority a PEM file with the authority's certificates; null for those that the JDK
   *     trusts
   * @param certificate a PEM file with our certificate, and those that lead to its authority
   * @param privateKey a PEM file with the certificate's key, not encrypted
   * @return the context
   * @throws IOException a file can't be read, or does not hold what it should
   */
  public static SSLContext of(Path authority, Path certificate, Path privateKey)
      throws IOException {
    Checks.notNull("certificate", certificate);
    Checks.notNull("privateKey", privateKey);
    return context(authority == null ? null : trust(authority), identity(certificate, privateKey));
  }

  private static SSLContext context(TrustManager[] trust, KeyManager[] identity)
      throws IOException {
    try {
      SSLContext context = SSLContext.getInstance("TLS");
      context.init(identity, trust, null);
      return context;
    } catch (GeneralSecurityException e) {
      throw new IOException("TLS can't be set up: " + e.getMessage(), e);
    }
  }

  private static TrustManager[] trust(Path authority) throws IOException {
    try {
      KeyStore store = emptyStore();
      int count = 0;
      for (Certificate certificate : certificates(authority)) {
        store.setCertificateEntry("authority" + count++, certificate);
      }
      TrustManagerFactory factory =
          TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
      factory.init(store);
      return factory.getTrustManagers();
    } catch (GeneralSecurityException e) {
      throw new IOException(authority + " can't be used: " + e.getMessage(), e);
    }
  }

  private static KeyManager[] identity(Path certificate, Path privateKey) throws IOException {
    PrivateKey key = key(privateKey);
    try {
      KeyStore store = emptyStore();
      Certificate[] chain = certificates(certificate).toArray(new Certificate[0]);
      store.setKeyEntry("client", key, NO_PASSWORD, chain);
      KeyManagerFactory factory =
          KeyManagerFactory.getInstance(KeyManagerFactory.getDefaultAlgorithm());
      factory.init(store, NO_PASSWORD);
      return factory.getKeyManagers();
    } catch (GeneralSecurityException e) {
      throw new IOException(
          certificate + " can't be used with " + privateKey + ": " + e.getMessage(), e);
    }
  }

  private static KeyStore emptyStore() throws GeneralSecurityException, IOException {
    KeyStore store = KeyStore.getInstance("PKCS12");
    store.load(null, null);
    return store;
  }

  private static Collection<? extends Certificate> certificates(Path file) throws IOException {
    try (InputStream in = Files.newInputStream(file)) {
      Collection<? extends Certificate> found =
          CertificateFactory.getInstance("X.509").generateCertificates(in);
      if (found.isEmpty()) {
        throw new IOException(file + " holds no certificate, expected PEM");
      }
      return found;
    } catch (GeneralSecurityException e) {
      throw new IOException(file + " holds no certificate, expected PEM: " + e.getMessage(), e);
    }
  }

  private static PrivateKey key(Path file) throws IOException {
    Matcher pem = KEY.matcher(Files.readString(file, StandardCharsets.ISO_8859_1));
    if (!pem.find()) {
      throw new IOException(file + " holds no private key, expected PEM");
    }
    byte[] encoded = Base64.getMimeDecoder().decode(pem.group(2));
    switch (pem.group(1)) {
      case "PRIVATE KEY":
        return pkcs8(file, encoded);
      case "RSA PRIVATE KEY":
        return pkcs8(file, wrapped(RSA, encoded));
      case "EC PRIVATE KEY":
        return pkcs8(file, wrapped(ecAlgorithm(file, encoded), encoded));
      default:
        throw new IOException(
            file
                + " holds an "
                + pem.group(1)
                + ", expected a PRIVATE KEY; convert it by: openssl pkcs8 -topk8 -nocrypt -in "
                + file.getFileName());
    }
  }

  private static PrivateKey pkcs8(Path file, byte[] encoded) throws IOException {
    for (String algorithm : new String[] {"RSA", "EC", "EdDSA"}) {
      try {
        return KeyFactory.getInstance(algorithm).generatePrivate(new PKCS8EncodedKeySpec(encoded));
      } catch (InvalidKeySpecException | java.security.NoSuchAlgorithmException e) {
        // Then it is a key of another algorithm.
      }
    }
    throw new IOException(file + " holds a key that is not one of RSA, EC or EdDSA");
  }

  /** Returns the identifier of an elliptic curve's keys: the algorithm, and the key's own curve. */
  private static byte[] ecAlgorithm(Path file, byte[] sec1) throws IOException {
    try {
      int at = content(sec1, 0); // of the sequence: version, key, [0] curve, [1] public key
      at = content(sec1, at) + sec1[at + 1];
      at = content(sec1, at) + sec1[at + 1];
      if (sec1[at] == (byte) 0xa0) {
        Bytes algorithm = new Bytes(32).append(EC);
        algorithm.write(sec1, content(sec1, at), sec1[at + 1]);
        return algorithm.toByteArray();
      }
    } catch (IndexOutOfBoundsException e) {
      // Told below.
    }
    throw new IOException(
        file
            + " holds an EC key that does not name its curve; convert it by: "
            + "openssl pkcs8 -topk8 -nocrypt -in "
            + file.getFileName());
  }

  /** Returns where the content of a DER element begins. */
  private static int content(byte[] der, int at) {
    return at + 2 + (der[at + 1] < 0 ? der[at + 1] & 0x7f : 0);
  }

  /** Puts a key into a PKCS #8 structure: version, algorithm, octets. */
  private static byte[] wrapped(byte[] algorithm, byte[] key) {
    Bytes inner = new Bytes(key.length + 64).append(new byte[] {2, 1, 0});
    der(inner, 0x30, algorithm);
    der(inner, 4, key);
    Bytes outer = new Bytes(key.length + 64);
    der(outer, 0x30, inner.toByteArray());
    return outer.toByteArray();
  }

  private static void der(Bytes out, int tag, byte[] content) {
    out.write(tag);
    if (content.length > 255) {
      out.write(0x82);
      out.write(content.length >>> 8);
    } else if (content.length > 127) {
      out.write(0x81);
    }
    out.write(content.length);
    out.append(content);
  }
}
