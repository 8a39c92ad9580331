// Loads and unloads a model. The server runs with --model-control-mode=explicit.
#include "protocol.h"
#ifndef EXAMPLE_GRPC
#include "json_utils.h"
#endif

namespace {

bool Ready(example::Client* client, const example::Flags& flags, const std::string& model) {
  bool ready = false;
  example::Check(client->IsModelReady(&ready, model, "", flags.headers),
                 "unable to get model readiness");
  return ready;
}

std::vector<std::string> Models(example::Client* client, const example::Flags& flags) {
  std::vector<std::string> names;
#ifdef EXAMPLE_GRPC
  inference::RepositoryIndexResponse index;
  example::Check(client->ModelRepositoryIndex(&index, flags.headers),
                 "unable to get repository index");
  for (const auto& model : index.models()) names.push_back(model.name());
#else
  std::string text;
  example::Check(client->ModelRepositoryIndex(&text, flags.headers),
                 "unable to get repository index");
  rapidjson::Document index;
  example::Check(tc::ParseJson(&index, text), "failed to parse JSON");
  if (!index.IsArray()) example::Fail("expected a JSON array: " + text);
  for (const auto& model : index.GetArray()) {
    if (model.IsObject() && model.HasMember("name") && model["name"].IsString()) {
      names.emplace_back(model["name"].GetString());
    }
  }
#endif
  return names;
}

}  // namespace

int main(int argc, char** argv) {
  example::Flags flags(example::kDefaultUrl);
  flags.Parse(argc, argv);
  const auto client = example::Connect(flags);
  const std::string model = "simple";

  const auto names = Models(client.get(), flags);
  if (std::find(names.begin(), names.end(), model) == names.end()) {
    example::Fail("the repository has no model '" + model + "'");
  }
  example::Check(client->LoadModel(model, flags.headers), "unable to load model");
  if (!Ready(client.get(), flags, model)) example::Fail("model is not ready after loading");
  example::Check(client->UnloadModel(model, flags.headers), "unable to unload model");
  if (Ready(client.get(), flags, model)) example::Fail("model is ready after unloading");

  const tc::Error err = client->LoadModel("wrong_model_name", flags.headers);
  if (err.IsOk()) example::Fail("expected an error for an unknown model");
  std::cout << err << std::endl;
  example::Check(client->LoadModel(model, flags.headers), "unable to load model again");
  return 0;
}
