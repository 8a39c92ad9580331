// Several inferences as one, models that are loaded from memory, and traces, against a server with
// model control: the variables TRITON_HTTP and TRITON_GRPC hold its addresses.
#include <gtest/gtest.h>

#include <cstdlib>

#include "grpc_client.h"
#include "http_client.h"
#include "json_utils.h"
#include "stub.h"

namespace tc = triton::client;
using Results = std::vector<std::unique_ptr<tc::InferResult>>;

namespace {

constexpr int kElements = 16;

// Version 1 answers the sum as OUTPUT0 and the difference as OUTPUT1, the others the reverse.
constexpr char kModel[] = R"PY(
import numpy
import triton_python_backend_utils as pb_utils

class TritonPythonModel:
    def initialize(self, args):
        self.first = str(args["model_version"]) == "1"

    def execute(self, requests):
        responses = []
        for request in requests:
            a, b = (pb_utils.get_input_tensor_by_name(request, "INPUT%d" % i).as_numpy()
                    for i in (0, 1))
            values = (a + b, a - b) if self.first else (a - b, a + b)
            responses.append(pb_utils.InferenceResponse(
                [pb_utils.Tensor("OUTPUT%d" % i, values[i]) for i in (0, 1)]))
        return responses
)PY";

std::string Config(const std::string& name, const std::string& policy) {
  std::string config = R"({"name":")" + name + R"(","backend":"python","version_policy":)" + policy;
  for (const auto* kind : {"input", "output"}) {
    const std::string upper = kind == std::string("input") ? "INPUT" : "OUTPUT";
    config += std::string(",\"") + kind + "\":[";
    for (const auto* index : {"0", "1"}) {
      config += (index == std::string("1") ? "," : "") + std::string(R"({"name":")") + upper +
                index + R"(","data_type":"TYPE_INT32","dims":[-1,16]})";
    }
    config += "]";
  }
  return config + "}";
}

using Files = std::map<std::string, std::vector<char>>;

Files Versions(const std::vector<std::string>& versions) {
  Files files;
  for (const auto& version : versions) {
    files["file:" + version + "/model.py"] = {kModel, kModel + sizeof(kModel) - 1};
  }
  return files;
}

