// Sends one inference over HTTP; with compression and TLS when asked to.
#include "example.h"
#include "http_client.h"

namespace {

using Compression = tc::InferenceServerHttpClient::CompressionType;

Compression CompressionOf(const std::string& name) {
  if (name == "gzip") return Compression::GZIP;
  if (name == "deflate") return Compression::DEFLATE;
  if (name == "none") return Compression::NONE;
  example::Fail("unsupported compression '" + name + "': use none, gzip or deflate");
}

}  // namespace

int main(int argc, char** argv) {
  example::Flags flags("localhost:8000");
  uint64_t timeout = 0;
  std::string request_compression = "none";
  std::string response_compression = "none";
  tc::HttpSslOptions ssl;
  flags.Number("t", &timeout, "client timeout in microseconds");
  flags.Text("i", &request_compression, "compression of the request: none, gzip or deflate");
  flags.Text("o", &response_compression, "compression of the response: none, gzip or deflate");
  flags.Number("verify-peer", &ssl.verify_peer, "1: verify the server's certificate; 0: don't");
  flags.Number("verify-host", &ssl.verify_host, "2: verify the name in it; 0: don't");
  flags.Text("ca-certs", &ssl.ca_info, "file of the authorities' certificates");
  flags.Text("cert-file", &ssl.cert, "file of the client's certificate");
  flags.Text("key-file", &ssl.key, "file of the client's private key");
  flags.Parse(argc, argv);

  std::unique_ptr<tc::InferenceServerHttpClient> client;
  example::Check(tc::InferenceServerHttpClient::Create(&client, flags.url, flags.verbose, ssl),
                 "unable to create http client");

  const example::SimpleInputs data;
  const auto input0 = example::Input("INPUT0", {1, 16}, "INT32", data.input0);
  const auto input1 = example::Input("INPUT1", {1, 16}, "INT32", data.input1);
  const auto output0 = example::Output("OUTPUT0");
  const auto output1 = example::Output("OUTPUT1");
  tc::InferOptions options("simple");
  options.client_timeout_ = timeout;

  tc::InferResult* result = nullptr;
  example::Check(
      client->Infer(&result, options, {input0.get(), input1.get()}, {output0.get(), output1.get()},
                    flags.headers, tc::Parameters(), CompressionOf(request_compression),
                    CompressionOf(response_compression)),
      "unable to run model");
  const std::unique_ptr<tc::InferResult> owner(result);
  example::CheckSimple(*result, data);
  std::cout << result->DebugString() << std::endl;

  example::ShowStatistics(*client);
  std::string statistics;
  example::Check(client->ModelInferenceStatistics(&statistics, "simple", "", flags.headers),
                 "unable to get model statistics");
  std::cout << "======Model Statistics======" << std::endl << statistics << std::endl;
  std::cout << "PASS : Infer" << std::endl;
  return 0;
}
