// The JSON codec against what a real Triton took and answered.
#include <rapidjson/document.h>

#include <cmath>
#include <cstring>
#include <limits>

#include "http_client.h"
#include "json_utils.h"
#include "recordings.h"

namespace tc = triton::client;
using Client = tc::InferenceServerHttpClient;
using rapidjson::Document;
using rapidjson::Value;

namespace {

constexpr const char* kSubjects[] = {"infer", "datatypes", "classification", "infer_errors",
                                     "system_shared_memory"};

std::unique_ptr<tc::InferResult> Parsed(const std::string& body, size_t head_length) {
  tc::InferResult* result = nullptr;
  EXPECT_TRUE(Client::ParseResponseBody(&result, {body.begin(), body.end()}, head_length).IsOk());
  return std::unique_ptr<tc::InferResult>(result);
}

bool IsInference(const recordings::Exchange& exchange) {
  return exchange.request.substr(0, exchange.request.find("\r\n")).find("/infer ") !=
             std::string::npos &&
         !recordings::Has(exchange.request, "Content-Encoding") &&
         !recordings::Has(exchange.response, "Content-Encoding");
}

std::string Raw(const tc::InferResult& result, const std::string& name) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  const tc::Error err = result.RawData(name, &data, &size);
  EXPECT_TRUE(err.IsOk()) << err;
  return {reinterpret_cast<const char*>(data), size};
}

std::unique_ptr<tc::InferInput> Input(const std::string& name, const std::vector<int64_t>& shape,
                                      const std::string& datatype) {
  tc::InferInput* input = nullptr;
  tc::InferInput::Create(&input, name, shape, datatype);
  return std::unique_ptr<tc::InferInput>(input);
}

template <typename T>
void Append(tc::InferInput* input, const std::vector<T>& values) {
  input->AppendRaw(reinterpret_cast<const uint8_t*>(values.data()), values.size() * sizeof(T));
}

// The JSON of a request with one input, and the bytes behind it.
std::pair<std::string, std::string> Generated(tc::InferInput* input,
                                              const tc::InferOptions& options) {
  std::vector<char> body;
  size_t head = 0;
  const tc::Error err = Client::GenerateRequestBody(&body, &head, options, {input});
  EXPECT_TRUE(err.IsOk()) << err;
  const std::string all(body.begin(), body.end());
  return {all.substr(0, head), all.substr(head)};
}

}  // namespace

TEST(RestAnswers, AreReadAsTheyWereRecorded) {
  size_t outputs = 0;
  for (const auto* subject : kSubjects) {
    for (const auto& exchange : recordings::Http(subject)) {
      if (!IsInference(exchange) || recordings::Status(exchange.response) != 200) continue;
      SCOPED_TRACE(subject + std::string(": ") + exchange.name);
      const std::string body = recordings::Body(exchange.response);
      const size_t head = recordings::HeadLength(exchange.response);
      const auto result = Parsed(body, head);
      ASSERT_TRUE(result->RequestStatus().IsOk()) << result->RequestStatus();
      Document json;
      const std::string text = head == 0 ? body : body.substr(0, head);
      ASSERT_TRUE(tc::ParseJson(&json, text).IsOk());
      EXPECT_EQ(result->DebugString(), text);
      std::string model;
      ASSERT_TRUE(result->ModelName(&model).IsOk());
      EXPECT_EQ(model, json["model_name"].GetString());
      size_t at = head;
      for (const auto& output : json["outputs"].GetArray()) {
        ++outputs;
        const std::string name = output["name"].GetString();
        std::string datatype;
        ASSERT_TRUE(result->Datatype(name, &datatype).IsOk());
        EXPECT_EQ(datatype, output["datatype"].GetString());
        std::vector<int64_t> shape;
        ASSERT_TRUE(result->Shape(name, &shape).IsOk());
        ASSERT_EQ(shape.size(), output["shape"].Size());
        if (!output.HasMember("parameters") ||
            !output["parameters"].HasMember("binary_data_size")) {
          continue;
        }
        const size_t size = output["parameters"]["binary_data_size"].GetUint64();
        EXPECT_EQ(Raw(*result, name), body.substr(at, size));
        at += size;
      }
    }
  }
  EXPECT_GT(outputs, 60U);
}

