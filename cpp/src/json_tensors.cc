// Tensors as JSON and back; one function for each direction and kind of element.
#include "json_tensors.h"

#include <array>
#include <charconv>
#include <cmath>
#include <cstring>
#include <limits>
#include <string_view>
#include <type_traits>

#include "text.h"

namespace triton::client::internal {
namespace {

// Numbers are little-endian on the wire. All platforms of this library are.
template <typename T>
T Load(const uint8_t* bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof(T));
  return value;
}

template <typename T>
void Store(T value, std::vector<uint8_t>* out) {
  const size_t at = out->size();
  out->resize(at + sizeof(T));
  std::memcpy(out->data() + at, &value, sizeof(T));
}

template <typename T>
void AppendElement(std::string* out, T value) {
  if constexpr (std::is_same_v<T, bool>) {
    *out += value ? "true" : "false";
  } else if constexpr (std::is_floating_point_v<T>) {
    if (std::isnan(value)) {
      *out += "NaN";
    } else if (std::isinf(value)) {
      *out += value < 0 ? "-Infinity" : "Infinity";
    } else {
      std::array<char, 32> digits;
      const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), value).ptr;
      const std::string_view text(digits.data(), static_cast<size_t>(end - digits.data()));
      *out += text;
      // A number that looks like an integer is read as one, which loses the sign of -0.0.
      if (text.find_first_of(".e") == std::string_view::npos) *out += ".0";
    }
  } else if constexpr (std::is_signed_v<T>) {
    AppendNumber(out, static_cast<int64_t>(value));
  } else {
    AppendNumber(out, static_cast<uint64_t>(value));
  }
}

template <typename T>
Error AppendElements(std::string* out, const uint8_t* data, size_t size) {
  using Wire = std::conditional_t<std::is_same_v<T, bool>, uint8_t, T>;
  for (size_t at = 0; at < size; at += sizeof(Wire)) {
    if (at > 0) *out += ',';
    AppendElement<T>(out, static_cast<T>(Load<Wire>(data + at)));
  }
  return Error::Success;
}

Error AppendStrings(std::string* out, const uint8_t* data, size_t size, const std::string& name) {
  std::vector<std::string> elements;
  if (Error err = SplitBytes(data, size, &elements); !err.IsOk()) return err;
  for (size_t i = 0; i < elements.size(); ++i) {
    if (!IsUtf8(elements[i])) {
      return Invalid("element " + std::to_string(i) + " of input '" + name +
                     "' is not UTF-8 and can't be sent as JSON: use the binary data format");
    }
    if (i > 0) *out += ',';
    AppendJsonString(out, elements[i]);
  }
  return Error::Success;
}

}  // namespace

Error AppendJsonData(std::string* out, const InferInput& input) {
  const auto& buffers = TensorAccess::Buffers(input);
  std::vector<uint8_t> joined;
  Buffer whole{nullptr, 0};
  if (buffers.size() == 1) {
    whole = buffers.front();
  } else {
    // An element may be cut by the buffers.
    joined.reserve(TensorAccess::ByteSize(input));
    for (const auto& [data, size] : buffers) joined.insert(joined.end(), data, data + size);
    whole = {joined.data(), joined.size()};
  }
  const auto [data, size] = whole;
  *out += '[';
  Error err;
  switch (DatatypeOf(input.Datatype())) {
    case Datatype::BOOL:
      err = AppendElements<bool>(out, data, size);
      break;
    case Datatype::UINT8:
      err = AppendElements<uint8_t>(out, data, size);
      break;
    case Datatype::UINT16:
      err = AppendElements<uint16_t>(out, data, size);
      break;
    case Datatype::UINT32:
      err = AppendElements<uint32_t>(out, data, size);
      break;
    case Datatype::UINT64:
      err = AppendElements<uint64_t>(out, data, size);
      break;
    case Datatype::INT8:
      err = AppendElements<int8_t>(out, data, size);
      break;
    case Datatype::INT16:
      err = AppendElements<int16_t>(out, data, size);
      break;
    case Datatype::INT32:
      err = AppendElements<int32_t>(out, data, size);
      break;
    case Datatype::INT64:
      err = AppendElements<int64_t>(out, data, size);
      break;
    case Datatype::FP32:
      err = AppendElements<float>(out, data, size);
      break;
    case Datatype::FP64:
      err = AppendElements<double>(out, data, size);
      break;
    case Datatype::BYTES:
      err = AppendStrings(out, data, size, input.Name());
      break;
    case Datatype::FP16:
    case Datatype::BF16:
    case Datatype::UNKNOWN:
      err = Invalid("datatype '" + input.Datatype() +
                    "' is not supported with JSON. Please use the binary data format");
      break;
  }
  *out += ']';
  return err;
}

