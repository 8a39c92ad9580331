// ModelInferRequest, written by hand: heads are copied, large tensors are lent.
#include "infer_message.h"
#include "text.h"
#include "wire.h"

namespace triton::client::internal {

grpc::Slice Loan::Lend(const std::shared_ptr<Loan>& loan, const uint8_t* data, size_t size) {
  {
    const std::lock_guard<std::mutex> lock(loan->mutex_);
    ++loan->lent_;
  }
  // gRPC takes a pointer to what may change, and does not change it.
  return grpc::Slice(const_cast<uint8_t*>(data), size, Return, new std::shared_ptr<Loan>(loan));
}

void Loan::Return(void* loan) {
  const std::unique_ptr<std::shared_ptr<Loan>> kept(static_cast<std::shared_ptr<Loan>*>(loan));
  Loan& self = **kept;
  const std::lock_guard<std::mutex> lock(self.mutex_);
  if (--self.lent_ == 0) self.returned_.notify_all();
}

bool Loan::WaitFor(std::chrono::milliseconds patience) {
  std::unique_lock<std::mutex> lock(mutex_);
  return returned_.wait_for(lock, patience, [this] { return lent_ == 0; });
}

void Loan::Wait() {
  std::unique_lock<std::mutex> lock(mutex_);
  returned_.wait(lock, [this] { return lent_ == 0; });
}

namespace {

// Up to here a copy costs less than what keeps track of a loan.
constexpr size_t kSmallTensor = size_t{16} * 1024;

// The numbers of the fields of grpc_service.proto.
namespace request {
constexpr uint32_t MODEL_NAME = 1, MODEL_VERSION = 2, ID = 3, PARAMETERS = 4, INPUTS = 5,
                   OUTPUTS = 6, RAW_INPUT_CONTENTS = 7;
}
namespace input {
constexpr uint32_t NAME = 1, DATATYPE = 2, SHAPE = 3, PARAMETERS = 4;
}
namespace output {
constexpr uint32_t NAME = 1, PARAMETERS = 2;
}
namespace parameter {
constexpr uint32_t BOOL = 1, INT64 = 2, STRING = 3, UINT64 = 5;
}
namespace entry {
constexpr uint32_t KEY = 1, VALUE = 2;
}

// Writes the entries of a map<string, InferParameter>.
class Parameters {
 public:
  Parameters(std::string* out, uint32_t field) : out_(out), field_(field) {}

  void Text(std::string_view key, std::string_view value) {
    std::string choice;
    AppendBytes(&choice, parameter::STRING, value);
    Entry(key, choice);
  }
  void Bool(std::string_view key, bool value) { Number(key, parameter::BOOL, value ? 1 : 0); }
  void Int(std::string_view key, int64_t value) {
    Number(key, parameter::INT64, static_cast<uint64_t>(value));
  }
  void Uint(std::string_view key, uint64_t value) { Number(key, parameter::UINT64, value); }

 private:
  void Number(std::string_view key, uint32_t kind, uint64_t value) {
    std::string choice;
    AppendTag(&choice, kind, WireType::VARINT);
    AppendVarint(&choice, value);
    Entry(key, choice);
  }
  void Entry(std::string_view key, const std::string& choice) {
    std::string both;
    AppendBytes(&both, entry::KEY, key);
    AppendBytes(&both, entry::VALUE, choice);
    AppendBytes(out_, field_, both);
  }