const char* Address(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

using Settings = std::map<std::string, std::vector<std::string>>;

struct Http {
  using Client = tc::InferenceServerHttpClient;
  static constexpr char kName[] = "HTTP";
  static constexpr char kAddress[] = "TRITON_HTTP";

  static tc::Error Load(Client* client, const std::string& model, const std::string& config,
                        const Files& files = {}) {
    return client->LoadModel(model, {}, {}, config, files);
  }
  // Get trace settings, after a change if there is one.
  static tc::Error Trace(Client* client, Settings* settings, const std::string& model,
                         const Settings& change = {}) {
    std::string text;
    tc::Error err = change.empty() ? client->GetTraceSettings(&text, model)
                                   : client->UpdateTraceSettings(&text, model, change);
    if (!err.IsOk()) return err;
    rapidjson::Document document;
    EXPECT_TRUE(tc::ParseJson(&document, text).IsOk()) << text;
    settings->clear();
    for (const auto& member : document.GetObject()) {
      auto& values = (*settings)[member.name.GetString()];
      if (member.value.IsArray()) {
        for (const auto& value : member.value.GetArray()) values.emplace_back(value.GetString());
      } else {
        values.emplace_back(member.value.GetString());
      }
    }
    return err;
  }
};

struct Grpc {
  using Client = tc::InferenceServerGrpcClient;
  static constexpr char kName[] = "gRPC";
  static constexpr char kAddress[] = "TRITON_GRPC";

  static tc::Error Load(Client* client, const std::string& model, const std::string& config,
                        const Files& files = {}) {
    return client->LoadModel(model, {}, config, files);
  }
  static tc::Error Trace(Client* client, Settings* settings, const std::string& model,
                         const Settings& change = {}) {
    inference::TraceSettingResponse response;
    tc::Error err = change.empty() ? client->GetTraceSettings(&response, model)
                                   : client->UpdateTraceSettings(&response, model, change);
    settings->clear();
    for (const auto& [name, value] : response.settings()) {
      (*settings)[name].assign(value.value().begin(), value.value().end());
    }
    return err;
  }
};

std::unique_ptr<tc::InferRequestedOutput> Output(const std::string& name) {
  tc::InferRequestedOutput* output = nullptr;
  tc::InferRequestedOutput::Create(&output, name);
  return std::unique_ptr<tc::InferRequestedOutput>(output);
}

tc::InferOptions Options(const std::string& version, const std::string& model) {
  tc::InferOptions options(model);
  options.model_version_ = version;
  return options;
}

template <typename Protocol>
class MultiTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(Protocol::Client::Create(&client_, Address(Protocol::kAddress)).IsOk());
    const tc::Error err = Protocol::Load(client_.get(), model_, Config(model_, R"({"all":{}})"),
                                         Versions({"1", "2", "3"}));
    ASSERT_TRUE(err.IsOk()) << err;
    for (int request = 0; request < 3; ++request) {
      std::vector<tc::InferInput*> pair;
      for (const int value : {10 * request, 1}) {
        std::vector<int32_t> elements(kElements, value);
        for (int i = 0; i < kElements; ++i) elements[static_cast<size_t>(i)] += value == 1 ? 0 : i;
        owned_.push_back(tc::InferInput::Make("INPUT" + std::to_string(pair.size()), {1, kElements},
                                              std::move(elements)));
        pair.push_back(owned_.back().get());
      }
      inputs_.push_back(pair);
    }
  }
  void TearDown() override { client_->UnloadModel(model_); }

  bool Ready(const std::string& model, const std::string& version) {
    bool ready = false;
    EXPECT_TRUE(client_->IsModelReady(&ready, model, version).IsOk());
    return ready;
  }

  // Infer in both ways, and check what each request of `inputs_` got. `versions` and `outputs` say
  // what was asked for in each: all outputs when there are none.
  void Check(const std::vector<tc::InferOptions>& options,
             const std::vector<std::vector<const tc::InferRequestedOutput*>>& outputs,
             const std::vector<std::string>& versions,
             const std::vector<std::vector<std::string>>& names) {
    std::vector<tc::InferResult*> results;
    const tc::Error err = client_->InferMulti(&results, options, inputs_, outputs);
    ASSERT_TRUE(err.IsOk()) << err;
    CheckResults(results, versions, names);
    stub::Event done;
    ASSERT_TRUE(client_
                    ->AsyncInferMulti(
                        [&](std::vector<tc::InferResult*> received) {
                          results = std::move(received);
                          done.Set();
                        },
                        options, inputs_, outputs)
                    .IsOk());
    ASSERT_TRUE(done.Wait());
    CheckResults(results, versions, names);
  }

  static void CheckResults(const std::vector<tc::InferResult*>& received,
                           const std::vector<std::string>& versions,
                           const std::vector<std::vector<std::string>>& names) {
    const Results results(received.begin(), received.end());
    ASSERT_EQ(results.size(), 3U);
    for (size_t request = 0; request < 3; ++request) {
      const tc::InferResult& result = *results[request];
      ASSERT_TRUE(result.RequestStatus().IsOk()) << result.RequestStatus();
      std::string version;
      EXPECT_TRUE(result.ModelVersion(&version).IsOk());
      EXPECT_EQ(version, versions[request]);
      for (const std::string name : {"OUTPUT0", "OUTPUT1"}) {
        const auto& asked = names[request];
        const bool there = std::find(asked.begin(), asked.end(), name) != asked.end();
        std::vector<int64_t> shape;
        ASSERT_EQ(result.Shape(name, &shape).IsOk(), there) << name;
        if (!there) continue;
        EXPECT_EQ(shape, (std::vector<int64_t>{1, kElements}));
        tc::TensorView<int32_t> view;
        ASSERT_TRUE(result.As(name, &view).IsOk());
        ASSERT_EQ(view.size(), static_cast<size_t>(kElements));
        const bool sum = (name == "OUTPUT0") == (version == "1");
        for (int i = 0; i < kElements; ++i) {
          const int element = 10 * static_cast<int>(request) + i;
          EXPECT_EQ(view[static_cast<size_t>(i)], sum ? element + 1 : element - 1);
        }
      }
    }
  }

  // Both ways refuse what does not fit.
  void CheckRefused(const std::vector<tc::InferOptions>& options,
                    const std::vector<std::vector<const tc::InferRequestedOutput*>>& outputs,
                    const std::string& reason) {
    std::vector<tc::InferResult*> results;
    EXPECT_EQ(client_->InferMulti(&results, options, inputs_, outputs).Message(), reason);
    EXPECT_TRUE(results.empty());
    const tc::Error err = client_->AsyncInferMulti(
        [](const std::vector<tc::InferResult*>&) { ADD_FAILURE() << "was called"; }, options,
        inputs_, outputs);
    EXPECT_EQ(err.Message(), reason);
  }

  const std::string model_ = std::string("cpp_multi_") + Protocol::kName;
  const std::vector<std::string> both_{"OUTPUT0", "OUTPUT1"};
  std::unique_ptr<typename Protocol::Client> client_;
  std::vector<std::unique_ptr<tc::InferInput>> owned_;
  std::vector<std::vector<tc::InferInput*>> inputs_;
  std::unique_ptr<tc::InferRequestedOutput> output0_ = Output("OUTPUT0");
  std::unique_ptr<tc::InferRequestedOutput> output1_ = Output("OUTPUT1");
};

