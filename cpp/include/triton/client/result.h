// What an inference returned.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "triton/client/error.h"

namespace triton::client {

template <typename T>
class TensorView;

/// The result of an inference. Whoever receives one deletes it. Its accessors may be called from
/// several threads at once.
class TRITON_CLIENT_API InferResult {
 public:
  virtual ~InferResult();

  /// Get the name and the version of the model, and the id of the request. A failed request's
  /// error is returned instead, unless the answer brought these in spite of it.
  virtual Error ModelName(std::string* name) const = 0;
  virtual Error ModelVersion(std::string* version) const = 0;
  virtual Error Id(std::string* id) const = 0;

  virtual Error Shape(const std::string& output_name, std::vector<int64_t>* shape) const = 0;
  virtual Error Datatype(const std::string& output_name, std::string* datatype) const = 0;
  /// Get the bytes of an output, which belong to the result and live as long as it does.
  virtual Error RawData(const std::string& output_name, const uint8_t** buf,
                        size_t* byte_size) const = 0;
  /// True for the last response to a request. Only decoupled models send others.
  virtual Error IsFinalResponse(bool* is_final_response) const = 0;
  /// True for a final response without outputs.
  virtual Error IsNullResponse(bool* is_null_response) const = 0;
  /// Get the elements of a BYTES output. Classes are "score:index" or "score:index:label".
  virtual Error StringData(const std::string& output_name,
                           std::vector<std::string>* string_result) const = 0;
  /// Return the answer as text: JSON over HTTP, protobuf's text format over gRPC.
  virtual std::string DebugString() const = 0;
  /// Return how the request ended.
  virtual Error RequestStatus() const = 0;

  /// Get a view of an output's elements, after a check of its datatype.
  template <typename T>
  Error As(const std::string& output_name, TensorView<T>* view) const;
};

}  // namespace triton::client