  std::string* out_;
  uint32_t field_;
};

void WriteSharedMemory(Parameters* parameters, const SharedMemoryPlace& place) {
  parameters->Text("shared_memory_region", place.region);
  parameters->Int("shared_memory_byte_size", static_cast<int64_t>(place.byte_size));
  if (place.offset != 0) {
    parameters->Int("shared_memory_offset", static_cast<int64_t>(place.offset));
  }
}

void WriteOptions(std::string* out, const InferOptions& options) {
  AppendBytes(out, request::MODEL_NAME, options.model_name_);
  if (!options.model_version_.empty()) {
    AppendBytes(out, request::MODEL_VERSION, options.model_version_);
  }
  if (!options.request_id_.empty()) AppendBytes(out, request::ID, options.request_id_);
  Parameters parameters(out, request::PARAMETERS);
  if (options.triton_enable_empty_final_response_) {
    parameters.Bool("triton_enable_empty_final_response", true);
  }
  if (options.sequence_id_ != 0 || !options.sequence_id_str_.empty()) {
    if (options.sequence_id_ != 0) {
      parameters.Int("sequence_id", static_cast<int64_t>(options.sequence_id_));
    } else {
      parameters.Text("sequence_id", options.sequence_id_str_);
    }
    parameters.Bool("sequence_start", options.sequence_start_);
    parameters.Bool("sequence_end", options.sequence_end_);
  }
  if (options.priority_ != 0) parameters.Uint("priority", options.priority_);
  if (options.server_timeout_ != 0) {
    parameters.Int("timeout", static_cast<int64_t>(options.server_timeout_));
  }
  for (const auto& [key, custom] : options.request_parameters) {
    if (custom.type == "string") {
      parameters.Text(key, custom.value);
    } else if (custom.type == "bool") {
      parameters.Bool(key, custom.value == "true");
    } else {
      int64_t value = 0;
      ParseInt64(custom.value, &value);  // checked before
      parameters.Int(key, value);
    }
  }
}

void WriteInput(std::string* out, const InferInput& tensor) {
  std::string message;
  AppendBytes(&message, input::NAME, tensor.Name());
  AppendBytes(&message, input::DATATYPE, tensor.Datatype());
  std::string dims;
  for (const int64_t dim : tensor.Shape()) AppendVarint(&dims, static_cast<uint64_t>(dim));
  if (!dims.empty()) AppendBytes(&message, input::SHAPE, dims);
  if (tensor.IsSharedMemory()) {
    Parameters parameters(&message, input::PARAMETERS);
    WriteSharedMemory(&parameters, TensorAccess::Place(tensor));
  }
  AppendBytes(out, request::INPUTS, message);
}

void WriteOutput(std::string* out, const InferRequestedOutput& tensor) {
  std::string message;
  AppendBytes(&message, output::NAME, tensor.Name());
  Parameters parameters(&message, output::PARAMETERS);
  if (tensor.IsSharedMemory()) {
    SharedMemoryPlace place;
    tensor.SharedMemoryInfo(&place.region, &place.byte_size, &place.offset);
    WriteSharedMemory(&parameters, place);
  } else if (tensor.ClassificationCount() > 0) {
    parameters.Int("classification", static_cast<int64_t>(tensor.ClassificationCount()));
  }
  AppendBytes(out, request::OUTPUTS, message);
}

// Collects the pieces of a message: texts that are copied, and memory that is lent.
class Pieces {
 public:
  std::string text;

  void Lend(std::shared_ptr<Loan>* loan, const uint8_t* data, size_t size) {
    if (*loan == nullptr) *loan = std::make_shared<Loan>();
    Flush();
    slices_.push_back(Loan::Lend(*loan, data, size));
  }
  grpc::ByteBuffer Message() {
    Flush();
    return grpc::ByteBuffer(slices_.data(), slices_.size());
  }

 private:
  void Flush() {
    if (!text.empty()) slices_.emplace_back(text);
    text.clear();
  }
  std::vector<grpc::Slice> slices_;
};

// A sequence id, a size and a timeout are signed on the wire.
Error CheckNumbers(const InferOptions& options, const std::vector<InferInput*>& inputs,
                   const std::string& head) {
  constexpr uint64_t kMost = INT64_MAX;
  if (options.server_timeout_ > kMost) {
    return Invalid("'options.server_timeout_' is " + std::to_string(options.server_timeout_) +
                   "; gRPC takes at most 9223372036854775807");
  }
  uint64_t size = head.size();
  for (const auto* tensor : inputs) {
    if (!tensor->IsSharedMemory()) size += TensorAccess::ByteSize(*tensor) + 6;
  }
  if (size > static_cast<uint64_t>(MAX_GRPC_MESSAGE_SIZE)) {
    return Invalid("Request has byte size " + std::to_string(size) +
                   " which exceed gRPC's byte size limit " + std::to_string(MAX_GRPC_MESSAGE_SIZE) +
                   ".");
  }
  return Error::Success;
}

}  // namespace

Error BuildInferMessage(grpc::ByteBuffer* message, std::shared_ptr<Loan>* loan,
                        const InferOptions& options, const std::vector<InferInput*>& inputs,
                        const std::vector<const InferRequestedOutput*>& outputs) {
  if (Error err = CheckRequest(options, inputs, outputs, false); !err.IsOk()) return err;
  Pieces pieces;
  pieces.text.reserve(512);
  WriteOptions(&pieces.text, options);
  for (const auto* tensor : inputs) WriteInput(&pieces.text, *tensor);
  for (const auto* tensor : outputs) WriteOutput(&pieces.text, *tensor);
  if (Error err = CheckNumbers(options, inputs, pieces.text); !err.IsOk()) return err;
  for (const auto* tensor : inputs) {
    if (tensor->IsSharedMemory()) continue;
    AppendTag(&pieces.text, request::RAW_INPUT_CONTENTS, WireType::BYTES);
    AppendVarint(&pieces.text, TensorAccess::ByteSize(*tensor));
    for (const auto& [data, size] : TensorAccess::Buffers(*tensor)) {
      if (size <= kSmallTensor) {
        pieces.text.append(reinterpret_cast<const char*>(data), size);
      } else {
        pieces.Lend(loan, data, size);
      }
    }
  }
  *message = pieces.Message();
  return Error::Success;
}

}  // namespace triton::client::internal
