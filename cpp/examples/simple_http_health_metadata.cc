// Asks a server and a model how they are and what they are, over HTTP.
#include "example.h"
#include "http_client.h"
#include "json_utils.h"

int main(int argc, char** argv) {
  example::Flags flags("localhost:8000");
  flags.Parse(argc, argv);
  std::unique_ptr<tc::InferenceServerHttpClient> client;
  example::Check(tc::InferenceServerHttpClient::Create(&client, flags.url, flags.verbose),
                 "unable to create http client");
  const std::string model = "simple";

  bool yes = false;
  example::Check(client->IsServerLive(&yes, flags.headers), "unable to get server liveness");
  if (!yes) example::Fail("server is not live");
  example::Check(client->IsServerReady(&yes, flags.headers), "unable to get server readiness");
  if (!yes) example::Fail("server is not ready");
  example::Check(client->IsModelReady(&yes, model, "", flags.headers),
                 "unable to get model readiness");
  if (!yes) example::Fail("model is not ready");

  const auto parse = [](const std::string& text) {
    auto document = std::make_unique<rapidjson::Document>();
    example::Check(tc::ParseJson(document.get(), text), "failed to parse JSON");
    if (!document->IsObject()) example::Fail("expected a JSON object: " + text);
    return document;
  };
  std::string text;
  example::Check(client->ServerMetadata(&text, flags.headers), "unable to get server metadata");
  std::cout << text << std::endl;
  const auto server = parse(text);
  if (!server->HasMember("name") || (*server)["name"] != "triton") {
    example::Fail("unexpected server name in " + text);
  }
  example::Check(client->ModelMetadata(&text, model, "", flags.headers),
                 "unable to get model metadata");
  std::cout << text << std::endl;
  const auto metadata = parse(text);
  if (!metadata->HasMember("name") || (*metadata)["name"] != model.c_str()) {
    example::Fail("unexpected model name in " + text);
  }
  example::Check(client->ModelConfig(&text, model, "", flags.headers),
                 "unable to get model config");
  const auto config = parse(text);
  if (!config->HasMember("name") || (*config)["name"] != model.c_str()) {
    example::Fail("unexpected model name in " + text);
  }

  const tc::Error err = client->ModelMetadata(&text, "wrong_model_name", "", flags.headers);
  if (err.IsOk()) example::Fail("expected an error for an unknown model");
  std::cout << err << std::endl;
  std::cout << "SUCCESS" << std::endl;
  return 0;
}
