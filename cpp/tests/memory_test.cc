// Makes many calls and fails when the memory grows: memory_test HTTP_ADDRESS GRPC_ADDRESS CALLS.
#include <unistd.h>

#include <fstream>

#include "grpc_client.h"
#include "http_client.h"

namespace tc = triton::client;

namespace {

// Bytes of this process in memory.
long Resident() {
  std::ifstream file("/proc/self/statm");
  long pages = 0;
  file >> pages >> pages;
  return pages * sysconf(_SC_PAGESIZE);
}

// Run `simple` in three ways by turns; false when one failed.
template <typename Client>
bool Calls(Client* client, long count) {
  const std::vector<int32_t> numbers(16, 3);
  const auto input0 = tc::InferInput::Make("INPUT0", {1, 16}, numbers.data(), 16);
  const auto input1 = tc::InferInput::Make("INPUT1", {1, 16}, numbers.data(), 16);
  const std::vector<tc::InferInput*> inputs{input0.get(), input1.get()};
  const tc::InferOptions options("simple");
  for (long i = 0; i < count; ++i) {
    tc::InferOutcome outcome;
    if (i % 10 == 0) {
      outcome = tc::InferAsync(*client, options, inputs).get();
    } else if (i % 10 == 1) {
      outcome = tc::InferSync(*client, tc::InferOptions("nowhere"), inputs);
      if (outcome.error.IsOk()) return false;
      continue;
    } else {
      outcome = tc::InferSync(*client, options, inputs);
    }
    if (!outcome.error.IsOk()) {
      std::cerr << "error: " << outcome.error << std::endl;
      return false;
    }
  }
  return true;
}

template <typename Client>
bool Flat(const std::string& name, const std::string& url, long count) {
  std::unique_ptr<Client> client;
  if (!Client::Create(&client, url).IsOk() || !Calls(client.get(), count / 10)) return false;
  const long before = Resident();
  if (!Calls(client.get(), count)) return false;
  const long grown = Resident() - before;
  std::cout << name << ": " << count << " calls, " << before / 1024 << " KiB, grown by "
            << grown / 1024 << " KiB" << std::endl;
  constexpr long kMost = 2 << 20;
  return grown < kMost;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) {
    std::cerr << "usage: memory_test HTTP_ADDRESS GRPC_ADDRESS CALLS" << std::endl;
    return 2;
  }
  const long calls = std::atol(argv[3]);
  const bool http = Flat<tc::InferenceServerHttpClient>("HTTP", argv[1], calls);
  const bool grpc = Flat<tc::InferenceServerGrpcClient>("gRPC", argv[2], calls);
  return http && grpc ? 0 : 1;
}
