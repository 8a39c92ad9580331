// Tensors as JSON and back.
#pragma once

#include <rapidjson/document.h>

#include <cstdint>
#include <string>
#include <vector>

#include "datatypes.h"
#include "tensors.h"

namespace triton::client::internal {

/// Append an input's elements as a flat JSON array. The input was checked before.
Error AppendJsonData(std::string* out, const InferInput& input);

/// Turn a JSON array, flat or nested, into the binary layout.
/// @param count the number of elements that it must have.
Error JsonDataToBinary(const rapidjson::Value& data, Datatype datatype, uint64_t count,
                       std::vector<uint8_t>* out);

}  // namespace triton::client::internal