// Every datatype was recorded in both forms, with the same values.
TEST(RestAnswers, HaveTheSameBytesFromJsonAsFromBinaryData) {
  std::map<std::string, std::string> binary;
  size_t compared = 0;
  for (const auto& exchange : recordings::Http("datatypes")) {
    if (!IsInference(exchange) || recordings::Status(exchange.response) != 200) continue;
    const std::string datatype = exchange.name.substr(0, exchange.name.find(' '));
    const size_t head = recordings::HeadLength(exchange.response);
    const auto result = Parsed(recordings::Body(exchange.response), head);
    ASSERT_TRUE(result->RequestStatus().IsOk()) << exchange.name;
    if (exchange.name == datatype + " binary") {
      binary[datatype] = Raw(*result, "OUTPUT_" + datatype);
    } else if (exchange.name == datatype + " JSON" && binary.count(datatype) != 0) {
      EXPECT_EQ(Raw(*result, "OUTPUT_" + datatype), binary[datatype]) << exchange.name;
      ++compared;
    }
  }
  EXPECT_GE(compared, 11U);
}

TEST(RestAnswers, ThatAreCutAnywhereAreErrors) {
  for (const auto& exchange : recordings::Http("infer")) {
    if (!IsInference(exchange) || recordings::Status(exchange.response) != 200) continue;
    const std::string body = recordings::Body(exchange.response);
    const size_t head = recordings::HeadLength(exchange.response);
    for (size_t size = 0; size < body.size(); ++size) {
      EXPECT_FALSE(Parsed(body.substr(0, size), head)->RequestStatus().IsOk()) << size;
    }
  }
}

TEST(RestAnswers, WithAnyByteChangedAreReadWithinTheirBounds) {
  for (const auto& exchange : recordings::Http("datatypes")) {
    if (!IsInference(exchange) || recordings::Status(exchange.response) != 200) continue;
    const std::string body = recordings::Body(exchange.response);
    const size_t head = recordings::HeadLength(exchange.response);
    for (size_t i = 0; i < body.size(); ++i) {
      std::string changed = body;
      changed[i] = static_cast<char>(changed[i] ^ 0x11);
      const auto result = Parsed(changed, head);
      std::vector<std::string> strings;
      for (const auto* name : {"OUTPUT_BYTES", "OUTPUT_FP32"}) {
        const uint8_t* data = nullptr;
        size_t size = 0;
        uint8_t sum = 0;
        if (result->RawData(name, &data, &size).IsOk()) {
          for (size_t k = 0; k < size; ++k) sum = static_cast<uint8_t>(sum + data[k]);
        }
        result->StringData(name, &strings);
      }
    }
  }
}

struct Bad {
  const char* what;
  const char* body;
  size_t head;
};

class RestAnswer : public testing::TestWithParam<Bad> {};

TEST_P(RestAnswer, IsRefused) {
  const auto result = Parsed(GetParam().body, GetParam().head);
  EXPECT_FALSE(result->RequestStatus().IsOk()) << GetParam().what;
  const uint8_t* data = nullptr;
  size_t size = 1;
  EXPECT_FALSE(result->RawData("A", &data, &size).IsOk());
  EXPECT_EQ(data, nullptr);
  EXPECT_EQ(size, 0U);
}

