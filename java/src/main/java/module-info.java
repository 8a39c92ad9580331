/** A client of the v2 inference protocol over HTTP (Triton, KServe and others). */
module triton.client {
  requires transitive com.fasterxml.jackson.core;
  requires java.net.http;
  requires static java.desktop;

  exports triton.client;
  exports triton.client.endpoint;
  exports triton.client.messages;
  exports triton.client.pojo;
}