struct Names {
  template <typename Protocol>
  static std::string GetName(int) {
    return Protocol::kName;
  }
};

using Protocols = testing::Types<Http, Grpc>;
TYPED_TEST_SUITE(MultiTest, Protocols, Names);

}  // namespace

TYPED_TEST(MultiTest, TakesOneOrAllOptionsAndOutputs) {
  const std::string& model = this->model_;
  const auto* output0 = this->output0_.get();
  const auto* output1 = this->output1_.get();
  const std::vector<tc::InferOptions> one{Options("2", model)};
  const std::vector<tc::InferOptions> each{Options("1", model), Options("2", model),
                                           Options("3", model)};
  const std::vector<std::vector<std::string>> all(3, this->both_);
  const auto check = [&](const auto& outputs, const auto& names) {
    this->Check(one, outputs, {"2", "2", "2"}, names);
    this->Check(each, outputs, {"1", "2", "3"}, names);
  };
  using Outputs = std::vector<std::vector<const tc::InferRequestedOutput*>>;
  check(Outputs{}, all);
  check(Outputs{{}}, all);
  check(Outputs{{output0, output1}, {output1, output0}, {output0, output1}}, all);
  check(Outputs{{output0}, {output1}, {}},
        std::vector<std::vector<std::string>>{{"OUTPUT0"}, {"OUTPUT1"}, this->both_});
  check(Outputs{{output1}}, std::vector<std::vector<std::string>>(3, {"OUTPUT1"}));
  // Without a version it is the latest.
  this->Check({Options("", model)}, {}, {"3", "3", "3"}, all);
}

TYPED_TEST(MultiTest, RefusesOtherNumbersOfOptionsAndOutputs) {
  const auto option = Options("1", this->model_);
  const std::string options = "'options' must either contain 1 element or match size of 'inputs'";
  this->CheckRefused({}, {}, options);
  this->CheckRefused({option, option}, {}, options);
  this->CheckRefused({option, option, option, option}, {}, options);
  const std::string outputs = "'outputs' must either contain 0/1 element or match size of 'inputs'";
  this->CheckRefused({option}, {{}, {}}, outputs);
  this->CheckRefused({option}, {{}, {}, {}, {}}, outputs);
}

TYPED_TEST(MultiTest, LoadsFilesInsteadOfThoseOfTheRepository) {
  auto* const client = this->client_.get();
  const std::string& model = this->model_;
  const std::string other = model + "_other";
  // Files without a configuration fail, and nothing changes.
  EXPECT_FALSE(TypeParam::Load(client, model, "", Versions({"1"})).IsOk());
  for (const auto* version : {"1", "2", "3"}) EXPECT_TRUE(this->Ready(model, version));
  // Under another name, it is another model.
  const auto config = Config(other, R"({"all":{}})");
  ASSERT_TRUE(TypeParam::Load(client, other, config, Versions({"1"})).IsOk());
  EXPECT_TRUE(this->Ready(other, "1"));
  EXPECT_FALSE(this->Ready(other, "2"));
  for (const auto* version : {"1", "2", "3"}) EXPECT_TRUE(this->Ready(model, version));
  EXPECT_TRUE(client->UnloadModel(other).IsOk());
  // Under its own name, it takes the place of the model.
  const auto own = Config(model, R"({"all":{}})");
  ASSERT_TRUE(TypeParam::Load(client, model, own, Versions({"1"})).IsOk());
  EXPECT_TRUE(this->Ready(model, "1"));
  EXPECT_FALSE(this->Ready(model, "2"));
  EXPECT_FALSE(this->Ready(model, "3"));
}