INSTANTIATE_TEST_SUITE_P(
    OfAServer, RestAnswer,
    testing::Values(
        Bad{"empty", "", 0}, Bad{"no object", "[1]", 0}, Bad{"no outputs", "{}", 0},
        Bad{"outputs null", R"({"outputs":null})", 0}, Bad{"head too long", "{}", 3},
        Bad{"output no object", R"({"outputs":[1]})", 0},
        Bad{"no name", R"({"outputs":[{"datatype":"INT8","shape":[0],"data":[]}]})", 0},
        Bad{"size beyond",
            R"({"outputs":[{"name":"A","datatype":"INT8","shape":[4],"parameters":{"binary_data_size":4}}]})",
            0},
        Bad{"size negative",
            R"({"outputs":[{"name":"A","datatype":"INT8","shape":[4],"parameters":{"binary_data_size":-4}}]})",
            0},
        Bad{"size huge",
            R"({"outputs":[{"name":"A","datatype":"INT8","shape":[4],"parameters":{"binary_data_size":18446744073709551615}}]})",
            0},
        Bad{"rest", R"({"outputs":[{"name":"A","datatype":"INT8","shape":[1],"data":[1]}]}xyz)",
            64},
        Bad{"too few", R"({"outputs":[{"name":"A","datatype":"INT8","shape":[2],"data":[1]}]})", 0},
        Bad{"too many", R"({"outputs":[{"name":"A","datatype":"INT8","shape":[1],"data":[1,2]}]})",
            0},
        Bad{"range", R"({"outputs":[{"name":"A","datatype":"INT8","shape":[1],"data":[128]}]})", 0},
        Bad{"type", R"({"outputs":[{"name":"A","datatype":"INT8","shape":[1],"data":["x"]}]})", 0},
        Bad{"unknown", R"({"outputs":[{"name":"A","datatype":"INT9","shape":[1],"data":[1]}]})", 0},
        Bad{"negative", R"({"outputs":[{"name":"A","datatype":"INT8","shape":[-1],"data":[1]}]})",
            0},
        Bad{"overflow",
            R"({"outputs":[{"name":"A","datatype":"INT8","shape":[4294967296,4294967296,2],"data":[1]}]})",
            0},
        Bad{"data no array", R"({"outputs":[{"name":"A","datatype":"INT8","shape":[1],"data":1}]})",
            0},
        Bad{"error in 200", R"({"error":"no"})", 0}),
    [](const auto& each) {
      std::string name = each.param.what;
      for (char& c : name) c = std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
      return name;
    });

TEST(RestAnswers, MayBeNestedDeeply) {
  std::string deep = R"({"outputs":[{"name":"A","datatype":"INT8","shape":[1],"data":)";
  deep += std::string(1000000, '[') + std::string(1000000, ']') + "}]}";
  EXPECT_FALSE(Parsed(deep, 0)->RequestStatus().IsOk());
}

TEST(RestAnswers, ReadBinaryAndJsonOutputsTogether) {
  const std::string head =
      R"({"model_name":"m","outputs":[{"name":"A","datatype":"FP64","shape":[2,1],"data":[[1.5],[-0.0]]},)"
      R"({"name":"B","datatype":"INT16","shape":[1],"parameters":{"binary_data_size":2}},)"
      R"({"name":"C","datatype":"INT8","shape":[9],"parameters":{"shared_memory_region":"r"}}]})";
  const auto result = Parsed(head + "\x01\x02", head.size());
  ASSERT_TRUE(result->RequestStatus().IsOk()) << result->RequestStatus();
  tc::TensorView<double> doubles;
  ASSERT_TRUE(result->As("A", &doubles).IsOk());
  ASSERT_EQ(doubles.size(), 2U);
  EXPECT_EQ(doubles[0], 1.5);
  EXPECT_TRUE(std::signbit(doubles[1]));
  EXPECT_EQ(Raw(*result, "B"), "\x01\x02");
  EXPECT_EQ(Raw(*result, "C"), "");
  tc::TensorView<float> floats;
  EXPECT_NE(result->As("A", &floats).Message().find("FP64"), std::string::npos);
  const tc::Error unknown = result->As("Z", &floats);
  EXPECT_EQ(unknown.Code(), tc::ErrorCode::NOT_FOUND);
  EXPECT_NE(unknown.Message().find("'Z'"), std::string::npos);
}

