// Accessors of results.
#include "outputs.h"

#include "text.h"

namespace triton::client::internal {
namespace {

Error NullPointer(const char* what) { return Invalid(std::string("'") + what + "' is null"); }

}  // namespace

Error ParsedResult::ModelName(std::string* name) const {
  if (name == nullptr) return NullPointer("name");
  if (!answered_) return status_;
  *name = model_name_;
  return Error::Success;
}

Error ParsedResult::ModelVersion(std::string* version) const {
  if (version == nullptr) return NullPointer("version");
  if (!answered_) return status_;
  *version = model_version_;
  return Error::Success;
}

Error ParsedResult::Id(std::string* id) const {
  if (id == nullptr) return NullPointer("id");
  if (!answered_) return status_;
  *id = id_;
  return Error::Success;
}

Error ParsedResult::Find(const std::string& name, const Output** output) const {
  if (!status_.IsOk()) return status_;
  for (const auto& each : outputs_) {
    if (each.name == name) {
      *output = &each;
      return Error::Success;
    }
  }
  std::string known;
  for (const auto& each : outputs_) known += (known.empty() ? "" : ", ") + each.name;
  return Error(ErrorCode::NOT_FOUND, "The response does not contain results for output name '" +
                                         name + "'; it has " +
                                         (known.empty() ? "no outputs" : known));
}

Error ParsedResult::Shape(const std::string& output_name, std::vector<int64_t>* shape) const {
  if (shape == nullptr) return NullPointer("shape");
  shape->clear();
  const Output* output = nullptr;
  if (Error err = Find(output_name, &output); !err.IsOk()) return err;
  *shape = output->shape;
  return Error::Success;
}

Error ParsedResult::Datatype(const std::string& output_name, std::string* datatype) const {
  if (datatype == nullptr) return NullPointer("datatype");
  const Output* output = nullptr;
  if (Error err = Find(output_name, &output); !err.IsOk()) return err;
  *datatype = output->datatype;
  return Error::Success;
}

Error ParsedResult::RawData(const std::string& output_name, const uint8_t** buf,
                            size_t* byte_size) const {
  if (buf == nullptr) return NullPointer("buf");
  if (byte_size == nullptr) return NullPointer("byte_size");
  *buf = nullptr;
  *byte_size = 0;
  const Output* output = nullptr;
  if (Error err = Find(output_name, &output); !err.IsOk()) return err;
  *buf = output->data;
  *byte_size = output->byte_size;
  return Error::Success;
}

Error ParsedResult::IsFinalResponse(bool* is_final_response) const {
  if (is_final_response == nullptr) return NullPointer("is_final_response");
  *is_final_response = final_;
  return Error::Success;
}

Error ParsedResult::IsNullResponse(bool* is_null_response) const {
  if (is_null_response == nullptr) return NullPointer("is_null_response");
  *is_null_response = status_.IsOk() && answered_ && final_ && outputs_.empty();
  return Error::Success;
}

Error ParsedResult::StringData(const std::string& output_name,
                               std::vector<std::string>* string_result) const {
  if (string_result == nullptr) return NullPointer("string_result");
  string_result->clear();
  const Output* output = nullptr;
  if (Error err = Find(output_name, &output); !err.IsOk()) return err;
  if (output->datatype != "BYTES") {
    return Invalid(
        "This function supports tensors with datatype 'BYTES', requested output tensor '" +
        output_name + "' with datatype '" + output->datatype + "'");
  }
  Error err = SplitBytes(output->data, output->byte_size, string_result);
  if (!err.IsOk()) return Error(err.Code(), "output '" + output_name + "': " + err.Message());
  uint64_t count = 0;
  CountElements(output->shape.data(), output->shape.size(), &count);
  // One in shared memory has no bytes here.
  if (output->byte_size == 0 || string_result->size() == count) return err;
  err = Error(ErrorCode::DATA_LOSS,
              "output '" + output_name + "' has " + std::to_string(string_result->size()) +
                  " elements, which is not what shape " + ShapeText(output->shape) + " takes");
  string_result->clear();
  return err;
}

Error CheckShape(const Output& output) {
  uint64_t count = 0;
  if (CountElements(output.shape.data(), output.shape.size(), &count)) return Error::Success;
  return Error(ErrorCode::DATA_LOSS,
               "output '" + output.name + "' has the impossible shape " + ShapeText(output.shape));
}

Error CheckOutputSize(const Output& output) {
  uint64_t count = 0;
  const std::string what = "output '" + output.name + "' ";
  if (Error err = CheckShape(output); !err.IsOk()) return err;
  CountElements(output.shape.data(), output.shape.size(), &count);
  const Datatype datatype = DatatypeOf(output.datatype);
  const size_t element = ElementSize(datatype);
  // The elements of BYTES are looked at when they are asked for; each has at least its length.
  const bool too_few = datatype == Datatype::BYTES && output.byte_size / sizeof(uint32_t) < count;
  if (element == 0 && !too_few) return Error::Success;
  if (too_few || output.byte_size % element != 0 || output.byte_size / element != count) {
    return Error(ErrorCode::DATA_LOSS, what + "has " + std::to_string(output.byte_size) +
                                           " bytes, which is not what shape " +
                                           ShapeText(output.shape) + " of " + output.datatype +
                                           " takes");
  }
  return Error::Success;
}

}  // namespace triton::client::internal
