// Texts: UTF-8, numbers, base64, percent-encoding, and shapes for messages.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace triton::client::internal {

bool IsUtf8(std::string_view text);

/// Parse a whole text as a decimal number.
/// @return false when it is anything else, or out of range.
bool ParseInt64(std::string_view text, int64_t* value);
bool ParseUint64(std::string_view text, uint64_t* value);

/// Encode as in RFC 4648, section 4, without line breaks.
std::string Base64(const void* data, size_t size);

/// Encode all but the unreserved characters of RFC 3986.
std::string PercentEncoded(std::string_view text);

/// Return a shape as "[1,16]".
std::string ShapeText(const std::vector<int64_t>& dims);

/// Return the start of what a peer sent, on one line and printable.
std::string Excerpt(std::string_view text);

/// Append an unsigned or signed number in decimal.
void AppendNumber(std::string* out, uint64_t value);
void AppendNumber(std::string* out, int64_t value);

/// Append a JSON string with its quotes.
void AppendJsonString(std::string* out, std::string_view text);

}  // namespace triton::client::internal
