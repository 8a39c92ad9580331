// The outputs of an answer, and the accessors that results of both protocols share.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "tensors.h"
#include "triton/client/result.h"

namespace triton::client::internal {

struct Output {
  std::string name;
  std::string datatype;
  std::vector<int64_t> shape;
  const uint8_t* data = nullptr;  // in the answer's memory, or in `owned`
  size_t byte_size = 0;
  std::vector<uint8_t> owned;  // what was converted to the binary layout
};

/// A result whose accessors read these members.
class ParsedResult : public InferResult {
 public:
  Error ModelName(std::string* name) const override;
  Error ModelVersion(std::string* version) const override;
  Error Id(std::string* id) const override;
  Error Shape(const std::string& output_name, std::vector<int64_t>* shape) const override;
  Error Datatype(const std::string& output_name, std::string* datatype) const override;
  Error RawData(const std::string& output_name, const uint8_t** buf,
                size_t* byte_size) const override;
  Error IsFinalResponse(bool* is_final_response) const override;
  Error IsNullResponse(bool* is_null_response) const override;
  Error StringData(const std::string& output_name,
                   std::vector<std::string>* string_result) const override;
  Error RequestStatus() const override { return status_; }

 protected:
  Error Find(const std::string& name, const Output** output) const;

  Error status_;
  bool answered_ = false;  // there is an answer beside, or instead of, an error
  std::string model_name_;
  std::string model_version_;
  std::string id_;
  bool final_ = true;
  std::vector<Output> outputs_;
};

/// Check that a shape can be one.
Error CheckShape(const Output& output);

/// Check the bytes of an output against its shape and datatype.
Error CheckOutputSize(const Output& output);

}  // namespace triton::client::internal
