// gRPC aborts the process over metadata and compression that it does not take, so these are
// checked.
#include "grpc_calls.h"

#include <chrono>
#include <vector>

#include "tensors.h"
#include "text.h"

namespace triton::client::internal {
namespace {

// Source: https://github.com/grpc/grpc/blob/master/doc/PROTOCOL-HTTP2.md, "Custom-Metadata".
Error AddMetadata(grpc::ClientContext* context, const Headers& headers) {
  for (const auto& [name, value] : headers) {
    std::string key;
    for (const char c : name) {
      const char lower = c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
      const bool legal = (lower >= 'a' && lower <= 'z') || (lower >= '0' && lower <= '9') ||
                         lower == '_' || lower == '-' || lower == '.';
      if (!legal) {
        return Invalid("the name of header '" + Excerpt(name) +
                       "' holds a character that metadata can't have: use letters, digits, '_', "
                       "'-' and '.'");
      }
      key += lower;
    }
    if (key.empty()) return Invalid("a header has no name");
    if (key.rfind("grpc-", 0) == 0) {
      return Invalid("header '" + name + "' is gRPC's own: leave it out");
    }
    const bool binary = key.size() > 4 && key.compare(key.size() - 4, 4, "-bin") == 0;
    for (const char c : value) {
      if (!binary && (c < 0x20 || c == 0x7F)) {
        return Invalid("the value of header '" + name +
                       "' holds a character that is not printable ASCII: end the name in -bin to "
                       "send bytes");
      }
    }
    context->AddMetadata(key, value);
  }
  return Error::Success;
}

bool IsOfConnection(const std::string& message) {
  constexpr const char* kStarts[] = {"failed to connect",
                                     "DNS resolution failed",
                                     "Socket closed",
                                     "Connection reset",
                                     "Endpoint",
                                     "Broken pipe",
                                     "connections to",
                                     "GOAWAY",
                                     "Stream removed",
                                     "keepalive",
                                     "Cancelling all",
                                     "recvmsg",
                                     "sendmsg",
                                     "Transport",
                                     "RST_STREAM",
                                     "Received RST_STREAM",
                                     "empty address list",
                                     "Failed parsing HTTP/2",
                                     "Received http2",
                                     "Trying to connect",
                                     "Connection timed",
                                     "Protocol error",
                                     "Missing :status"};
  for (const char* start : kStarts) {
    if (message.rfind(start, 0) == 0) return true;
  }
  return false;
}

// protobuf sends what is not UTF-8, and writes a complaint to the standard error; servers refuse
// it.
Error CheckTexts(const google::protobuf::Message& message) {
  using Field = google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& reflection = *message.GetReflection();
  std::vector<const Field*> fields;
  reflection.ListFields(message, &fields);
  for (const Field* field : fields) {
    const bool text = field->type() == Field::TYPE_STRING;
    if (!text && field->type() != Field::TYPE_MESSAGE) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(message, field) : 1;
    for (int i = 0; i < count; ++i) {
      if (!text) {
        Error err =
            CheckTexts(field->is_repeated() ? reflection.GetRepeatedMessage(message, field, i)
                                            : reflection.GetMessage(message, field));
        if (!err.IsOk()) return err;
      } else if (const std::string value = field->is_repeated()
                                               ? reflection.GetRepeatedString(message, field, i)
                                               : reflection.GetString(message, field);
                 !IsUtf8(value)) {
        return Invalid("'" + field->name() + "' of the request is not UTF-8: '" + Excerpt(value) +
                       "'");
      }
    }
  }
  return Error::Success;
}

}  // namespace

Error CheckMessage(const google::protobuf::Message& message) {
  if (Error err = CheckTexts(message); !err.IsOk()) return err;
  const size_t size = message.ByteSizeLong();
  if (size <= static_cast<size_t>(MAX_GRPC_MESSAGE_SIZE)) return Error::Success;
  return Invalid("Request has byte size " + std::to_string(size) +
                 " which exceed gRPC's byte size limit " + std::to_string(MAX_GRPC_MESSAGE_SIZE) +
                 ".");
}

Error PrepareContext(grpc::ClientContext* context, const Headers& headers, uint64_t timeout_us,
                     grpc_compression_algorithm compression) {
  if (Error err = AddMetadata(context, headers); !err.IsOk()) return err;
  // A deadline in a hundred years is none; gRPC's clock ends before 64 bits do.
  constexpr uint64_t kNever = uint64_t{100} * 365 * 24 * 3600 * 1000000;
  if (timeout_us != 0 && timeout_us < kNever) {
    context->set_deadline(std::chrono::system_clock::now() +
                          std::chrono::microseconds(static_cast<int64_t>(timeout_us)));
  }
  if (compression == GRPC_COMPRESS_DEFLATE || compression == GRPC_COMPRESS_GZIP) {
    context->set_compression_algorithm(compression);
  } else if (compression != GRPC_COMPRESS_NONE) {
    return Invalid("compression_algorithm " + std::to_string(static_cast<int>(compression)) +
                   " is unknown: use GRPC_COMPRESS_NONE, GRPC_COMPRESS_DEFLATE or "
                   "GRPC_COMPRESS_GZIP");
  }
  return Error::Success;
}

Error ErrorOf(const grpc::Status& status, const std::string& url, uint64_t timeout_us,
              const char* cancelled) {
  if (status.ok()) return Error::Success;
  const auto code = static_cast<ErrorCode>(status.error_code());
  std::string message = status.error_message();
  if (code == ErrorCode::CANCELLED && cancelled != nullptr) {
    message = cancelled;
    message += " (" + url + ")";
  } else if (code == ErrorCode::DEADLINE_EXCEEDED &&
             (message.empty() || message == "Deadline Exceeded")) {
    message = "Deadline Exceeded: " + url + " gave no answer within " + std::to_string(timeout_us) +
              " us";
  } else if (message.empty()) {
    message =
        url + " answered with status " + std::to_string(status.error_code()) + " and no message";
  } else if (IsOfConnection(message)) {
    message = "gRPC client failed: " + url + ": " + message;
  }
  return Error(code, message, 0, url);
}

}  // namespace triton::client::internal
