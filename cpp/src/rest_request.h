// The body of an inference request over HTTP. No I/O.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "tensors.h"

namespace triton::client::internal {

struct RestBody {
  std::string head;             // JSON
  std::vector<Buffer> tensors;  // the bytes that follow it, in the caller's memory
  uint64_t byte_size = 0;       // of all
  bool all_json = false;        // no input is binary
};

/// Check a request and write its body.
Error BuildRestBody(RestBody* body, const InferOptions& options,
                    const std::vector<InferInput*>& inputs,
                    const std::vector<const InferRequestedOutput*>& outputs);

}  // namespace triton::client::internal
