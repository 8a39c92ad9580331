// Everything in an answer is checked against the body before it is used.
#include "rest_response.h"

#include <utility>

#include "json_document.h"
#include "json_tensors.h"
#include "text.h"

namespace triton::client::internal {
namespace {

using Pool = rapidjson::MemoryPoolAllocator<>;
using Document = JsonDocument<Pool, Pool>;
using rapidjson::Value;

// A document that needs no memory from the heap while it is small.
class SmallDocument {
 public:
  Error Parse(std::string_view text) {
    const std::string wrong = document_.Read(text, &stack_);
    if (wrong.empty()) return Error::Success;
    return Error(ErrorCode::DATA_LOSS,
                 "failed to parse the answer's JSON " + wrong + ": " + Excerpt(text));
  }
  const Document& operator*() const { return document_; }
  const Document* operator->() const { return &document_; }

 private:
  alignas(16) char values_memory_[6144];
  alignas(16) char stack_memory_[2048];
  Pool values_{values_memory_, sizeof(values_memory_)};
  Pool stack_{stack_memory_, sizeof(stack_memory_)};
  Document document_{&values_, 1024, &stack_};
};

Error Unreadable(const std::string& message) { return Error(ErrorCode::DATA_LOSS, message); }

std::string_view TextOf(const Value& value) { return {value.GetString(), value.GetStringLength()}; }

const Value* Member(const Value& object, const char* name) {
  const auto found = object.FindMember(name);
  return found == object.MemberEnd() || found->value.IsNull() ? nullptr : &found->value;
}

Error ReadText(const Value& object, const char* name, std::string* text) {
  const Value* value = Member(object, name);
  if (value == nullptr) return Error::Success;
  if (!value->IsString()) {
    return Unreadable(std::string("'") + name + "' of the answer is no string");
  }
  *text = TextOf(*value);
  return Error::Success;
}

class RestResult : public ParsedResult {
 public:
  explicit RestResult(const Error& error) { status_ = error; }
  explicit RestResult(RestAnswer&& answer) : answer_(std::move(answer)) {
    if (answer_.status != 200) {
      status_ = ErrorOf(answer_);
      return;
    }
    Error err = Read();
    answered_ = err.IsOk();
    if (!err.IsOk()) {
      outputs_.clear();
      status_ = Error(
          err.Code(),
          (answer_.url.empty() ? "" : answer_.url + " answered with status 200: ") + err.Message(),
          200, answer_.url);
    }
  }

  std::string DebugString() const override {
    return status_.IsOk() ? std::string(head_) : status_.Message();
  }

 private:
  Error Read() {
    const Body& body = answer_.body;
    if (answer_.head_length && *answer_.head_length > body.size()) {
      return Unreadable(std::string(kInferHeaderContentLengthHTTPHeader) + " is " +
                        std::to_string(*answer_.head_length) + " and the body has " +
                        std::to_string(body.size()) + " bytes");
    }
    const size_t head_size =
        answer_.head_length ? static_cast<size_t>(*answer_.head_length) : body.size();
    head_ = body.text().substr(0, head_size);
    next_ = body.data() + head_size;
    left_ = body.size() - head_size;
    SmallDocument document;
    if (Error err = document.Parse(head_); !err.IsOk()) return err;
    if (Error err = ReadHead(*document); !err.IsOk()) return err;
    if (left_ != 0) {
      return Unreadable(std::to_string(left_) + " bytes follow the last output");
    }
    return Error::Success;
  }

  Error ReadHead(const Value& head) {
    if (!head.IsObject()) return Unreadable("the answer is no JSON object: " + Excerpt(head_));
    // Some servers answer with status 200 and an error.
    if (const Value* error = Member(head, "error"); error != nullptr && error->IsString()) {
      return Error(ErrorCode::UNKNOWN, std::string(TextOf(*error)));
    }
    if (Error err = ReadText(head, "model_name", &model_name_); !err.IsOk()) return err;
    if (Error err = ReadText(head, "model_version", &model_version_); !err.IsOk()) return err;
    if (Error err = ReadText(head, "id", &id_); !err.IsOk()) return err;
    const Value* outputs = Member(head, "outputs");
    if (outputs == nullptr || !outputs->IsArray()) {
      return Unreadable("the answer has no 'outputs': " + Excerpt(head_));
    }
    outputs_.reserve(outputs->Size());
    for (const auto& value : outputs->GetArray()) {
      outputs_.emplace_back();
      if (Error err = ReadOutput(value, &outputs_.back()); !err.IsOk()) return err;
    }
    return Error::Success;
  }

