// The datatypes of the v2 protocol.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace triton::client::internal {

enum class Datatype : uint8_t {
  UNKNOWN,
  BOOL,
  UINT8,
  UINT16,
  UINT32,
  UINT64,
  INT8,
  INT16,
  INT32,
  INT64,
  FP16,
  BF16,
  FP32,
  FP64,
  BYTES,
};

/// Return the datatype of this name; UNKNOWN when there is none.
Datatype DatatypeOf(std::string_view name);

/// Return the bytes of one element; 0 for BYTES and UNKNOWN.
size_t ElementSize(Datatype datatype);

/// Calculate the number of elements.
/// @return false when a dimension is negative or the number exceeds 63 bits.
bool CountElements(const int64_t* dims, size_t rank, uint64_t* count);

}  // namespace triton::client::internal
