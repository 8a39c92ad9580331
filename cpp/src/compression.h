// Compression of request bodies.
#pragma once

#include "rest_request.h"
#include "triton/client/http.h"

namespace triton::client::internal {

/// Return the name of a coding (RFC 9110, section 8.4.1); nullptr for none.
const char* CodingName(InferenceServerHttpClient::CompressionType type);

/// Make sure that a value names a coding that this library has.
Error CheckCoding(InferenceServerHttpClient::CompressionType type);

/// Compress a body, so that its head is all of it.
Error Compress(InferenceServerHttpClient::CompressionType type, RestBody* body);

}  // namespace triton::client::internal
