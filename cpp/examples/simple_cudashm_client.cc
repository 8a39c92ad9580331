// Inputs and outputs in the memory of a GPU.
#include <cuda_runtime_api.h>

#include "shm_run.h"

namespace {

void CheckCuda(cudaError_t error, const std::string& what) {
  if (error != cudaSuccess) {
    example::Fail(what + ": " + cudaGetErrorString(error) + "; this program needs an NVIDIA GPU");
  }
}

int32_t* MakeRegion(example::Client* client, const example::Flags& flags, const std::string& name) {
  void* address = nullptr;
  cudaIpcMemHandle_t handle;
  CheckCuda(cudaMalloc(&address, example::kRegionSize), "unable to allocate memory of the GPU");
  CheckCuda(cudaIpcGetMemHandle(&handle, address), "unable to get a handle of that memory");
  example::Check(
      client->RegisterCudaSharedMemory(name, handle, 0, example::kRegionSize, flags.headers),
      "unable to register shared memory");
  return static_cast<int32_t*>(address);
}

}  // namespace

int main(int argc, char** argv) {
  example::Flags flags(example::kDefaultUrl);
  flags.Parse(argc, argv);
  int devices = 0;
  CheckCuda(cudaGetDeviceCount(&devices), "unable to use a GPU");
  CheckCuda(cudaSetDevice(0), "unable to use GPU 0");
  const auto client = example::Connect(flags);
  example::Check(client->UnregisterSystemSharedMemory("", flags.headers),
                 "unable to unregister all system shared memory regions");
  example::Check(client->UnregisterCudaSharedMemory("", flags.headers),
                 "unable to unregister all cuda shared memory regions");

  int32_t* const outputs = MakeRegion(client.get(), flags, "output_data");
  int32_t* const inputs = MakeRegion(client.get(), flags, "input_data");
  const example::SimpleInputs data;
  CheckCuda(cudaMemcpy(inputs, data.input0.data(), example::kTensorSize, cudaMemcpyHostToDevice),
            "unable to copy INPUT0 to the GPU");
  CheckCuda(
      cudaMemcpy(inputs + 16, data.input1.data(), example::kTensorSize, cudaMemcpyHostToDevice),
      "unable to copy INPUT1 to the GPU");

  example::InferInRegions(client.get(), flags);
  std::vector<int32_t> received(32);
  CheckCuda(cudaMemcpy(received.data(), outputs, example::kRegionSize, cudaMemcpyDeviceToHost),
            "unable to copy the outputs from the GPU");
  example::CheckSums(data.input0.data(), data.input1.data(), received.data(), received.data() + 16);

#ifdef EXAMPLE_GRPC
  inference::CudaSharedMemoryStatusResponse status;
#else
  std::string status;
#endif
  example::Check(client->CudaSharedMemoryStatus(&status, "", flags.headers),
                 "unable to get shared memory status");
  std::cout << "Shared Memory Status:" << std::endl;
  example::Show(status);
  for (const std::string name : {"input_data", "output_data"}) {
    example::Check(client->UnregisterCudaSharedMemory(name, flags.headers),
                   "unable to unregister shared memory");
  }
  CheckCuda(cudaFree(inputs), "unable to free memory of the GPU");
  CheckCuda(cudaFree(outputs), "unable to free memory of the GPU");
  std::cout << "PASS : Cuda Shared Memory " << std::endl;
  return 0;
}