TEST(RestAnswers, CheckTheLengthsOfStrings) {
  const std::string head =
      R"({"outputs":[{"name":"A","datatype":"BYTES","shape":[1],"parameters":{"binary_data_size":5}}]})";
  const auto result = Parsed(head + std::string("\xff\xff\xff\x7f!", 5), head.size());
  std::vector<std::string> strings{"before"};
  EXPECT_FALSE(result->StringData("A", &strings).IsOk());
  EXPECT_TRUE(strings.empty());
}

// What a request means, whatever the order of its members.
TEST(RestRequests, AreWrittenAsTheyWereRecorded) {
  size_t compared = 0;
  for (const auto* subject : kSubjects) {
    for (const auto& exchange : recordings::Http(subject)) {
      if (!IsInference(exchange) || recordings::Status(exchange.response) != 200) continue;
      SCOPED_TRACE(subject + std::string(": ") + exchange.name);
      const std::string body = recordings::Body(exchange.request);
      size_t head = recordings::HeadLength(exchange.request);
      if (head == 0) head = body.size();
      Document json;
      ASSERT_TRUE(tc::ParseJson(&json, body.substr(0, head)).IsOk());
      std::vector<std::unique_ptr<tc::InferInput>> inputs;
      std::vector<tc::InferInput*> pointers;
      bool only_binary = true;
      size_t at = head;
      for (const auto& input : json["inputs"].GetArray()) {
        std::vector<int64_t> shape;
        for (const auto& dim : input["shape"].GetArray()) shape.push_back(dim.GetInt64());
        inputs.push_back(Input(input["name"].GetString(), shape, input["datatype"].GetString()));
        pointers.push_back(inputs.back().get());
        if (!input.HasMember("parameters") || !input["parameters"].HasMember("binary_data_size")) {
          only_binary = false;
          break;
        }
        const size_t size = input["parameters"]["binary_data_size"].GetUint64();
        // In two pieces, as programs that build batches do.
        const auto* data = reinterpret_cast<const uint8_t*>(body.data()) + at;
        inputs.back()->AppendRaw(data, size / 2);
        inputs.back()->AppendRaw(data + size / 2, size - size / 2);
        at += size;
      }
      if (!only_binary) continue;
      std::vector<char> written;
      size_t length = 0;
      const tc::Error err =
          Client::GenerateRequestBody(&written, &length, tc::InferOptions("m"), pointers);
      ASSERT_TRUE(err.IsOk()) << err;
      const std::string ours(written.begin(), written.end());
      EXPECT_EQ(ours.substr(length), body.substr(head));
      Document mine;
      ASSERT_TRUE(tc::ParseJson(&mine, ours.substr(0, length)).IsOk());
      EXPECT_EQ(mine["inputs"], json["inputs"]);
      ++compared;
    }
  }
  EXPECT_GT(compared, 20U);
}

TEST(RestRequests, HaveAnIdAlwaysAndParametersWhenNeeded) {
  const auto input = Input("A", {1}, "INT8");
  const std::vector<uint8_t> one{1};
  input->AppendRaw(one);
  tc::InferOptions options("m");
  EXPECT_EQ(Generated(input.get(), options).first,
            R"({"id":"","parameters":{"binary_data_output":true},"inputs":[{"name":"A",)"
            R"("datatype":"INT8","shape":[1],"parameters":{"binary_data_size":1}}]})");
  options.request_id_ = "7\"";
  options.sequence_id_ = UINT64_MAX;
  options.sequence_start_ = true;
  options.priority_ = 3;
  options.server_timeout_ = 9;
  options.request_parameters["k"] = {"ignored", "-9223372036854775808", "int"};
  EXPECT_EQ(Generated(input.get(), options).first,
            R"({"id":"7\"","parameters":{"sequence_id":18446744073709551615,"sequence_start":true,)"
            R"("sequence_end":false,"priority":3,"timeout":9,"binary_data_output":true,)"
            R"("k":-9223372036854775808},"inputs":[{"name":"A","datatype":"INT8","shape":[1],)"
            R"("parameters":{"binary_data_size":1}}]})");
}

