// Typed contents of tensors in protobuf messages, which some servers send instead of raw ones.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "datatypes.h"
#include "triton/client/error.h"

namespace triton::client::internal {

/// Turn an InferTensorContents message into the binary layout.
/// @param count the number of elements that it must have.
Error ContentsToBinary(std::string_view contents, Datatype datatype, uint64_t count,
                       std::vector<uint8_t>* out);

}  // namespace triton::client::internal
