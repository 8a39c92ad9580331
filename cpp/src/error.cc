// Errors: a success is a null pointer.
#include "triton/client/error.h"

#include <utility>

namespace triton::client {

struct Error::Detail {
  std::string message;
  ErrorCode code;
  int status;
  std::string url;
};

// Initialised at compile time, so that it is there for every other static object, and for threads
// that still run while the process ends.
const Error Error::Success{Error::SuccessTag{}};

namespace {

// Never destroyed, for the same reason.
const std::string& Nothing() {
  static const std::string* const nothing = new std::string();
  return *nothing;
}

}  // namespace

Error::Error(const std::string& msg) : Error(ErrorCode::UNKNOWN, msg) {}

Error::Error(ErrorCode code, const std::string& msg, int status, const std::string& url) {
  // An error must not look like a success because a peer gave no reason for it.
  const bool success = code == ErrorCode::OK || (code == ErrorCode::UNKNOWN && msg.empty());
  if (!success) {
    detail_ = std::make_shared<const Detail>(
        Detail{msg.empty() ? "failed without a reason" : msg, code, status, url});
  }
}

const std::string& Error::Message() const { return detail_ ? detail_->message : Nothing(); }

ErrorCode Error::Code() const { return detail_ ? detail_->code : ErrorCode::OK; }

int Error::HttpStatus() const { return detail_ ? detail_->status : 0; }

const std::string& Error::Url() const { return detail_ ? detail_->url : Nothing(); }

std::ostream& operator<<(std::ostream& out, const Error& error) { return out << error.Message(); }

}  // namespace triton::client
