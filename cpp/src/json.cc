// Parsing JSON: for users of the HTTP client, and its numbers for all.
#include "triton/client/json.h"

#include <algorithm>
#include <charconv>
#include <limits>
#include <system_error>

#include "json_document.h"

namespace triton::client {
namespace {

template <typename T>
std::errc ReadWhole(std::string_view text, T* value) {
  const char* end = text.data() + text.size();
  const auto [stop, status] = std::from_chars(text.data(), end, *value);
  return stop == end ? status : std::errc::invalid_argument;
}

// True if a number that is beyond the range of double is large, rather than near to zero.
bool IsLarge(std::string_view text) {
  const size_t mark = std::min(text.find_first_of("eE"), text.size());
  const std::string_view digits = text.substr(0, mark);
  int64_t exponent = 0;
  if (mark < text.size()) {
    std::string_view power = text.substr(mark + 1);
    if (power.front() == '+') power.remove_prefix(1);
    if (ReadWhole(power, &exponent) != std::errc()) return power.front() != '-';
  }
  const auto point = static_cast<int64_t>(std::min(digits.find('.'), digits.size()));
  const size_t first = digits.find_first_not_of("-0.");
  return first != std::string_view::npos && point - static_cast<int64_t>(first) + exponent > 0;
}

}  // namespace

namespace internal {

bool ReadJsonNumber(std::string_view text, JsonNumber* number) {
  if (text.find_first_not_of("-0123456789") == std::string_view::npos) {
    const std::errc status = text.front() == '-' ? ReadWhole(text, &number->emplace<int64_t>())
                                                 : ReadWhole(text, &number->emplace<uint64_t>());
    if (status == std::errc()) return true;
  }
  double& value = number->emplace<double>();
  const std::errc status = ReadWhole(text, &value);
  if (status == std::errc::result_out_of_range && !IsLarge(text)) {
    value = text.front() == '-' ? -0.0 : 0.0;
    return true;
  }
  return status == std::errc();
}

}  // namespace internal

Error ParseJson(rapidjson::Document* document, const std::string& json_str) {
  if (document == nullptr) return Error(ErrorCode::INVALID_ARGUMENT, "'document' is null");
  internal::JsonDocument<> read(&document->GetAllocator());
  if (const std::string wrong = read.Read(json_str); !wrong.empty()) {
    // For those who ask the document rather than the error.
    document->Parse("");
    return Error(ErrorCode::INVALID_ARGUMENT, "failed to parse JSON " + wrong);
  }
  document->SetNull();
  document->rapidjson::Value::Swap(read);
  return Error::Success;
}

}  // namespace triton::client
