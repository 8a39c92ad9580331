// Protobuf's wire format, as far as inference needs it.
// Source: https://protobuf.dev/programming-guides/encoding/
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace triton::client::internal {

enum class WireType : uint8_t { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

inline void AppendVarint(std::string* out, uint64_t value) {
  while (value >= 0x80) {
    *out += static_cast<char>(value | 0x80);
    value >>= 7;
  }
  *out += static_cast<char>(value);
}

inline void AppendTag(std::string* out, uint32_t field, WireType type) {
  AppendVarint(out, field << 3 | static_cast<uint32_t>(type));
}

inline void AppendBytes(std::string* out, uint32_t field, std::string_view value) {
  AppendTag(out, field, WireType::BYTES);
  AppendVarint(out, value.size());
  *out += value;
}

/// Reads the fields of a message that lies in one piece of memory.
class WireReader {
 public:
  explicit WireReader(std::string_view data)
      : at_(reinterpret_cast<const uint8_t*>(data.data())), end_(at_ + data.size()) {}

  bool AtEnd() const { return at_ == end_; }

  bool ReadVarint(uint64_t* value) {
    *value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return false;
      const uint8_t byte = *at_++;
      if (shift == 63 && byte > 1) return false;
      *value |= static_cast<uint64_t>(byte & 0x7F) << shift;
      if (byte < 0x80) return true;
    }
    return false;
  }

  /// Read the number and type of a field.
  /// @return false when the message is damaged; groups count as damage.
  bool ReadTag(uint32_t* field, WireType* type) {
    uint64_t tag = 0;
    if (!ReadVarint(&tag) || tag > UINT32_MAX) return false;
    *field = static_cast<uint32_t>(tag >> 3);
    *type = static_cast<WireType>(tag & 7);
    return *field != 0 && (*type == WireType::VARINT || *type == WireType::FIXED64 ||
                           *type == WireType::BYTES || *type == WireType::FIXED32);
  }

  bool ReadBytes(std::string_view* value) {
    uint64_t size = 0;
    return ReadVarint(&size) && Take(size, value);
  }

  bool ReadFixed(WireType type, uint64_t* value) {
    std::string_view bytes;
    if (!Take(type == WireType::FIXED64 ? 8 : 4, &bytes)) return false;
    *value = 0;
    for (size_t i = 0; i < bytes.size(); ++i) {
      *value |= static_cast<uint64_t>(static_cast<uint8_t>(bytes[i])) << (8 * i);
    }
    return true;
  }

  bool Skip(WireType type) {
    uint64_t number = 0;
    std::string_view bytes;
    if (type == WireType::VARINT) return ReadVarint(&number);
    if (type == WireType::BYTES) return ReadBytes(&bytes);
    return ReadFixed(type, &number);
  }

 private:
  bool Take(uint64_t size, std::string_view* value) {
    if (size > static_cast<uint64_t>(end_ - at_)) return false;
    *value = {reinterpret_cast<const char*>(at_), static_cast<size_t>(size)};
    at_ += size;
    return true;
  }

  const uint8_t* at_;
  const uint8_t* end_;
};

}  // namespace triton::client::internal