TYPED_TEST(MultiTest, LoadsAConfigurationInsteadOfThatOfTheRepository) {
  auto* const client = this->client_.get();
  const std::string name = "versioned";
  ASSERT_TRUE(client->UnloadModel(name).IsOk());
  ASSERT_TRUE(TypeParam::Load(client, name, "").IsOk());
  for (const auto* version : {"1", "2"}) ASSERT_TRUE(this->Ready(name, version));
  for (const auto* bad : {"{", "not json", R"({"version_policy":7})"}) {
    EXPECT_FALSE(TypeParam::Load(client, name, bad).IsOk()) << bad;
    for (const auto* version : {"1", "2"}) EXPECT_TRUE(this->Ready(name, version)) << bad;
  }
  std::unique_ptr<tc::InferenceServerHttpClient> http;
  ASSERT_TRUE(tc::InferenceServerHttpClient::Create(&http, Address(Http::kAddress)).IsOk());
  std::string config;
  ASSERT_TRUE(http->ModelConfig(&config, name).IsOk());
  const std::string all = R"("version_policy":{"all":{}})";
  ASSERT_NE(config.find(all), std::string::npos) << config;
  config.replace(config.find(all), all.size(), R"("version_policy":{"specific":{"versions":[2]}})");
  const tc::Error err = TypeParam::Load(client, name, config);
  ASSERT_TRUE(err.IsOk()) << err;
  EXPECT_FALSE(this->Ready(name, "1"));
  EXPECT_TRUE(this->Ready(name, "2"));
  // A model that is loaded keeps its configuration; one that was unloaded does not.
  ASSERT_TRUE(client->UnloadModel(name).IsOk());
  ASSERT_TRUE(TypeParam::Load(client, name, "").IsOk());
  for (const auto* version : {"1", "2"}) EXPECT_TRUE(this->Ready(name, version));
}

TYPED_TEST(MultiTest, ChangesAndClearsTraceSettings) {
  auto* const client = this->client_.get();
  const auto trace = [&](const std::string& model, const Settings& change = {}) {
    Settings settings;
    const tc::Error err = TypeParam::Trace(client, &settings, model, change);
    EXPECT_TRUE(err.IsOk()) << err;
    return settings;
  };
  const Settings global = trace("");
  EXPECT_EQ(global.count("trace_file"), 1U);
  Settings settings;
  EXPECT_EQ(TypeParam::Trace(client, &settings, "", {{"trace_file", {"other.log"}}}).Message(),
            "trace file location can not be updated through network protocol");
  // A model follows the server until it has settings of its own, and again when these are cleared.
  Settings changed = trace("", {{"trace_rate", {"12"}}, {"trace_count", {"56"}}});
  EXPECT_EQ(changed["trace_rate"], std::vector<std::string>{"12"});
  EXPECT_EQ(changed["trace_count"], std::vector<std::string>{"56"});
  EXPECT_EQ(trace("simple"), changed);
  Settings own = trace("simple", {{"trace_rate", {"34"}}});
  EXPECT_EQ(own["trace_rate"], std::vector<std::string>{"34"});
  EXPECT_EQ(own["trace_count"], changed["trace_count"]);
  EXPECT_EQ(trace(""), changed);
  EXPECT_EQ(trace("simple", {{"trace_rate", {}}}), changed);
  EXPECT_EQ(trace("", {{"trace_rate", {}}, {"trace_count", {}}}), global);
  EXPECT_EQ(trace("simple"), global);
  EXPECT_FALSE(TypeParam::Trace(client, &settings, "", {{"trace_rate", {"none"}}}).IsOk());
  EXPECT_EQ(trace(""), global);
}
