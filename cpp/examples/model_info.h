// What the image programs know of a model, over either protocol.
#pragma once

#include "example.h"
#include "grpc_client.h"
#include "http_client.h"
#include "json_utils.h"

namespace example {

struct TensorInfo {
  std::string name;
  std::string datatype;
  std::vector<int64_t> shape;
};

struct ModelInfo {
  std::vector<TensorInfo> inputs;
  std::vector<TensorInfo> outputs;
  int64_t max_batch_size = 0;
  std::string format;  // of the first input, such as "FORMAT_NCHW"
};

inline TensorInfo TensorOf(const rapidjson::Value& value) {
  TensorInfo tensor;
  if (!value.IsObject() || !value.HasMember("name") || !value["name"].IsString() ||
      !value.HasMember("datatype") || !value["datatype"].IsString() || !value.HasMember("shape") ||
      !value["shape"].IsArray()) {
    Fail("the model's metadata can't be read");
  }
  tensor.name = value["name"].GetString();
  tensor.datatype = value["datatype"].GetString();
  for (const auto& dim : value["shape"].GetArray()) {
    if (dim.IsInt64()) tensor.shape.push_back(dim.GetInt64());
  }
  return tensor;
}

inline ModelInfo AskAbout(tc::InferenceServerHttpClient* client, const std::string& name,
                          const std::string& version, const tc::Headers& headers) {
  ModelInfo model;
  std::string text;
  rapidjson::Document metadata;
  Check(client->ModelMetadata(&text, name, version, headers), "unable to get model metadata");
  Check(tc::ParseJson(&metadata, text), "failed to parse model metadata");
  rapidjson::Document config;
  Check(client->ModelConfig(&text, name, version, headers), "unable to get model config");
  Check(tc::ParseJson(&config, text), "failed to parse model config");
  if (!metadata.IsObject() || !config.IsObject()) Fail("the model's metadata can't be read");
  for (const char* side : {"inputs", "outputs"}) {
    if (!metadata.HasMember(side) || !metadata[side].IsArray()) continue;
    auto& tensors = side == std::string("inputs") ? model.inputs : model.outputs;
    for (const auto& value : metadata[side].GetArray()) tensors.push_back(TensorOf(value));
  }
  if (config.HasMember("max_batch_size") && config["max_batch_size"].IsInt64()) {
    model.max_batch_size = config["max_batch_size"].GetInt64();
  }
  if (config.HasMember("input") && config["input"].IsArray() && !config["input"].Empty()) {
    const auto& input = config["input"][0];
    if (input.IsObject() && input.HasMember("format") && input["format"].IsString()) {
      model.format = input["format"].GetString();
    }
  }
  return model;
}

inline ModelInfo AskAbout(tc::InferenceServerGrpcClient* client, const std::string& name,
                          const std::string& version, const tc::Headers& headers) {
  ModelInfo model;
  inference::ModelMetadataResponse metadata;
  Check(client->ModelMetadata(&metadata, name, version, headers), "unable to get model metadata");
  inference::ModelConfigResponse config;
  Check(client->ModelConfig(&config, name, version, headers), "unable to get model config");
  const auto take = [](const auto& tensors, std::vector<TensorInfo>* out) {
    for (const auto& tensor : tensors) {
      out->push_back(
          {tensor.name(), tensor.datatype(), {tensor.shape().begin(), tensor.shape().end()}});
    }
  };
  take(metadata.inputs(), &model.inputs);
  take(metadata.outputs(), &model.outputs);
  model.max_batch_size = config.config().max_batch_size();
  if (config.config().input_size() > 0) {
    model.format = inference::ModelInput::Format_Name(config.config().input(0).format());
  }
  return model;
}

/// Read the name of a protocol, in any case, and give the server's usual address to those who gave
/// none.
inline bool IsGrpc(Flags* flags, std::string protocol) {
  std::transform(protocol.begin(), protocol.end(), protocol.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (protocol != "http" && protocol != "grpc") flags->Usage("-i takes HTTP or gRPC");
  if (flags->url.empty()) flags->url = protocol == "http" ? "localhost:8000" : "localhost:8001";
  return protocol == "grpc";
}

}  // namespace example
