// Both clients against a server that has the repository's models: the variables TRITON_HTTP and
// TRITON_GRPC hold its addresses.
#include <gtest/gtest.h>

#include <cstdlib>

#include "grpc_client.h"
#include "http_client.h"
#include "json_utils.h"
#include "shm_utils.h"
#include "stub.h"

namespace tc = triton::client;
using stub::Event;

namespace {

std::string Address(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string() : value;
}

struct Http {
  using Client = tc::InferenceServerHttpClient;
  static constexpr char kName[] = "HTTP";
  static constexpr char kAddress[] = "TRITON_HTTP";
};

struct Grpc {
  using Client = tc::InferenceServerGrpcClient;
  static constexpr char kName[] = "gRPC";
  static constexpr char kAddress[] = "TRITON_GRPC";
};

template <typename Protocol>
class ServerTest : public testing::Test {
 protected:
  void SetUp() override {
    const std::string url = Address(Protocol::kAddress);
    ASSERT_FALSE(url.empty()) << Protocol::kAddress << " is not set";
    ASSERT_TRUE(Protocol::Client::Create(&client_, url).IsOk());
    for (size_t i = 0; i < 16; ++i) numbers[i] = static_cast<int32_t>(i);
    input0 = tc::InferInput::Make("INPUT0", {1, 16}, numbers.data(), 16);
    input1 = tc::InferInput::Make("INPUT1", {1, 16}, ones.data(), 16);
    inputs_ = {input0.get(), input1.get()};
  }

  void CheckSimple(const tc::InferResult& result) {
    ASSERT_TRUE(result.RequestStatus().IsOk()) << result.RequestStatus();
    tc::TensorView<int32_t> sums;
    ASSERT_TRUE(result.As("OUTPUT0", &sums).IsOk());
    ASSERT_EQ(sums.size(), 16U);
    for (size_t i = 0; i < 16; ++i) EXPECT_EQ(sums[i], numbers[i] + 1);
  }

  std::unique_ptr<typename Protocol::Client> client_;
  std::vector<int32_t> numbers = std::vector<int32_t>(16);
  std::vector<int32_t> ones = std::vector<int32_t>(16, 1);
  std::unique_ptr<tc::InferInput> input0;
  std::unique_ptr<tc::InferInput> input1;
  std::vector<tc::InferInput*> inputs_;
};

struct Names {
  template <typename Protocol>
  static std::string GetName(int) {
    return Protocol::kName;
  }
};

using Protocols = testing::Types<Http, Grpc>;
TYPED_TEST_SUITE(ServerTest, Protocols, Names);

std::unique_ptr<tc::InferRequestedOutput> Output(const std::string& name) {
  tc::InferRequestedOutput* output = nullptr;
  tc::InferRequestedOutput::Create(&output, name);
  return std::unique_ptr<tc::InferRequestedOutput>(output);
}

}  // namespace

TYPED_TEST(ServerTest, InfersInAllWays) {
  auto& client = *this->client_;
  const tc::InferOptions options("simple");
  auto outcome = tc::InferSync(client, options, this->inputs_);
  ASSERT_TRUE(outcome.error.IsOk()) << outcome.error;
  this->CheckSimple(*outcome.result);
  auto later = tc::InferAsync(client, options, this->inputs_).get();
  ASSERT_TRUE(later.error.IsOk()) << later.error;
  this->CheckSimple(*later.result);

  std::vector<tc::InferResult*> results;
  const std::vector<std::vector<tc::InferInput*>> three(3, this->inputs_);
  const auto output0 = Output("OUTPUT0");
  ASSERT_TRUE(client.InferMulti(&results, {options}, three, {{output0.get()}, {}, {}}).IsOk());
  ASSERT_EQ(results.size(), 3U);
  for (size_t i = 0; i < 3; ++i) {
    const std::unique_ptr<tc::InferResult> owner(results[i]);
    this->CheckSimple(*owner);
    std::vector<int64_t> shape;
    EXPECT_EQ(owner->Shape("OUTPUT1", &shape).IsOk(), i > 0);
  }
  Event done;
  ASSERT_TRUE(client
                  .AsyncInferMulti(
                      [&](std::vector<tc::InferResult*> received) {
                        results = std::move(received);
                        done.Set();
                      },
                      {options}, three)
                  .IsOk());
  ASSERT_TRUE(done.Wait());
  for (auto* result : results) {
    const std::unique_ptr<tc::InferResult> owner(result);
    this->CheckSimple(*owner);
  }
  tc::InferStat stat;
  ASSERT_TRUE(client.ClientInferStat(&stat).IsOk());
  EXPECT_EQ(stat.completed_request_count, 8U);
  EXPECT_GE(stat.cumulative_total_request_time_ns,
            stat.cumulative_send_time_ns + stat.cumulative_receive_time_ns);
}

