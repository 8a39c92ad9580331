// The answer to an inference request over HTTP. No I/O.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "body.h"
#include "outputs.h"

namespace triton::client::internal {

/// What came back from a server.
struct RestAnswer {
  int status = 0;
  std::string url;
  std::optional<uint64_t> head_length;  // of the JSON; without it all is JSON
  Body body;
};

/// Return the error of an answer whose status is not 200: the server's own text, if there is one.
Error ErrorOf(const RestAnswer& answer);

/// Return the code that stands for an HTTP status.
ErrorCode CodeOfStatus(int status);

/// Make the result of an answer. One that can't be read has that error as its status.
InferResult* MakeRestResult(RestAnswer&& answer);

/// Make the result of a request that got no answer.
InferResult* MakeFailedResult(const Error& error);

}  // namespace triton::client::internal
