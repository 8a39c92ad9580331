// Parsing what the HTTP client returns as text.
#pragma once

#include <rapidjson/document.h>

#include <string>

#include "triton/client/error.h"

namespace triton::client {

/// Parse JSON, in which NaN and infinities are taken. An error names the offset and the reason.
TRITON_CLIENT_API Error ParseJson(rapidjson::Document* document, const std::string& json_str);

}  // namespace triton::client
