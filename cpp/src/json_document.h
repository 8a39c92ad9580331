// JSON documents whose numbers the standard library reads. RapidJSON 1.1 reads some of them as
// others: 1844674407370955161551 as 128, and 0e50 as 1.87e50.
#pragma once

#include <rapidjson/document.h>
#include <rapidjson/encodedstream.h>
#include <rapidjson/error/en.h>
#include <rapidjson/memorystream.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <variant>

namespace triton::client::internal {

using JsonNumber = std::variant<int64_t, uint64_t, double>;

/// Read a number of JSON; NaN and infinities are taken.
/// @return false when it is none, or too large for a double.
bool ReadJsonNumber(std::string_view text, JsonNumber* number);

template <typename Allocator = rapidjson::MemoryPoolAllocator<>,
          typename StackAllocator = rapidjson::CrtAllocator>
class JsonDocument
    : public rapidjson::GenericDocument<rapidjson::UTF8<>, Allocator, StackAllocator> {
 public:
  using rapidjson::GenericDocument<rapidjson::UTF8<>, Allocator, StackAllocator>::GenericDocument;

  /// Parse a text; `stack` is where the parser keeps what it has not finished.
  /// @return the place and the reason of what is wrong, and nothing when all is well.
  std::string Read(std::string_view text, StackAllocator* stack = nullptr) {
    // Iterative: JSON that is nested deeply must not exhaust the stack of the thread.
    constexpr unsigned kFlags = rapidjson::kParseNanAndInfFlag | rapidjson::kParseIterativeFlag |
                                rapidjson::kParseNumbersAsStringsFlag;
    rapidjson::MemoryStream bytes(text.data(), text.size());
    rapidjson::EncodedInputStream<rapidjson::UTF8<>, rapidjson::MemoryStream> stream(bytes);
    rapidjson::GenericReader<rapidjson::UTF8<>, rapidjson::UTF8<>, StackAllocator> reader(stack);
    const auto parse = [&](auto&) {
      return !reader.template Parse<kFlags>(stream, *this).IsError();
    };
    this->Populate(parse);
    if (!reader.HasParseError()) return "";
    const rapidjson::ParseErrorCode code = reader.GetParseErrorCode();
    return "at offset " + std::to_string(reader.GetErrorOffset()) + ": " +
           (code == rapidjson::kParseErrorTermination ? "Invalid number, or one that is too large."
                                                      : rapidjson::GetParseError_En(code));
  }

  /// What RapidJSON's parser calls for each number.
  bool RawNumber(const char* text, rapidjson::SizeType size, bool) {
    JsonNumber number;
    if (!ReadJsonNumber({text, size}, &number)) return false;
    if (const auto* value = std::get_if<int64_t>(&number)) return this->Int64(*value);
    if (const auto* value = std::get_if<uint64_t>(&number)) return this->Uint64(*value);
    return this->Double(std::get<double>(number));
  }
};

}  // namespace triton::client::internal
