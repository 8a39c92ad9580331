// What the codecs see of inputs, BYTES tensors, and the checks before anything is sent.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "datatypes.h"
#include "triton/client/options.h"
#include "triton/client/tensor.h"

namespace triton::client::internal {

using Buffer = std::pair<const uint8_t*, size_t>;

struct TensorAccess {
  static const std::vector<Buffer>& Buffers(const InferInput& input) { return input.buffers_; }
  static const SharedMemoryPlace& Place(const InferInput& input) { return input.place_; }
  static size_t ByteSize(const InferInput& input) { return input.byte_size_; }
  static void Hold(InferInput* input, std::shared_ptr<const void> held) {
    input->held_ = std::move(held);
  }
};

/// Check all that can be told to be wrong before a request is sent.
/// @param json whether inputs that ask for it are written as JSON.
Error CheckRequest(const InferOptions& options, const std::vector<InferInput*>& inputs,
                   const std::vector<const InferRequestedOutput*>& outputs, bool json);

/// Check the parts of InferMulti's arguments against each other.
Error CheckMulti(size_t options, size_t inputs, size_t outputs);

/// Split a BYTES tensor in its elements.
Error SplitBytes(const uint8_t* data, size_t size, std::vector<std::string>* elements);

/// Append the 4-byte little-endian length that precedes an element.
void AppendLength(std::string* out, size_t size);

/// Read 4 bytes as a little-endian number.
uint32_t ReadLength(const uint8_t* bytes);

/// Return an error of wrong arguments.
Error Invalid(const std::string& message);

}  // namespace triton::client::internal
