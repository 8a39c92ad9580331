// Sends one inference over gRPC; with compression and TLS when asked to. It does so twice, with a
// client each time, which share a channel unless -c false says otherwise.
#include "example.h"
#include "grpc_client.h"

namespace {

grpc_compression_algorithm CompressionOf(const std::string& name) {
  if (name == "gzip") return GRPC_COMPRESS_GZIP;
  if (name == "deflate") return GRPC_COMPRESS_DEFLATE;
  if (name == "none") return GRPC_COMPRESS_NONE;
  example::Fail("unsupported compression '" + name + "': use none, gzip or deflate");
}

}  // namespace

int main(int argc, char** argv) {
  example::Flags flags("localhost:8001");
  uint64_t timeout = 0;
  std::string compression = "none";
  bool use_ssl = false;
  bool use_cached_channel = true;
  tc::SslOptions ssl;
  flags.Number("t", &timeout, "client timeout in microseconds");
  flags.Text("C", &compression, "compression: none, gzip or deflate");
  flags.Switch("ssl", &use_ssl, "use TLS");
  flags.Text("root-certificates", &ssl.root_certificates, "file of the authorities' certificates");
  flags.Text("private-key", &ssl.private_key, "file of the client's private key");
  flags.Text("certificate-chain", &ssl.certificate_chain, "file of the client's certificates");
  flags.Add("c", true, "whether to share the channel: true or false",
            [&](const std::string& value) {
              if (value != "true" && value != "false") flags.Usage("-c takes true or false");
              use_cached_channel = value == "true";
            });
  flags.Parse(argc, argv);

  std::vector<std::unique_ptr<tc::InferenceServerGrpcClient>> clients(2);
  for (auto& client : clients) {
    example::Check(
        tc::InferenceServerGrpcClient::Create(&client, flags.url, flags.verbose, use_ssl, ssl,
                                              tc::KeepAliveOptions(), use_cached_channel),
        "unable to create grpc client");
    if (flags.verbose) {
      std::cout << "There are " << client->GetNumCachedChannels() << " cached channels"
                << std::endl;
    }

    const example::SimpleInputs data;
    const auto input0 = example::Input("INPUT0", {1, 16}, "INT32", data.input0);
    const auto input1 = example::Input("INPUT1", {1, 16}, "INT32", data.input1);
    const auto output0 = example::Output("OUTPUT0");
    const auto output1 = example::Output("OUTPUT1");
    tc::InferOptions options("simple");
    options.client_timeout_ = timeout;

    tc::InferResult* result = nullptr;
    example::Check(
        client->Infer(&result, options, {input0.get(), input1.get()},
                      {output0.get(), output1.get()}, flags.headers, CompressionOf(compression)),
        "unable to run model");
    const std::unique_ptr<tc::InferResult> owner(result);
    example::CheckSimple(*result, data);
    std::cout << result->DebugString() << std::endl;

    example::ShowStatistics(*client);
    inference::ModelStatisticsResponse statistics;
    example::Check(client->ModelInferenceStatistics(&statistics, "simple", "", flags.headers),
                   "unable to get model statistics");
    std::cout << "======Model Statistics======" << std::endl
              << statistics.DebugString() << std::endl;
    std::cout << "PASS : Infer" << std::endl;
  }
  return 0;
}
