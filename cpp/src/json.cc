// Parsing JSON for users of the HTTP client.
#include "triton/client/json.h"

#include <rapidjson/error/en.h>

#include "text.h"

namespace triton::client {

Error ParseJson(rapidjson::Document* document, const std::string& json_str) {
  if (document == nullptr) return Error(ErrorCode::INVALID_ARGUMENT, "'document' is null");
  if (internal::HasBrokenNan(json_str)) {
    return Error(ErrorCode::INVALID_ARGUMENT,
                 "failed to parse JSON: a NaN or infinity with more digits");
  }
  // Iterative: JSON that is nested deeply must not exhaust the stack.
  constexpr unsigned kFlags = rapidjson::kParseNanAndInfFlag | rapidjson::kParseIterativeFlag;
  document->Parse<kFlags>(json_str.data(), json_str.size());
  if (document->HasParseError()) {
    return Error(ErrorCode::INVALID_ARGUMENT,
                 "failed to parse JSON at offset " + std::to_string(document->GetErrorOffset()) +
                     ": " + rapidjson::GetParseError_En(document->GetParseError()));
  }
  return Error::Success;
}

}  // namespace triton::client
