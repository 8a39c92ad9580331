// Each datatype is read from one field; elements may be packed or not.
#include "contents.h"

#include <string>

#include "wire.h"

namespace triton::client::internal {
namespace {

struct Source {
  uint32_t field;
  WireType type;
  bool is_signed;
};

Source SourceOf(Datatype datatype) {
  switch (datatype) {
    case Datatype::BOOL:
      return {1, WireType::VARINT, false};
    case Datatype::INT8:
    case Datatype::INT16:
    case Datatype::INT32:
      return {2, WireType::VARINT, true};
    case Datatype::INT64:
      return {3, WireType::VARINT, true};
    case Datatype::UINT8:
    case Datatype::UINT16:
    case Datatype::UINT32:
      return {4, WireType::VARINT, false};
    case Datatype::UINT64:
      return {5, WireType::VARINT, false};
    case Datatype::FP32:
      return {6, WireType::FIXED32, false};
    case Datatype::FP64:
      return {7, WireType::FIXED64, false};
    case Datatype::BYTES:
      return {8, WireType::BYTES, false};
    case Datatype::FP16:
    case Datatype::BF16:
    case Datatype::UNKNOWN:
      break;
  }
  return {0, WireType::VARINT, false};
}

// Whether a number, as it is on the wire, fits in so many bytes.
bool Fits(uint64_t value, size_t size, const Source& source) {
  if (source.type != WireType::VARINT || size == 8) return true;
  const unsigned bits = static_cast<unsigned>(size) * 8;
  if (source.field == 1) return value <= 1;
  if (!source.is_signed) return value >> bits == 0;
  const auto number = static_cast<int64_t>(value);
  const int64_t limit = int64_t{1} << (bits - 1);
  return number >= -limit && number < limit;
}

Error Unreadable(const std::string& message) { return Error(ErrorCode::DATA_LOSS, message); }

class Converter {
 public:
  Converter(Datatype datatype, std::vector<uint8_t>* out)
      : source_(SourceOf(datatype)), size_(ElementSize(datatype)), out_(out) {}

  Error Run(std::string_view contents) {
    WireReader reader(contents);
    while (!reader.AtEnd()) {
      uint32_t field = 0;
      WireType type;
      if (!reader.ReadTag(&field, &type)) return Unreadable("its contents are damaged");
      const bool wanted =
          source_.field == field && (type == source_.type || type == WireType::BYTES);
      if (!(wanted ? TakeField(&reader, type) : reader.Skip(type))) {
        return Unreadable("its contents are damaged, or out of range");
      }
    }
    return Error::Success;
  }
  bool Known() const { return source_.field != 0; }
  uint64_t Count() const { return count_; }

 private:
  bool TakeField(WireReader* reader, WireType type) {
    if (type != WireType::BYTES) return TakeNumber(reader);
    std::string_view bytes;
    if (!reader->ReadBytes(&bytes)) return false;
    if (source_.type == WireType::BYTES) {
      if (bytes.size() > UINT32_MAX) return false;
      Store(bytes.size(), 4);
      out_->insert(out_->end(), bytes.begin(), bytes.end());
      ++count_;
      return true;
    }
    WireReader packed(bytes);
    while (!packed.AtEnd()) {
      if (!TakeNumber(&packed)) return false;
    }
    return true;
  }

  bool TakeNumber(WireReader* reader) {
    uint64_t value = 0;
    const bool read = source_.type == WireType::VARINT ? reader->ReadVarint(&value)
                                                       : reader->ReadFixed(source_.type, &value);
    if (!read || !Fits(value, size_, source_)) return false;
    Store(value, size_);
    ++count_;
    return true;
  }

  void Store(uint64_t value, size_t size) {
    for (size_t i = 0; i < size; ++i) out_->push_back(static_cast<uint8_t>(value >> (8 * i)));
  }

  const Source source_;
  const size_t size_;
  std::vector<uint8_t>* const out_;
  uint64_t count_ = 0;
};

}  // namespace

Error ContentsToBinary(std::string_view contents, Datatype datatype, uint64_t count,
                       std::vector<uint8_t>* out) {
  Converter converter(datatype, out);
  if (!converter.Known()) return Unreadable("its datatype has no typed contents");
  if (Error err = converter.Run(contents); !err.IsOk()) return err;
  if (converter.Count() != count) {
    return Unreadable("its contents have " + std::to_string(converter.Count()) +
                      " elements, and its shape " + std::to_string(count));
  }
  return Error::Success;
}

}  // namespace triton::client::internal