TEST(RestRequests, HaveParametersAlsoWhenOutputsAreNamed) {
  const auto input = Input("A", {1}, "INT8");
  const std::vector<uint8_t> one{1};
  input->AppendRaw(one);
  tc::InferRequestedOutput* made = nullptr;
  tc::InferRequestedOutput::Create(&made, "B", 2);
  const std::unique_ptr<tc::InferRequestedOutput> output(made);
  tc::InferOptions options("m");
  options.request_parameters["k"] = {"", "true", "bool"};
  std::vector<char> body;
  size_t head = 0;
  ASSERT_TRUE(
      Client::GenerateRequestBody(&body, &head, options, {input.get()}, {output.get()}).IsOk());
  EXPECT_EQ(std::string(body.data(), head),
            R"({"id":"","parameters":{"k":true},"inputs":[{"name":"A","datatype":"INT8",)"
            R"("shape":[1],"parameters":{"binary_data_size":1}}],"outputs":[{"name":"B",)"
            R"("parameters":{"classification":2,"binary_data":true}}]})");
}

TEST(RestRequests, HaveEachNameOnce) {
  const auto status = [](const tc::InferOptions& options,
                         const std::vector<tc::InferInput*>& inputs) {
    std::vector<char> body;
    size_t head = 0;
    return Client::GenerateRequestBody(&body, &head, options, inputs);
  };
  const tc::InferOptions plain("m");
  for (const size_t count : {size_t{2}, size_t{1000}}) {
    std::vector<std::unique_ptr<tc::InferInput>> owned;
    std::vector<tc::InferInput*> inputs;
    for (size_t i = 0; i < count; ++i) {
      owned.push_back(Input("A" + std::to_string(i), {0}, "INT8"));
      owned.back()->AppendRaw(nullptr, 0);
      inputs.push_back(owned.back().get());
    }
    EXPECT_TRUE(status(plain, inputs).IsOk());
    inputs.push_back(inputs[count / 2]);
    const std::string name = "'A" + std::to_string(count / 2) + "' is given twice";
    EXPECT_NE(status(plain, inputs).Message().find(name), std::string::npos);
  }
  tc::InferOptions options("m");
  options.sequence_id_str_ = "s";
  options.priority_ = 1;
  options.server_timeout_ = 1;
  for (const auto* key : {"sequence_id", "sequence_start", "sequence_end", "priority", "timeout"}) {
    tc::InferOptions both = options;
    both.request_parameters[key] = {"", "1", "int"};
    EXPECT_NE(status(both, {}).Message().find(key), std::string::npos) << key;
    tc::InferOptions alone = plain;
    alone.request_parameters[key] = {"", "1", "int"};
    EXPECT_TRUE(status(alone, {}).IsOk()) << key;
  }
  tc::InferOptions binary = plain;
  binary.request_parameters["binary_data_output"] = {"", "false", "bool"};
  EXPECT_FALSE(status(binary, {}).IsOk());
}

TEST(RestRequests, WriteAllElementsAsJson) {
  const auto input = Input("A", {2, 2}, "FP32");
  const float nan = std::numeric_limits<float>::quiet_NaN();
  const float infinity = std::numeric_limits<float>::infinity();
  const std::vector<float> values{0.1F, -0.0F, nan, -infinity};
  Append(input.get(), values);
  input->SetBinaryData(false);
  const auto [json, rest] = Generated(input.get(), tc::InferOptions("m"));
  EXPECT_NE(json.find(R"("data":[0.1,-0.0,NaN,-Infinity])"), std::string::npos) << json;
  EXPECT_EQ(rest, "");  // what is in the JSON does not follow it again
  const auto strings = Input("A", {2}, "BYTES");
  strings->AppendFromString({"a\n\"\\\x01"});
  strings->AppendFromString({"\xc3\xa9"});
  strings->SetBinaryData(false);
  EXPECT_NE(Generated(strings.get(), tc::InferOptions("m"))
                .first.find("\"data\":[\"a\\n\\\"\\\\\\u0001\",\"\xc3\xa9\"]"),
            std::string::npos);
}