namespace {

using rapidjson::Value;

template <typename T>
bool TakeNumber(const Value& value, std::vector<uint8_t>* out) {
  if constexpr (std::is_same_v<T, bool>) {
    if (!value.IsBool()) return false;
    Store(static_cast<uint8_t>(value.GetBool()), out);
  } else if constexpr (std::is_floating_point_v<T>) {
    if (!value.IsNumber()) return false;
    const double number = value.GetDouble();
    // A finite double beyond the range of float becomes infinity, as a cast on the server does.
    Store(
        std::isfinite(number) &&
                std::fabs(number) > static_cast<double>(std::numeric_limits<T>::max())
            ? std::copysign(std::numeric_limits<T>::infinity(), static_cast<T>(number < 0 ? -1 : 1))
            : static_cast<T>(number),
        out);
  } else if constexpr (std::is_signed_v<T>) {
    if (!value.IsInt64()) return false;
    const int64_t number = value.GetInt64();
    if (number < std::numeric_limits<T>::min() || number > std::numeric_limits<T>::max()) {
      return false;
    }
    Store(static_cast<T>(number), out);
  } else {
    if (!value.IsUint64()) return false;
    const uint64_t number = value.GetUint64();
    if (number > std::numeric_limits<T>::max()) return false;
    Store(static_cast<T>(number), out);
  }
  return true;
}

bool TakeString(const Value& value, std::vector<uint8_t>* out) {
  if (!value.IsString()) return false;
  const size_t size = value.GetStringLength();
  Store(static_cast<uint32_t>(size), out);
  const auto* text = reinterpret_cast<const uint8_t*>(value.GetString());
  out->insert(out->end(), text, text + size);
  return true;
}

using TakeElement = bool (*)(const Value&, std::vector<uint8_t>*);

TakeElement TakerOf(Datatype datatype) {
  switch (datatype) {
    case Datatype::BOOL:
      return TakeNumber<bool>;
    case Datatype::UINT8:
      return TakeNumber<uint8_t>;
    case Datatype::UINT16:
      return TakeNumber<uint16_t>;
    case Datatype::UINT32:
      return TakeNumber<uint32_t>;
    case Datatype::UINT64:
      return TakeNumber<uint64_t>;
    case Datatype::INT8:
      return TakeNumber<int8_t>;
    case Datatype::INT16:
      return TakeNumber<int16_t>;
    case Datatype::INT32:
      return TakeNumber<int32_t>;
    case Datatype::INT64:
      return TakeNumber<int64_t>;
    case Datatype::FP32:
      return TakeNumber<float>;
    case Datatype::FP64:
      return TakeNumber<double>;
    case Datatype::BYTES:
      return TakeString;
    case Datatype::FP16:
    case Datatype::BF16:
    case Datatype::UNKNOWN:
      break;
  }
  return nullptr;
}

// Tensors of more dimensions do not exist; JSON that is nested deeper is an attack.
constexpr int kDeepest = 64;

Error Flatten(const Value& data, TakeElement take, int depth, uint64_t* count,
              std::vector<uint8_t>* out) {
  if (depth > kDeepest) return Error(ErrorCode::DATA_LOSS, "its data is nested too deeply");
  for (const auto& value : data.GetArray()) {
    if (value.IsArray()) {
      if (Error err = Flatten(value, take, depth + 1, count, out); !err.IsOk()) return err;
    } else if (take(value, out)) {
      ++*count;
    } else {
      return Error(ErrorCode::DATA_LOSS,
                   "element " + std::to_string(*count) +
                       " of its data is not of the datatype, or out of range");
    }
  }
  return Error::Success;
}

}  // namespace

Error JsonDataToBinary(const Value& data, Datatype datatype, uint64_t count,
                       std::vector<uint8_t>* out) {
  const TakeElement take = TakerOf(datatype);
  if (take == nullptr) {
    return Error(ErrorCode::DATA_LOSS, "its datatype has no representation in JSON");
  }
  if (!data.IsArray()) return Error(ErrorCode::DATA_LOSS, "its data is no array");
  uint64_t found = 0;
  if (Error err = Flatten(data, take, 1, &found, out); !err.IsOk()) return err;
  if (found != count) {
    return Error(ErrorCode::DATA_LOSS, "its data has " + std::to_string(found) +
                                           " elements, and its shape " + std::to_string(count));
  }
  return Error::Success;
}

}  // namespace triton::client::internal
