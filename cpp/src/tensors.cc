// Inputs and requested outputs, and the checks of both.
#include "tensors.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <string_view>
#include <unordered_set>

#include "text.h"

namespace triton::client {

using internal::Invalid;

InferInput::InferInput(const std::string& name, const std::vector<int64_t>& dims,
                       const std::string& datatype)
    : name_(name), dims_(dims), datatype_(datatype) {}

Error InferInput::Create(InferInput** infer_input, const std::string& name,
                         const std::vector<int64_t>& dims, const std::string& datatype) {
  if (infer_input == nullptr) return Invalid("'infer_input' is null");
  *infer_input = new InferInput(name, dims, datatype);
  return Error::Success;
}

Error InferInput::SetShape(const std::vector<int64_t>& dims) {
  dims_ = dims;
  return Error::Success;
}

Error InferInput::Reset() {
  buffers_.clear();
  packed_.clear();
  held_.reset();
  byte_size_ = 0;
  next_buffer_ = next_byte_ = 0;
  shared_memory_ = false;
  place_ = {};
  return Error::Success;
}

Error InferInput::AppendRaw(const std::vector<uint8_t>& input) {
  return AppendRaw(input.data(), input.size());
}

Error InferInput::AppendRaw(const uint8_t* input, size_t input_byte_size) {
  if (input == nullptr && input_byte_size != 0) {
    return Invalid("AppendRaw() of input '" + name_ + "' got a null pointer for " +
                   std::to_string(input_byte_size) + " bytes");
  }
  if (input_byte_size > std::numeric_limits<size_t>::max() - byte_size_) {
    return Invalid("the buffers of input '" + name_ + "' exceed the address space");
  }
  shared_memory_ = false;
  place_ = {};
  buffers_.emplace_back(input, input_byte_size);
  byte_size_ += input_byte_size;
  return Error::Success;
}

Error InferInput::AppendFromString(const std::vector<std::string>& input) {
  std::string packed;
  size_t size = 0;
  for (const auto& element : input) {
    if (element.size() > std::numeric_limits<uint32_t>::max()) {
      return Invalid("an element of input '" + name_ + "' has " + std::to_string(element.size()) +
                     " bytes; BYTES elements have at most 4294967295");
    }
    size += sizeof(uint32_t) + element.size();
  }
  packed.reserve(size);
  for (const auto& element : input) {
    internal::AppendLength(&packed, element.size());
    packed += element;
  }
  packed_.push_back(std::move(packed));
  const auto& kept = packed_.back();
  return AppendRaw(reinterpret_cast<const uint8_t*>(kept.data()), kept.size());
}

Error InferInput::SetSharedMemory(const std::string& name, size_t byte_size, size_t offset) {
  Reset();
  shared_memory_ = true;
  place_ = {name, byte_size, offset};
  return Error::Success;
}

namespace {

Error PlaceInfo(bool is_set, const char* what, const SharedMemoryPlace& place, std::string* name,
                size_t* byte_size, size_t* offset) {
  if (!is_set) return Invalid(std::string(what) + " has not been set with the shared memory.");
  if (name != nullptr) *name = place.region;
  if (byte_size != nullptr) *byte_size = place.byte_size;
  if (offset != nullptr) *offset = place.offset;
  return Error::Success;
}

}  // namespace

Error InferInput::SharedMemoryInfo(std::string* name, size_t* byte_size, size_t* offset) const {
  return PlaceInfo(shared_memory_, "The input", place_, name, byte_size, offset);
}

Error InferInput::RawData(const uint8_t** buf, size_t* byte_size) {
  if (buf == nullptr || byte_size == nullptr) return Invalid("RawData() got a null pointer");
  *buf = buffers_.empty() ? nullptr : buffers_.front().first;
  *byte_size = buffers_.empty() ? 0 : buffers_.front().second;
  return Error::Success;
}

Error InferInput::ByteSize(size_t* byte_size) const {
  if (byte_size == nullptr) return Invalid("ByteSize() got a null pointer");
  *byte_size = byte_size_;
  return Error::Success;
}

Error InferInput::SetBinaryData(const bool binary_data) {
  binary_data_ = binary_data;
  return Error::Success;
}

Error InferInput::PrepareForRequest() {
  next_buffer_ = next_byte_ = 0;
  return Error::Success;
}

Error InferInput::GetNext(uint8_t* buf, size_t size, size_t* input_bytes, bool* end_of_input) {
  *input_bytes = 0;
  while (next_buffer_ < buffers_.size() && size > 0) {
    const auto& [data, length] = buffers_[next_buffer_];
    const size_t count = std::min(size, length - next_byte_);
    if (count > 0) std::memcpy(buf, data + next_byte_, count);
    buf += count;
    size -= count;
    *input_bytes += count;
    next_byte_ += count;
    if (next_byte_ == length) {
      ++next_buffer_;
      next_byte_ = 0;
    }
  }
  *end_of_input = next_buffer_ == buffers_.size();
  return Error::Success;
}

Error InferInput::GetNext(const uint8_t** buf, size_t* input_bytes, bool* end_of_input) {
  const bool any = next_buffer_ < buffers_.size();
  *buf = any ? buffers_[next_buffer_].first : nullptr;
  *input_bytes = any ? buffers_[next_buffer_].second : 0;
  if (any) ++next_buffer_;
  *end_of_input = next_buffer_ == buffers_.size();
  return Error::Success;
}

InferRequestedOutput::InferRequestedOutput(const std::string& name, size_t class_count,
                                           const std::string& datatype)
    : name_(name), class_count_(class_count), datatype_(datatype) {}

Error InferRequestedOutput::Create(InferRequestedOutput** infer_output, const std::string& name,
                                   const size_t class_count, const std::string& datatype) {
  if (infer_output == nullptr) return Invalid("'infer_output' is null");
  *infer_output = new InferRequestedOutput(name, class_count, datatype);
  return Error::Success;
}

Error InferRequestedOutput::SetSharedMemory(const std::string& region_name, const size_t byte_size,
                                            const size_t offset) {
  if (class_count_ != 0) {
    return Invalid("output '" + name_ + "' asks for classes, which shared memory can't take");
  }
  shared_memory_ = true;
  place_ = {region_name, byte_size, offset};
  return Error::Success;
}

Error InferRequestedOutput::UnsetSharedMemory() {
  shared_memory_ = false;
  place_ = {};
  return Error::Success;
}

Error InferRequestedOutput::SharedMemoryInfo(std::string* name, size_t* byte_size,
                                             size_t* offset) const {
  return PlaceInfo(shared_memory_, "The output", place_, name, byte_size, offset);
}

Error InferRequestedOutput::SetBinaryData(const bool binary_data) {
  binary_data_ = binary_data;
  return Error::Success;
}

namespace internal {

Error Invalid(const std::string& message) { return Error(ErrorCode::INVALID_ARGUMENT, message); }

void AppendLength(std::string* out, size_t size) {
  for (int shift = 0; shift < 32; shift += 8) *out += static_cast<char>((size >> shift) & 0xFF);
}

uint32_t ReadLength(const uint8_t* bytes) {
  return static_cast<uint32_t>(bytes[0]) | static_cast<uint32_t>(bytes[1]) << 8 |
         static_cast<uint32_t>(bytes[2]) << 16 | static_cast<uint32_t>(bytes[3]) << 24;
}

Error SplitBytes(const uint8_t* data, size_t size, std::vector<std::string>* elements) {
  elements->clear();
  size_t at = 0;
  while (at < size) {
    if (size - at < sizeof(uint32_t)) {
      elements->clear();
      return Error(ErrorCode::DATA_LOSS,
                   "BYTES data ends within the length of an element, at byte " +
                       std::to_string(at) + " of " + std::to_string(size));
    }
    const size_t length = ReadLength(data + at);
    at += sizeof(uint32_t);
    if (length > size - at) {
      elements->clear();
      return Error(ErrorCode::DATA_LOSS, "BYTES data has an element of " + std::to_string(length) +
                                             " bytes at byte " + std::to_string(at) + " of " +
                                             std::to_string(size));
    }
    elements->emplace_back(reinterpret_cast<const char*>(data) + at, length);
    at += length;
  }
  return Error::Success;
}

namespace {

// Counts the elements of a BYTES tensor whose bytes may be cut anywhere.
class ElementCounter {
 public:
  void Take(const uint8_t* data, size_t size) {
    while (size > 0) {
      if (left_ > 0) {
        const size_t skipped = std::min(left_, size);
        left_ -= skipped;
        data += skipped;
        size -= skipped;
        continue;
      }
      length_[known_++] = *data++;
      --size;
      if (known_ == length_.size()) {
        known_ = 0;
        left_ = ReadLength(length_.data());
        ++count_;
      }
    }
  }
  bool Complete() const { return left_ == 0 && known_ == 0; }
  uint64_t Count() const { return count_; }