TYPED_TEST(ServerTest, AnswersEveryOtherRequest) {
  auto& client = *this->client_;
  bool yes = false;
  EXPECT_TRUE(client.IsServerLive(&yes).IsOk() && yes);
  EXPECT_TRUE(client.IsServerReady(&yes).IsOk() && yes);
  EXPECT_TRUE(client.IsModelReady(&yes, "simple").IsOk() && yes);
  EXPECT_TRUE(client.IsModelReady(&yes, "nowhere").IsOk() && !yes);
  EXPECT_TRUE(client.UnregisterSystemSharedMemory().IsOk());
  EXPECT_TRUE(client.UnregisterCudaSharedMemory().IsOk());
  EXPECT_FALSE(client.RegisterSystemSharedMemory("r", "/tritonclient_nowhere", 64).IsOk());
  EXPECT_FALSE(client.RegisterCudaSharedMemory("r", cudaIpcMemHandle_t{}, 0, 64).IsOk());
  const auto check = [](const tc::Error& err) { EXPECT_TRUE(err.IsOk()) << err; };
  if constexpr (std::is_same_v<TypeParam, Http>) {
    std::string text;
    check(client.ServerMetadata(&text));
    check(client.ModelMetadata(&text, "simple", "1"));
    check(client.ModelConfig(&text, "simple"));
    check(client.ModelRepositoryIndex(&text));
    check(client.ModelInferenceStatistics(&text));
    check(client.ModelInferenceStatistics(&text, "simple", "1"));
    check(client.SystemSharedMemoryStatus(&text));
    check(client.CudaSharedMemoryStatus(&text));
    check(client.UpdateTraceSettings(&text, "simple", {{"trace_rate", {"77"}}}));
    EXPECT_NE(text.find("\"trace_rate\":\"77\""), std::string::npos) << text;
    check(client.UpdateTraceSettings(&text, "simple", {{"trace_rate", {}}}));
    check(client.GetTraceSettings(&text));
    EXPECT_EQ(text.find("\"trace_rate\":\"77\""), std::string::npos) << text;
  } else {
    inference::ServerMetadataResponse server;
    check(client.ServerMetadata(&server));
    EXPECT_EQ(server.name(), "triton");
    inference::ModelMetadataResponse metadata;
    check(client.ModelMetadata(&metadata, "simple", "1"));
    inference::ModelConfigResponse config;
    check(client.ModelConfig(&config, "simple"));
    inference::RepositoryIndexResponse index;
    check(client.ModelRepositoryIndex(&index));
    EXPECT_GT(index.models_size(), 0);
    inference::ModelStatisticsResponse statistics;
    check(client.ModelInferenceStatistics(&statistics, "simple", "1"));
    inference::SystemSharedMemoryStatusResponse system;
    check(client.SystemSharedMemoryStatus(&system));
    inference::CudaSharedMemoryStatusResponse cuda;
    check(client.CudaSharedMemoryStatus(&cuda));
    inference::TraceSettingResponse trace;
    check(client.UpdateTraceSettings(&trace, "simple", {{"trace_rate", {"77"}}}));
    EXPECT_EQ(trace.settings().at("trace_rate").value(0), "77");
    check(client.UpdateTraceSettings(&trace, "simple", {{"trace_rate", {}}}));
    check(client.GetTraceSettings(&trace));
    EXPECT_NE(trace.settings().at("trace_rate").value(0), "77");
  }
}

