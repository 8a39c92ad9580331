// Uses the same inputs and outputs again and again: in shared memory, not there, and there again.
#include "example.h"
#include "grpc_client.h"
#include "http_client.h"
#include "shm_utils.h"

namespace {

constexpr size_t kTensorSize = 16 * sizeof(int32_t);

struct Objects {
  std::unique_ptr<tc::InferInput> input0 = example::Input("INPUT0", {1, 16}, "INT32");
  std::unique_ptr<tc::InferInput> input1 = example::Input("INPUT1", {1, 16}, "INT32");
  std::unique_ptr<tc::InferRequestedOutput> output0 = example::Output("OUTPUT0");
  std::unique_ptr<tc::InferRequestedOutput> output1 = example::Output("OUTPUT1");
};

template <typename Client>
std::unique_ptr<tc::InferResult> Infer(Client* client, const Objects& objects) {
  tc::InferResult* result = nullptr;
  example::Check(client->Infer(&result, tc::InferOptions("simple"),
                               {objects.input0.get(), objects.input1.get()},
                               {objects.output0.get(), objects.output1.get()}),
                 "unable to run model");
  return std::unique_ptr<tc::InferResult>(result);
}

template <typename Client>
void WithSharedMemory(Client* client, const Objects& objects) {
  const example::SimpleInputs data;
  tc::SharedMemoryRegion inputs;
  tc::SharedMemoryRegion outputs;
  example::Check(tc::SharedMemoryRegion::Create(&inputs, "/input_simple", 2 * kTensorSize),
                 "unable to create shared memory");
  example::Check(tc::SharedMemoryRegion::Create(&outputs, "/output_simple", 2 * kTensorSize),
                 "unable to create shared memory");
  example::Check(client->RegisterSystemSharedMemory("input_data", inputs.Key(), inputs.ByteSize()),
                 "unable to register shared memory");
  example::Check(
      client->RegisterSystemSharedMemory("output_data", outputs.Key(), outputs.ByteSize()),
      "unable to register shared memory");
  auto* const in = static_cast<int32_t*>(inputs.Data());
  auto* const out = static_cast<int32_t*>(outputs.Data());
  std::copy(data.input0.begin(), data.input0.end(), in);
  std::copy(data.input1.begin(), data.input1.end(), in + 16);
  objects.input0->Reset();
  objects.input1->Reset();
  example::Check(objects.input0->SetSharedMemory("input_data", kTensorSize, 0), "INPUT0");
  example::Check(objects.input1->SetSharedMemory("input_data", kTensorSize, kTensorSize), "INPUT1");
  example::Check(objects.output0->SetSharedMemory("output_data", kTensorSize, 0), "OUTPUT0");
  example::Check(objects.output1->SetSharedMemory("output_data", kTensorSize, kTensorSize),
                 "OUTPUT1");
  Infer(client, objects);
  example::CheckSums(in, in + 16, out, out + 16);
  example::Check(client->UnregisterSystemSharedMemory("input_data"), "unable to unregister");
  example::Check(client->UnregisterSystemSharedMemory("output_data"), "unable to unregister");
}

template <typename Client>
void WithoutSharedMemory(Client* client, const Objects& objects) {
  const example::SimpleInputs data;
  objects.input0->Reset();
  objects.input1->Reset();
  example::Check(
      objects.input0->AppendRaw(reinterpret_cast<const uint8_t*>(data.input0.data()), kTensorSize),
      "unable to set data for INPUT0");
  example::Check(
      objects.input1->AppendRaw(reinterpret_cast<const uint8_t*>(data.input1.data()), kTensorSize),
      "unable to set data for INPUT1");
  example::Check(objects.output0->UnsetSharedMemory(), "OUTPUT0");
  example::Check(objects.output1->UnsetSharedMemory(), "OUTPUT1");
  example::CheckSimple(*Infer(client, objects), data);
}

template <typename Client>
void Run(const example::Flags& flags) {
  std::unique_ptr<Client> client;
  example::Check(Client::Create(&client, flags.url, flags.verbose), "unable to create client");
  example::Check(client->UnregisterSystemSharedMemory(""), "unable to unregister all regions");
  const Objects objects;
  std::cout << "======== SHARED_MEMORY ========" << std::endl;
  WithSharedMemory(client.get(), objects);
  std::cout << "======== NO_SHARED_MEMORY ========" << std::endl;
  WithoutSharedMemory(client.get(), objects);
  std::cout << "======== SHARED_MEMORY ========" << std::endl;
  WithSharedMemory(client.get(), objects);
  std::cout << "======== END ========" << std::endl;
}

}  // namespace

int main(int argc, char** argv) {
  example::Flags flags("");
  std::string protocol = "http";
  flags.Text("i", &protocol, "protocol: http or grpc");
  flags.Parse(argc, argv);
  std::transform(protocol.begin(), protocol.end(), protocol.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (protocol != "http" && protocol != "grpc") flags.Usage("-i takes http or grpc");
  if (flags.url.empty()) flags.url = protocol == "http" ? "localhost:8000" : "localhost:8001";
  if (protocol == "http") {
    Run<tc::InferenceServerHttpClient>(flags);
  } else {
    Run<tc::InferenceServerGrpcClient>(flags);
  }
  return 0;
}