TEST(RestRequests, ThatAreWrongAreRefusedBeforeTheyAreSent) {
  const std::vector<uint8_t> four(4);
  const auto refused = [&](const std::unique_ptr<tc::InferInput>& input, const std::string& word) {
    std::vector<char> body;
    size_t head = 0;
    const tc::Error err =
        Client::GenerateRequestBody(&body, &head, tc::InferOptions("m"), {input.get()});
    EXPECT_EQ(err.Code(), tc::ErrorCode::INVALID_ARGUMENT);
    EXPECT_NE(err.Message().find(word), std::string::npos) << err;
  };
  refused(nullptr, "null");
  auto input = Input("A", {1}, "INT33");
  input->AppendRaw(four);
  refused(input, "INT33");
  input = Input("A", {2}, "INT32");
  input->AppendRaw(four);
  refused(input, "[2]");
  refused(Input("A", {1}, "INT32"), "no data");
  refused(Input("", {1}, "INT32"), "no name");
  refused(Input("A", {-1}, "INT32"), "negative");
  input = Input("A", {1}, "BYTES");
  input->AppendRaw(four.data(), 3);
  refused(input, "within an element");
  input = Input("A", {2}, "BYTES");
  input->AppendFromString({"one"});
  refused(input, "1 elements");
  input = Input("A", {2}, "FP16");
  input->AppendRaw(four);
  input->SetBinaryData(false);
  refused(input, "not supported with JSON");
  EXPECT_FALSE(input->AppendRaw(nullptr, 1).IsOk());
  // An empty tensor needs no data.
  std::vector<char> body;
  size_t head = 0;
  const auto empty = Input("A", {0}, "INT32");
  EXPECT_TRUE(
      Client::GenerateRequestBody(&body, &head, tc::InferOptions("m"), {empty.get()}).IsOk());
  for (const auto& [type, value] : std::map<std::string, std::string>{
           {"int", "x"}, {"int", "9223372036854775808"}, {"bool", "yes"}, {"float", "1"}}) {
    tc::InferOptions options("m");
    options.request_parameters["k"] = {"k", value, type};
    EXPECT_FALSE(Client::GenerateRequestBody(&body, &head, options, {empty.get()}).IsOk());
  }
}

TEST(Inputs, ReferToTheirMemoryAndForgetIt) {
  const auto input = Input("A", {1}, "INT32");
  const uint8_t* data = nullptr;
  size_t size = 1;
  EXPECT_TRUE(input->RawData(&data, &size).IsOk());
  EXPECT_EQ(data, nullptr);
  EXPECT_EQ(size, 0U);
  const std::vector<uint8_t> four(4);
  input->AppendRaw(four);
  input->AppendRaw(std::vector<uint8_t>());
  input->RawData(&data, &size);
  EXPECT_EQ(data, four.data());
  std::string region;
  size_t offset = 0;
  EXPECT_EQ(input->SharedMemoryInfo(&region, &size, &offset).Message(),
            "The input has not been set with the shared memory.");
  input->SetSharedMemory("r", 4, 8);
  EXPECT_TRUE(input->IsSharedMemory());
  EXPECT_TRUE(input->SharedMemoryInfo(&region, &size, &offset).IsOk());
  EXPECT_EQ(offset, 8U);
  input->Reset();
  EXPECT_FALSE(input->IsSharedMemory());
}

TEST(Errors, AreSuccessOrHaveAMessage) {
  EXPECT_TRUE(tc::Error::Success.IsOk());
  EXPECT_TRUE(tc::Error("").IsOk());
  EXPECT_TRUE(tc::Error().IsOk());
  EXPECT_EQ(tc::Error("x").Code(), tc::ErrorCode::UNKNOWN);
  EXPECT_FALSE(tc::Error(tc::ErrorCode::NOT_FOUND, "").IsOk());
  std::ostringstream out;
  out << tc::Error("why") << tc::Error::Success;
  EXPECT_EQ(out.str(), "why");
}