TYPED_TEST(ServerTest, SaysWhatIsWrong) {
  auto& client = *this->client_;
  const auto wrong = [&](const tc::InferOptions& options,
                         const std::vector<tc::InferInput*>& inputs) {
    return tc::InferSync(client, options, inputs).error;
  };
  EXPECT_EQ(wrong(tc::InferOptions("nowhere"), this->inputs_).Message(),
            "Request for unknown model: 'nowhere' is not found");
  EXPECT_EQ(wrong(tc::InferOptions("nowhere"), this->inputs_).Code(), tc::ErrorCode::NOT_FOUND);
  EXPECT_EQ(wrong(tc::InferOptions("simple"), {this->inputs_[0]}).Code(),
            tc::ErrorCode::INVALID_ARGUMENT);
  tc::InferOptions late("slow_identity");
  late.client_timeout_ = 50000;
  const std::vector<int32_t> delay{2000};
  const auto value = tc::InferInput::Make("INPUT0", {1}, delay.data(), 1);
  const auto wait = tc::InferInput::Make("DELAY_MS", {1}, delay.data(), 1);
  EXPECT_EQ(wrong(late, {value.get(), wait.get()}).Code(), tc::ErrorCode::DEADLINE_EXCEEDED);
}

TYPED_TEST(ServerTest, LoadsWithAConfiguration) {
  auto& client = *this->client_;
  const auto ready = [&](const std::string& version) {
    bool yes = false;
    EXPECT_TRUE(client.IsModelReady(&yes, "versioned", version).IsOk());
    return yes;
  };
  if constexpr (std::is_same_v<TypeParam, Http>) {
    EXPECT_FALSE(client.LoadModel("versioned", {}, {}, "{no json").IsOk());
  } else {
    EXPECT_FALSE(client.LoadModel("versioned", {}, "{no json").IsOk());
  }
  EXPECT_TRUE(client.LoadModel("versioned").IsOk());
  EXPECT_TRUE(ready("1") || ready("2"));
}

TYPED_TEST(ServerTest, UsesSharedMemory) {
  auto& client = *this->client_;
  tc::SharedMemoryRegion region;
  const std::string key = std::string("/tritonclient_cpp_") + TypeParam::kAddress;
  ASSERT_TRUE(tc::SharedMemoryRegion::Create(&region, key, 256).IsOk());
  auto* const memory = static_cast<int32_t*>(region.Data());
  std::copy(this->numbers.begin(), this->numbers.end(), memory);
  std::copy(this->ones.begin(), this->ones.end(), memory + 16);
  ASSERT_TRUE(client.RegisterSystemSharedMemory(key.substr(1), key, 256).IsOk());
  this->input0->SetSharedMemory(key.substr(1), 64);
  this->input1->SetSharedMemory(key.substr(1), 64, 64);
  const auto output0 = Output("OUTPUT0");
  const auto output1 = Output("OUTPUT1");
  output0->SetSharedMemory(key.substr(1), 64, 128);
  output1->SetSharedMemory(key.substr(1), 64, 192);
  auto outcome = tc::InferSync(client, tc::InferOptions("simple"), this->inputs_,
                               {output0.get(), output1.get()});
  EXPECT_TRUE(outcome.error.IsOk()) << outcome.error;
  for (int i = 0; i < 16; ++i) EXPECT_EQ(memory[32 + i], i + 1);
  EXPECT_TRUE(client.UnregisterSystemSharedMemory(key.substr(1)).IsOk());
}
