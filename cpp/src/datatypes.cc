// One table of the datatypes.
#include "datatypes.h"

#include <array>

namespace triton::client::internal {
namespace {

struct Row {
  std::string_view name;
  size_t size;
};

// In the order of the enumeration.
constexpr std::array<Row, 15> kRows{{{"", 0},
                                     {"BOOL", 1},
                                     {"UINT8", 1},
                                     {"UINT16", 2},
                                     {"UINT32", 4},
                                     {"UINT64", 8},
                                     {"INT8", 1},
                                     {"INT16", 2},
                                     {"INT32", 4},
                                     {"INT64", 8},
                                     {"FP16", 2},
                                     {"BF16", 2},
                                     {"FP32", 4},
                                     {"FP64", 8},
                                     {"BYTES", 0}}};

}  // namespace

Datatype DatatypeOf(std::string_view name) {
  for (size_t i = 1; i < kRows.size(); ++i) {
    if (kRows[i].name == name) return static_cast<Datatype>(i);
  }
  return Datatype::UNKNOWN;
}

size_t ElementSize(Datatype datatype) { return kRows[static_cast<size_t>(datatype)].size; }

bool CountElements(const int64_t* dims, size_t rank, uint64_t* count) {
  // Zeros first: with one of them no other dimension is too large.
  bool zero = false;
  for (size_t i = 0; i < rank; ++i) {
    if (dims[i] < 0) return false;
    zero = zero || dims[i] == 0;
  }
  *count = zero ? 0 : 1;
  for (size_t i = 0; i < rank && !zero; ++i) {
    const auto dim = static_cast<uint64_t>(dims[i]);
    if (*count > static_cast<uint64_t>(INT64_MAX) / dim) return false;
    *count *= dim;
  }
  return true;
}

}  // namespace triton::client::internal
