// How a call ended: success, or a message with a code, a status and the URL that was asked.
#pragma once

#include <memory>
#include <ostream>
#include <string>

#include "triton/client/export.h"

namespace triton::client {

/// Kinds of failures, named and numbered as the status codes of gRPC. HTTP statuses are mapped to
/// them: 400 INVALID_ARGUMENT, 401 UNAUTHENTICATED, 403 PERMISSION_DENIED, 404 NOT_FOUND, 409
/// ALREADY_EXISTS, 429 RESOURCE_EXHAUSTED, 501 UNIMPLEMENTED, 502 and 503 UNAVAILABLE, 504
/// DEADLINE_EXCEEDED, other 4xx FAILED_PRECONDITION and other 5xx INTERNAL.
enum class ErrorCode : int {
  OK = 0,
  CANCELLED = 1,
  UNKNOWN = 2,
  INVALID_ARGUMENT = 3,
  DEADLINE_EXCEEDED = 4,
  NOT_FOUND = 5,
  ALREADY_EXISTS = 6,
  PERMISSION_DENIED = 7,
  RESOURCE_EXHAUSTED = 8,
  FAILED_PRECONDITION = 9,
  ABORTED = 10,
  OUT_OF_RANGE = 11,
  UNIMPLEMENTED = 12,
  INTERNAL = 13,
  UNAVAILABLE = 14,
  DATA_LOSS = 15,
  UNAUTHENTICATED = 16,
};

/// The outcome of a call. Cheap to copy: a success holds nothing.
class TRITON_CLIENT_API Error {
 public:
  /// An error of code UNKNOWN with this message; success when the message is empty.
  explicit Error(const std::string& msg = "");
  /// An error; success when the code is OK.
  /// @param status the HTTP status that came with it, 0 when there was none.
  /// @param url what was asked.
  Error(ErrorCode code, const std::string& msg, int status = 0, const std::string& url = "");

  /// The message; empty for success. What a server says of a failed request is kept word for word.
  const std::string& Message() const;
  ErrorCode Code() const;
  /// The HTTP status of the answer, or 0: the call used gRPC, or no answer came.
  int HttpStatus() const;
  /// The URL that was asked; empty when nothing was sent.
  const std::string& Url() const;
  bool IsOk() const { return detail_ == nullptr; }

  static const Error Success;

 private:
  struct Detail;
  struct SuccessTag {};
  constexpr explicit Error(SuccessTag) noexcept {}

  std::shared_ptr<const Detail> detail_;

  friend TRITON_CLIENT_API std::ostream& operator<<(std::ostream& out, const Error& error);
};

/// Write the message; nothing for success.
TRITON_CLIENT_API std::ostream& operator<<(std::ostream& out, const Error& error);

}  // namespace triton::client
