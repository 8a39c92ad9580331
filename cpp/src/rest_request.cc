// The JSON head is written piece by piece, since a tree of its values would cost more than the
// call.
#include "rest_request.h"

#include "json_tensors.h"
#include "text.h"

namespace triton::client::internal {
namespace {

// Writes the members of a JSON object, with the commas between them.
class Members {
 public:
  explicit Members(std::string* out) : out_(out) { *out_ += '{'; }
  void Close() { *out_ += '}'; }

  std::string* Key(std::string_view name) {
    if (!first_) *out_ += ',';
    first_ = false;
    AppendJsonString(out_, name);
    *out_ += ':';
    return out_;
  }
  void Text(std::string_view name, std::string_view value) { AppendJsonString(Key(name), value); }
  void Number(std::string_view name, uint64_t value) { AppendNumber(Key(name), value); }
  void Bool(std::string_view name, bool value) { *Key(name) += value ? "true" : "false"; }

 private:
  std::string* out_;
  bool first_ = true;
};

void WriteSharedMemory(Members* members, const SharedMemoryPlace& place) {
  members->Text("shared_memory_region", place.region);
  members->Number("shared_memory_byte_size", place.byte_size);
  if (place.offset != 0) members->Number("shared_memory_offset", place.offset);
}

void WriteParameters(std::string* out, const InferOptions& options, bool all_outputs) {
  Members members(out);
  if (options.sequence_id_ != 0 || !options.sequence_id_str_.empty()) {
    if (options.sequence_id_ != 0) {
      members.Number("sequence_id", options.sequence_id_);
    } else {
      members.Text("sequence_id", options.sequence_id_str_);
    }
    members.Bool("sequence_start", options.sequence_start_);
    members.Bool("sequence_end", options.sequence_end_);
  }
  if (options.priority_ != 0) members.Number("priority", options.priority_);
  if (options.server_timeout_ != 0) members.Number("timeout", options.server_timeout_);
  if (all_outputs) members.Bool("binary_data_output", true);
  for (const auto& [key, parameter] : options.request_parameters) {
    if (parameter.type == "string") {
      members.Text(key, parameter.value);
    } else if (parameter.type == "bool") {
      members.Bool(key, parameter.value == "true");
    } else {
      int64_t value = 0;
      ParseInt64(parameter.value, &value);  // checked before
      AppendNumber(members.Key(key), value);
    }
  }
  members.Close();
}

Error WriteInput(std::string* out, const InferInput& input, RestBody* body) {
  Members members(out);
  members.Text("name", input.Name());
  members.Text("datatype", input.Datatype());
  std::string* shape = members.Key("shape");
  *shape += '[';
  for (size_t i = 0; i < input.Shape().size(); ++i) {
    if (i > 0) *shape += ',';
    AppendNumber(shape, input.Shape()[i]);
  }
  *shape += ']';
  if (!input.IsSharedMemory() && !input.BinaryData()) {
    if (Error err = AppendJsonData(members.Key("data"), input); !err.IsOk()) return err;
  } else {
    Members parameters(members.Key("parameters"));
    if (input.IsSharedMemory()) {
      WriteSharedMemory(&parameters, TensorAccess::Place(input));
    } else {
      parameters.Number("binary_data_size", TensorAccess::ByteSize(input));
      for (const auto& buffer : TensorAccess::Buffers(input)) {
        if (buffer.second > 0) body->tensors.push_back(buffer);
      }
      body->byte_size += TensorAccess::ByteSize(input);
      body->all_json = false;
    }
    parameters.Close();
  }
  members.Close();
  return Error::Success;
}

void WriteOutput(std::string* out, const InferRequestedOutput& output) {
  Members members(out);
  members.Text("name", output.Name());
  Members parameters(members.Key("parameters"));
  if (output.IsSharedMemory()) {
    SharedMemoryPlace place;
    output.SharedMemoryInfo(&place.region, &place.byte_size, &place.offset);
    WriteSharedMemory(&parameters, place);
  } else {
    if (output.ClassificationCount() > 0) {
      parameters.Number("classification", output.ClassificationCount());
    }
    parameters.Bool("binary_data", output.BinaryData());
  }
  parameters.Close();
  members.Close();
}

bool HasParameters(const InferOptions& options, bool all_outputs) {
  return all_outputs || options.sequence_id_ != 0 || !options.sequence_id_str_.empty() ||
         options.priority_ != 0 || options.server_timeout_ != 0 ||
         !options.request_parameters.empty();
}

}  // namespace

Error BuildRestBody(RestBody* body, const InferOptions& options,
                    const std::vector<InferInput*>& inputs,
                    const std::vector<const InferRequestedOutput*>& outputs) {
  if (Error err = CheckRequest(options, inputs, outputs, true); !err.IsOk()) return err;
  *body = RestBody();
  body->all_json = true;
  std::string& out = body->head;
  out.reserve(512);
  Members members(&out);
  members.Text("id", options.request_id_);
  if (HasParameters(options, outputs.empty())) {
    WriteParameters(members.Key("parameters"), options, outputs.empty());
  }
  *members.Key("inputs") += '[';
  for (size_t i = 0; i < inputs.size(); ++i) {
    if (i > 0) out += ',';
    if (Error err = WriteInput(&out, *inputs[i], body); !err.IsOk()) return err;
  }
  out += ']';
  if (!outputs.empty()) {
    *members.Key("outputs") += '[';
    for (size_t i = 0; i < outputs.size(); ++i) {
      if (i > 0) out += ',';
      WriteOutput(&out, *outputs[i]);
    }
    out += ']';
  }
  members.Close();
  body->byte_size += out.size();
  return Error::Success;
}

}  // namespace triton::client::internal
