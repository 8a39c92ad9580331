// What calls over gRPC have in common: metadata, deadlines, compression and errors.
#pragma once

#include <grpcpp/grpcpp.h>

#include <cstdint>
#include <string>

#include "triton/client/error.h"
#include "triton/client/grpc.h"

namespace triton::client::internal {

constexpr char kCancelled[] = "Locally cancelled by application!";
constexpr char kClosed[] = "the client is closed";

/// Prepare a call.
/// @param timeout_us 0 for no limit.
Error PrepareContext(grpc::ClientContext* context, const Headers& headers, uint64_t timeout_us,
                     grpc_compression_algorithm compression = GRPC_COMPRESS_NONE);

/// Check a request before it is sent: its texts and its size.
Error CheckMessage(const google::protobuf::Message& message);

/// Turn a status into an error. What the server says is kept word for word; what gRPC says of a
/// connection is said together with the URL.
/// @param cancelled why the call was cancelled here; nullptr when it was not.
Error ErrorOf(const grpc::Status& status, const std::string& url, uint64_t timeout_us,
              const char* cancelled = nullptr);

}  // namespace triton::client::internal