 private:
  std::array<uint8_t, 4> length_{};
  size_t known_ = 0;
  size_t left_ = 0;
  uint64_t count_ = 0;
};

Error CheckData(const InferInput& input, Datatype datatype, uint64_t elements) {
  const std::string what = "input '" + input.Name() + "'";
  const size_t size = TensorAccess::ByteSize(input);
  if (TensorAccess::Buffers(input).empty() && elements != 0) {
    return Invalid(what +
                   " has no data: call AppendRaw(), AppendFromString() or SetSharedMemory()");
  }
  const std::string wanted =
      "shape " + ShapeText(input.Shape()) + " of " + input.Datatype() + " takes ";
  if (datatype == Datatype::BYTES) {
    ElementCounter counter;
    for (const auto& [data, length] : TensorAccess::Buffers(input)) counter.Take(data, length);
    if (!counter.Complete()) {
      return Invalid(what + " ends within an element: each needs its 4-byte length and its bytes");
    }
    if (counter.Count() != elements) {
      return Invalid(what + " has " + std::to_string(counter.Count()) + " elements, but " + wanted +
                     std::to_string(elements));
    }
    return Error::Success;
  }
  const size_t element_size = ElementSize(datatype);
  if (elements > std::numeric_limits<size_t>::max() / element_size ||
      size != elements * element_size) {
    return Invalid(what + " has " + std::to_string(size) + " bytes, but " + wanted +
                   std::to_string(elements) + " elements of " + std::to_string(element_size) +
                   " bytes");
  }
  return Error::Success;
}

Error CheckName(const std::string& name, const std::string& what) {
  if (name.empty()) return Invalid(what + " has no name");
  if (!IsUtf8(name)) return Invalid("the name of " + what + " is not UTF-8");
  return Error::Success;
}

Error CheckInput(const InferInput* input, size_t index, bool json) {
  const std::string place = "'inputs[" + std::to_string(index) + "]'";
  if (input == nullptr) return Invalid(place + " is null");
  if (Error err = CheckName(input->Name(), place); !err.IsOk()) return err;
  const std::string what = "input '" + input->Name() + "'";
  const Datatype datatype = DatatypeOf(input->Datatype());
  if (datatype == Datatype::UNKNOWN) {
    return Invalid("datatype '" + input->Datatype() + "' is invalid for " + what +
                   ": use BOOL, INT8 to INT64, UINT8 to UINT64, FP16, BF16, FP32, FP64 or BYTES");
  }
  uint64_t elements = 0;
  if (!CountElements(input->Shape().data(), input->Shape().size(), &elements)) {
    return Invalid("shape " + ShapeText(input->Shape()) + " of " + what +
                   " has a negative dimension or too many elements");
  }
  if (input->IsSharedMemory()) {
    const auto& place_of = TensorAccess::Place(*input);
    if (place_of.region.empty() || !IsUtf8(place_of.region)) {
      return Invalid(what + " names no region of shared memory");
    }
    return Error::Success;
  }
  if (json && !input->BinaryData() && (datatype == Datatype::FP16 || datatype == Datatype::BF16)) {
    return Invalid("datatype '" + input->Datatype() +
                   "' is not supported with JSON. Please use the binary data format");
  }
  return CheckData(*input, datatype, elements);
}

Error CheckOutput(const InferRequestedOutput* output, size_t index) {
  const std::string place = "'outputs[" + std::to_string(index) + "]'";
  if (output == nullptr) return Invalid(place + " is null");
  return CheckName(output->Name(), place);
}

Error CheckParameter(const std::string& key, const RequestParameter& parameter) {
  const std::string what = "request parameter '" + key + "'";
  if (key.empty()) return Invalid("a request parameter has an empty key");
  if (!IsUtf8(key) || !IsUtf8(parameter.value)) return Invalid(what + " is not UTF-8");
  if (parameter.type == "int") {
    int64_t value;
    if (!ParseInt64(parameter.value, &value)) {
      return Invalid(what + " has type 'int' and the value '" + parameter.value +
                     "', which is no 64-bit number");
    }
  } else if (parameter.type == "bool") {
    if (parameter.value != "true" && parameter.value != "false") {
      return Invalid(what + " has type 'bool' and the value '" + parameter.value +
                     "', which is neither 'true' nor 'false'");
    }
  } else if (parameter.type != "string") {
    return Invalid(what + " has the type '" + parameter.type + "': use 'string', 'int' or 'bool'");
  }
  return Error::Success;
}

// True if the client writes this parameter itself, from what the options say.
bool IsWritten(const InferOptions& options, const std::string& key, bool binary_outputs) {
  if (key == "sequence_id" || key == "sequence_start" || key == "sequence_end") {
    return options.sequence_id_ != 0 || !options.sequence_id_str_.empty();
  }
  if (key == "priority") return options.priority_ != 0;
  if (key == "timeout") return options.server_timeout_ != 0;
  if (key == "binary_data_output") return binary_outputs;
  return key == "triton_enable_empty_final_response" && options.triton_enable_empty_final_response_;
}

// Two of one name would be read in one way here and in another there.
template <typename T>
Error CheckUnique(const std::vector<T>& tensors, const char* what) {
  const auto twice = [what](const std::string& name) {
    return Invalid(std::string(what) + " '" + name + "' is given twice");
  };
  constexpr size_t kFew = 16;  // which are compared without any memory
  if (tensors.size() > kFew) {
    std::unordered_set<std::string_view> names;
    for (const auto* tensor : tensors) {
      if (!names.insert(tensor->Name()).second) return twice(tensor->Name());
    }
    return Error::Success;
  }
  for (size_t i = 1; i < tensors.size(); ++i) {
    for (size_t k = 0; k < i; ++k) {
      if (tensors[i]->Name() == tensors[k]->Name()) return twice(tensors[i]->Name());
    }
  }
  return Error::Success;
}

}  // namespace

Error CheckRequest(const InferOptions& options, const std::vector<InferInput*>& inputs,
                   const std::vector<const InferRequestedOutput*>& outputs, bool json) {
  if (Error err = CheckName(options.model_name_, "'options.model_name_', the model,");
      !err.IsOk()) {
    return err;
  }
  if (!IsUtf8(options.model_version_)) return Invalid("'options.model_version_' is not UTF-8");
  if (!IsUtf8(options.request_id_)) return Invalid("'options.request_id_' is not UTF-8");
  if (!IsUtf8(options.sequence_id_str_)) return Invalid("'options.sequence_id_str_' is not UTF-8");
  for (const auto& [key, parameter] : options.request_parameters) {
    if (Error err = CheckParameter(key, parameter); !err.IsOk()) return err;
    if (IsWritten(options, key, json && outputs.empty())) {
      return Invalid("request parameter '" + key +
                     "' is given twice: the client sends it for the options");
    }
  }
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (Error err = CheckInput(inputs[i], i, json); !err.IsOk()) return err;
  }
  for (size_t i = 0; i < outputs.size(); ++i) {
    if (Error err = CheckOutput(outputs[i], i); !err.IsOk()) return err;
  }
  if (Error err = CheckUnique(inputs, "input"); !err.IsOk()) return err;
  return CheckUnique(outputs, "output");
}

Error CheckMulti(size_t options, size_t inputs, size_t outputs) {
  if (options != 1 && options != inputs) {
    return Invalid("'options' must either contain 1 element or match size of 'inputs'");
  }
  if (outputs > 1 && outputs != inputs) {
    return Invalid("'outputs' must either contain 0/1 element or match size of 'inputs'");
  }
  return Error::Success;
}

}  // namespace internal
}  // namespace triton::client
