// Inputs and outputs in POSIX shared memory.
#include "shm_run.h"
#include "shm_utils.h"

namespace {

int32_t* MakeRegion(example::Client* client, const example::Flags& flags, const std::string& name,
                    const std::string& key) {
  int descriptor = -1;
  void* address = nullptr;
  example::Check(tc::CreateSharedMemoryRegion(key, example::kRegionSize, &descriptor),
                 "unable to create shared memory");
  example::Check(tc::MapSharedMemory(descriptor, 0, example::kRegionSize, &address),
                 "unable to map shared memory");
  example::Check(tc::CloseSharedMemory(descriptor), "unable to close shared memory");
  example::Check(
      client->RegisterSystemSharedMemory(name, key, example::kRegionSize, 0, flags.headers),
      "unable to register shared memory");
  return static_cast<int32_t*>(address);
}

void RemoveRegion(example::Client* client, const example::Flags& flags, const std::string& name,
                  const std::string& key, int32_t* address) {
  example::Check(client->UnregisterSystemSharedMemory(name, flags.headers),
                 "unable to unregister shared memory");
  example::Check(tc::UnmapSharedMemory(address, example::kRegionSize),
                 "unable to unmap shared memory");
  example::Check(tc::UnlinkSharedMemoryRegion(key), "unable to unlink shared memory");
}

}  // namespace

int main(int argc, char** argv) {
  example::Flags flags(example::kDefaultUrl);
  flags.Parse(argc, argv);
  const auto client = example::Connect(flags);
  example::Check(client->UnregisterSystemSharedMemory("", flags.headers),
                 "unable to unregister all system shared memory regions");
  example::Check(client->UnregisterCudaSharedMemory("", flags.headers),
                 "unable to unregister all cuda shared memory regions");

  int32_t* const outputs = MakeRegion(client.get(), flags, "output_data", "/output_simple");
  int32_t* const inputs = MakeRegion(client.get(), flags, "input_data", "/input_simple");
  const example::SimpleInputs data;
  std::copy(data.input0.begin(), data.input0.end(), inputs);
  std::copy(data.input1.begin(), data.input1.end(), inputs + 16);

  example::InferInRegions(client.get(), flags);
  example::CheckSums(inputs, inputs + 16, outputs, outputs + 16);

#ifdef EXAMPLE_GRPC
  inference::SystemSharedMemoryStatusResponse status;
#else
  std::string status;
#endif
  example::Check(client->SystemSharedMemoryStatus(&status, "", flags.headers),
                 "unable to get shared memory status");
  std::cout << "Shared Memory Status:" << std::endl;
  example::Show(status);

  RemoveRegion(client.get(), flags, "input_data", "/input_simple", inputs);
  RemoveRegion(client.get(), flags, "output_data", "/output_simple", outputs);
  std::cout << "PASS : System Shared Memory " << std::endl;
  return 0;
}
