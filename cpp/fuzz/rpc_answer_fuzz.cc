// Reads any bytes as a ModelInferResponse or a ModelStreamInferResponse, in slices, and compares
// with what protobuf reads. The first byte chooses which, the second the length of the slices.
#include <cstdint>
#include <cstdlib>
#include <memory>

#include "grpc_client.h"
#include "infer_message.h"

namespace tc = triton::client;

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

// What our walk takes, protobuf takes too, and reads in the same way.
void Compare(const tc::InferResult& result, const inference::ModelInferResponse& expected) {
  std::string text;
  Require(result.ModelName(&text).IsOk() && text == expected.model_name());
  Require(result.Id(&text).IsOk() && text == expected.id());
  if (expected.outputs_size() == 0 || !result.RequestStatus().IsOk()) return;
  const auto& output = expected.outputs(0);
  std::vector<int64_t> shape;
  Require(result.Shape(output.name(), &shape).IsOk());
  Require(shape == std::vector<int64_t>(output.shape().begin(), output.shape().end()));
}

}  // namespace

extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);
extern "C" int LLVMFuzzerInitialize(int*, char***) {
  google::protobuf::SetLogHandler(nullptr);  // it reports each text that is not UTF-8
  return 0;
}

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const bool stream = (data[0] & 1) != 0;
  const size_t piece = data[1] == 0 ? size : data[1];
  data += 2;
  size -= 2;
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < size; at += piece) {
    slices.emplace_back(data + at, size - at < piece ? size - at : piece);
  }
  const grpc::ByteBuffer message(slices.data(), slices.size());
  const std::unique_ptr<tc::InferResult> result(stream ? tc::internal::MakeStreamResult(message)
                                                       : tc::internal::MakeInferResult(message));
  inference::ModelInferResponse response;
  inference::ModelStreamInferResponse wrapped;
  const bool parsed = stream ? wrapped.ParseFromArray(data, static_cast<int>(size))
                             : response.ParseFromArray(data, static_cast<int>(size));
  // protobuf refuses texts that are not UTF-8, and takes groups; we do neither.
  if (parsed && result->RequestStatus().IsOk() && !(stream && !wrapped.has_infer_response())) {
    Compare(*result, stream ? wrapped.infer_response() : response);
  }
  for (const char* name : {"A", "OUTPUT0"}) {
    const uint8_t* bytes = nullptr;
    size_t count = 0;
    volatile uint8_t sum = 0;
    if (result->RawData(name, &bytes, &count).IsOk()) {
      for (size_t i = 0; i < count; ++i) sum = static_cast<uint8_t>(sum + bytes[i]);
    }
    std::vector<std::string> strings;
    result->StringData(name, &strings);
  }
  result->DebugString();
  return 0;
}
