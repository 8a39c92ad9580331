// What the shared memory programs do once their memory is there and registered.
#pragma once

#include "protocol.h"

namespace example {

constexpr size_t kTensorSize = 16 * sizeof(int32_t);
constexpr size_t kRegionSize = 2 * kTensorSize;

/// Run "simple" on tensors in the regions input_data and output_data.
inline void InferInRegions(Client* client, const Flags& flags) {
  const auto input0 = Input("INPUT0", {1, 16}, "INT32");
  const auto input1 = Input("INPUT1", {1, 16}, "INT32");
  const auto output0 = Output("OUTPUT0");
  const auto output1 = Output("OUTPUT1");
  Check(input0->SetSharedMemory("input_data", kTensorSize, 0), "unable to place INPUT0");
  Check(input1->SetSharedMemory("input_data", kTensorSize, kTensorSize), "unable to place INPUT1");
  Check(output0->SetSharedMemory("output_data", kTensorSize, 0), "unable to place OUTPUT0");
  Check(output1->SetSharedMemory("output_data", kTensorSize, kTensorSize),
        "unable to place OUTPUT1");
  tc::InferResult* result = nullptr;
  Check(client->Infer(&result, tc::InferOptions("simple"), {input0.get(), input1.get()},
                      {output0.get(), output1.get()}, flags.headers),
        "unable to run model");
  const std::unique_ptr<tc::InferResult> owner(result);
  for (const std::string name : {"OUTPUT0", "OUTPUT1"}) {
    std::vector<int64_t> shape;
    Check(result->Shape(name, &shape), "unable to get shape for '" + name + "'");
    if (shape != std::vector<int64_t>{1, 16}) Fail("received incorrect shapes");
  }
}

#ifdef EXAMPLE_GRPC
inline void Show(const google::protobuf::Message& message) {
  std::cout << message.DebugString() << std::endl;
}
#else
inline void Show(const std::string& json) { std::cout << json << std::endl; }
#endif

}  // namespace example
