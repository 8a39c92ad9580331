// Reads any bytes as the body of an answer over HTTP. The first two are the length of its JSON.
#include <cstdint>
#include <memory>

#include "http_client.h"

namespace tc = triton::client;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const size_t head = data[0] + size_t{256} * data[1];
  const std::vector<char> body(data + 2, data + size);
  tc::InferResult* parsed = nullptr;
  tc::InferenceServerHttpClient::ParseResponseBody(&parsed, body, head);
  const std::unique_ptr<tc::InferResult> result(parsed);
  result->DebugString();
  for (const char* name : {"A", "OUTPUT0"}) {
    const uint8_t* bytes = nullptr;
    size_t count = 0;
    volatile uint8_t sum = 0;
    if (result->RawData(name, &bytes, &count).IsOk()) {
      for (size_t i = 0; i < count; ++i) sum = static_cast<uint8_t>(sum + bytes[i]);
    }
    std::vector<std::string> strings;
    result->StringData(name, &strings);
    tc::TensorView<double> view;
    if (result->As(name, &view).IsOk() && !view.empty() && view[view.size() - 1] > 0) sum = 1;
  }
  return 0;
}