  Error ReadOutput(const Value& value, Output* output) {
    if (!value.IsObject()) return Unreadable("an output is no JSON object");
    if (Error err = ReadText(value, "name", &output->name); !err.IsOk()) return err;
    if (output->name.empty()) return Unreadable("an output has no name");
    if (Error err = ReadText(value, "datatype", &output->datatype); !err.IsOk()) return err;
    if (const Value* shape = Member(value, "shape"); shape != nullptr) {
      if (!shape->IsArray()) return Unreadable("the shape of '" + output->name + "' is no array");
      for (const auto& dim : shape->GetArray()) {
        if (!dim.IsInt64()) {
          return Unreadable("the shape of '" + output->name + "' holds what is no integer");
        }
        output->shape.push_back(dim.GetInt64());
      }
    }
    const Value* parameters = Member(value, "parameters");
    if (parameters != nullptr && !parameters->IsObject()) {
      return Unreadable("the parameters of '" + output->name + "' are no object");
    }
    const Value* size = parameters == nullptr ? nullptr : Member(*parameters, "binary_data_size");
    if (size != nullptr) return TakeBinary(*size, output);
    if (const Value* data = Member(value, "data"); data != nullptr) return TakeJson(*data, output);
    return CheckShape(*output);  // it is in shared memory
  }

  Error TakeBinary(const Value& size, Output* output) {
    if (!size.IsUint64() || size.GetUint64() > left_) {
      return Unreadable("binary_data_size of output '" + output->name + "' is not within the " +
                        std::to_string(left_) + " bytes that are left of the body");
    }
    output->data = next_;
    output->byte_size = static_cast<size_t>(size.GetUint64());
    next_ += output->byte_size;
    left_ -= output->byte_size;
    return CheckOutputSize(*output);
  }

  static Error TakeJson(const Value& data, Output* output) {
    uint64_t count = 0;
    if (!CountElements(output->shape.data(), output->shape.size(), &count)) {
      return Unreadable("output '" + output->name + "' has the impossible shape " +
                        ShapeText(output->shape));
    }
    Error err = JsonDataToBinary(data, DatatypeOf(output->datatype), count, &output->owned);
    if (!err.IsOk()) {
      return Error(err.Code(), "output '" + output->name + "' of datatype '" + output->datatype +
                                   "': " + err.Message());
    }
    output->data = output->owned.data();
    output->byte_size = output->owned.size();
    return Error::Success;
  }

  RestAnswer answer_;
  std::string_view head_;
  const uint8_t* next_ = nullptr;
  size_t left_ = 0;
};

}  // namespace

ErrorCode CodeOfStatus(int status) {
  switch (status) {
    case 400:
      return ErrorCode::INVALID_ARGUMENT;
    case 401:
      return ErrorCode::UNAUTHENTICATED;
    case 403:
      return ErrorCode::PERMISSION_DENIED;
    case 404:
      return ErrorCode::NOT_FOUND;
    case 409:
      return ErrorCode::ALREADY_EXISTS;
    case 429:
      return ErrorCode::RESOURCE_EXHAUSTED;
    case 499:
      return ErrorCode::CANCELLED;
    case 501:
      return ErrorCode::UNIMPLEMENTED;
    case 502:
    case 503:
      return ErrorCode::UNAVAILABLE;
    case 504:
      return ErrorCode::DEADLINE_EXCEEDED;
    default:
      break;
  }
  if (status >= 500) return ErrorCode::INTERNAL;
  return status >= 400 ? ErrorCode::FAILED_PRECONDITION : ErrorCode::UNKNOWN;
}

Error ErrorOf(const RestAnswer& answer) {
  const std::string_view text = answer.body.text();
  const ErrorCode code = CodeOfStatus(answer.status);
  SmallDocument document;
  if (document.Parse(text).IsOk() && document->IsObject()) {
    const Value* error = Member(*document, "error");
    if (error != nullptr && error->IsString() && error->GetStringLength() > 0) {
      return Error(code, std::string(TextOf(*error)), answer.status, answer.url);
    }
  }
  const std::string said = text.empty() ? "and an empty body" : "and the body: " + Excerpt(text);
  return Error(code,
               answer.url + " answered with status " + std::to_string(answer.status) + " " + said,
               answer.status, answer.url);
}

InferResult* MakeRestResult(RestAnswer&& answer) { return new RestResult(std::move(answer)); }

InferResult* MakeFailedResult(const Error& error) { return new RestResult(error); }

}  // namespace triton::client::internal
