// What accompanies the tensors of an inference request.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "triton/client/export.h"

namespace triton::client {

/// The header that tells how many bytes of an HTTP body are JSON; binary tensors follow them.
constexpr char kInferHeaderContentLengthHTTPHeader[] = "Inference-Header-Content-Length";

/// The largest message that a gRPC client sends or takes, in bytes.
constexpr int MAX_GRPC_MESSAGE_SIZE = INT32_MAX;

/// A custom parameter of a request. Its key in the request is the key of the map that holds it.
struct RequestParameter {
  std::string name;
  std::string value;
  /// "string", "int" (64 bits, decimal) or "bool" ("true" or "false").
  std::string type;
};

/// The options of one inference.
struct TRITON_CLIENT_API InferOptions {
  explicit InferOptions(const std::string& model_name) : model_name_(model_name) {}

  std::string model_name_;
  /// Empty: the server's version policy decides.
  std::string model_version_;
  /// Comes back with the result.
  std::string request_id_;
  /// The sequence that the request belongs to; 0 for none. It wins over the text below.
  uint64_t sequence_id_ = 0;
  std::string sequence_id_str_;
  bool sequence_start_ = false;
  bool sequence_end_ = false;
  /// 1 is the highest priority; 0 stands for the model's default.
  uint64_t priority_ = 0;
  /// Microseconds that the request may wait in the server; 0 for the model's default.
  uint64_t server_timeout_ = 0;
  /// Microseconds for the whole call; 0 for no limit. Streams ignore it. HTTP counts in
  /// milliseconds, rounded up.
  uint64_t client_timeout_ = 0;
  /// Ask for a last, empty response when a decoupled model has sent all others (gRPC only).
  bool triton_enable_empty_final_response_ = false;
  std::unordered_map<std::string, RequestParameter> request_parameters;
};

}  // namespace triton::client
