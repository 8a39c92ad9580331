// What the front needs beyond the other headers.
#include "triton/client/front.h"

#include "tensors.h"

namespace triton::client::internal {

std::unique_ptr<InferInput> MakeInput(const std::string& name, const std::vector<int64_t>& dims,
                                      const char* datatype, const void* data, size_t byte_size,
                                      std::shared_ptr<const void> held) {
  InferInput* input = nullptr;
  InferInput::Create(&input, name, dims, datatype);
  std::unique_ptr<InferInput> made(input);
  // A null pointer is missing data, and an error when the input is sent.
  if (data != nullptr || byte_size == 0) {
    made->AppendRaw(static_cast<const uint8_t*>(data), byte_size);
  }
  TensorAccess::Hold(input, std::move(held));
  return made;
}

std::unique_ptr<InferInput> MakeStrings(const std::string& name, const std::vector<int64_t>& dims,
                                        const std::vector<std::string>& elements) {
  InferInput* input = nullptr;
  InferInput::Create(&input, name, dims, "BYTES");
  input->AppendFromString(elements);
  return std::unique_ptr<InferInput>(input);
}

}  // namespace triton::client::internal
