// Asks a server and a model how they are and what they are, over gRPC.
#include "example.h"
#include "grpc_client.h"

int main(int argc, char** argv) {
  example::Flags flags("localhost:8001");
  flags.Parse(argc, argv);
  std::unique_ptr<tc::InferenceServerGrpcClient> client;
  example::Check(tc::InferenceServerGrpcClient::Create(&client, flags.url, flags.verbose),
                 "unable to create grpc client");
  const std::string model = "simple";

  bool yes = false;
  example::Check(client->IsServerLive(&yes, flags.headers), "unable to get server liveness");
  if (!yes) example::Fail("server is not live");
  example::Check(client->IsServerReady(&yes, flags.headers), "unable to get server readiness");
  if (!yes) example::Fail("server is not ready");
  example::Check(client->IsModelReady(&yes, model, "", flags.headers),
                 "unable to get model readiness");
  if (!yes) example::Fail("model is not ready");

  inference::ServerMetadataResponse server;
  example::Check(client->ServerMetadata(&server, flags.headers), "unable to get server metadata");
  if (server.name() != "triton") example::Fail("unexpected server name '" + server.name() + "'");
  inference::ModelMetadataResponse metadata;
  example::Check(client->ModelMetadata(&metadata, model, "", flags.headers),
                 "unable to get model metadata");
  if (metadata.name() != model) example::Fail("unexpected model name '" + metadata.name() + "'");
  inference::ModelConfigResponse config;
  example::Check(client->ModelConfig(&config, model, "", flags.headers),
                 "unable to get model config");
  if (config.config().name() != model) example::Fail("unexpected model name in the config");

  const tc::Error err = client->ModelMetadata(&metadata, "wrong_model_name", "", flags.headers);
  if (err.IsOk()) example::Fail("expected an error for an unknown model");
  std::cout << err << std::endl;
  return 0;
}
