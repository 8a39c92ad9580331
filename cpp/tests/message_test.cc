// The gRPC messages against what a real Triton took and answered, and against protobuf.
#include <google/protobuf/util/message_differencer.h>

#include <cstring>

#include "grpc_client.h"
#include "infer_message.h"
#include "recordings.h"

namespace tc = triton::client;
using google::protobuf::util::MessageDifferencer;

namespace {

constexpr const char* kSubjects[] = {"infer", "datatypes", "classification", "infer_errors",
                                     "system_shared_memory"};

// A message in slices of so many bytes.
grpc::ByteBuffer Buffer(const std::string& bytes, size_t piece = SIZE_MAX) {
  std::vector<grpc::Slice> slices;
  for (size_t at = 0; at < bytes.size(); at += piece) {
    slices.emplace_back(bytes.substr(at, piece));
    if (piece == SIZE_MAX) break;
  }
  return grpc::ByteBuffer(slices.data(), slices.size());
}

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  buffer.Dump(&slices);
  std::string bytes;
  for (const auto& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

std::unique_ptr<tc::InferResult> Result(const std::string& bytes, size_t piece = SIZE_MAX) {
  return std::unique_ptr<tc::InferResult>(tc::internal::MakeInferResult(Buffer(bytes, piece)));
}

std::string Raw(const tc::InferResult& result, const std::string& name) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  const tc::Error err = result.RawData(name, &data, &size);
  EXPECT_TRUE(err.IsOk()) << err;
  return {reinterpret_cast<const char*>(data), size};
}

// Read all that a result has, so that a sanitizer sees what is out of bounds.
void ReadAll(const tc::InferResult& result, const std::string& name) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  uint8_t sum = 0;
  if (result.RawData(name, &data, &size).IsOk()) {
    for (size_t i = 0; i < size; ++i) sum = static_cast<uint8_t>(sum + data[i]);
  }
  std::vector<std::string> strings;
  result.StringData(name, &strings);
  result.DebugString();
}

}  // namespace

TEST(RpcAnswers, AreReadAsProtobufReadsThem) {
  size_t outputs = 0;
  for (const auto* subject : kSubjects) {
    for (const auto& call : recordings::Rpc(subject)) {
      if (call.method != "ModelInfer" || call.responses.empty()) continue;
      for (const size_t piece : {SIZE_MAX, size_t{1}, size_t{7}}) {
        SCOPED_TRACE(subject + std::string(": ") + call.name + " " + std::to_string(piece));
        inference::ModelInferResponse expected;
        ASSERT_TRUE(expected.ParseFromString(call.responses[0]));
        const auto result = Result(call.responses[0], piece);
        ASSERT_TRUE(result->RequestStatus().IsOk()) << result->RequestStatus();
        std::string text;
        result->ModelName(&text);
        EXPECT_EQ(text, expected.model_name());
        result->Id(&text);
        EXPECT_EQ(text, expected.id());
        EXPECT_EQ(result->DebugString(), expected.DebugString());
        for (int i = 0; i < expected.outputs_size(); ++i) {
          ++outputs;
          const auto& output = expected.outputs(i);
          std::vector<int64_t> shape;
          ASSERT_TRUE(result->Shape(output.name(), &shape).IsOk());
          EXPECT_EQ(shape, std::vector<int64_t>(output.shape().begin(), output.shape().end()));
          result->Datatype(output.name(), &text);
          EXPECT_EQ(text, output.datatype());
          if (i < expected.raw_output_contents_size()) {
            EXPECT_EQ(Raw(*result, output.name()), expected.raw_output_contents(i));
          }
        }
      }
    }
  }
  EXPECT_GT(outputs, 100U);
}

// Requests were recorded with typed contents too: turned into an answer, they must give the raw
// ones.
TEST(RpcAnswers, HaveTheSameBytesFromTypedContents) {
  std::map<std::string, std::string> raw;
  size_t compared = 0;
  for (const auto& call : recordings::Rpc("datatypes")) {
    inference::ModelInferRequest request;
    ASSERT_TRUE(request.ParseFromString(call.requests.at(0)));
    if (request.inputs_size() != 1) continue;
    const auto& input = request.inputs(0);
    if (request.raw_input_contents_size() == 1) {
      raw.emplace(input.datatype(), request.raw_input_contents(0));
      continue;
    }
    if (raw.count(input.datatype()) == 0 || call.name != input.datatype() + " typed") continue;
    inference::ModelInferResponse response;
    auto* output = response.add_outputs();
    output->set_name("A");
    output->set_datatype(input.datatype());
    *output->mutable_shape() = input.shape();
    *output->mutable_contents() = input.contents();
    const auto result = Result(response.SerializeAsString());
    ASSERT_TRUE(result->RequestStatus().IsOk()) << call.name << result->RequestStatus();
    EXPECT_EQ(Raw(*result, "A"), raw[input.datatype()]) << call.name;
    ++compared;
  }
  EXPECT_GE(compared, 11U);
}

TEST(RpcAnswers, ThatAreCutOrChangedAreReadWithinTheirBounds) {
  for (const auto& call : recordings::Rpc("infer")) {
    if (call.responses.empty() || call.method != "ModelInfer") continue;
    const std::string& bytes = call.responses[0];
    for (size_t i = 0; i < bytes.size(); ++i) {
      ReadAll(*Result(bytes.substr(0, i), 5), "OUTPUT0");
      std::string changed = bytes;
      changed[i] = static_cast<char>(changed[i] ^ 0x81);
      ReadAll(*Result(changed), "OUTPUT0");
      ReadAll(*Result(changed, 3), "OUTPUT0");
    }
  }
}

TEST(RpcAnswers, WithTooFewContentsAreErrors) {
  inference::ModelInferResponse response;
  for (const auto* name : {"A", "B"}) {
    auto* output = response.add_outputs();
    output->set_name(name);
    output->set_datatype("INT8");
    output->add_shape(1);
  }
  response.add_raw_output_contents("1");
  EXPECT_EQ(Result(response.SerializeAsString())->RequestStatus().Code(), tc::ErrorCode::DATA_LOSS);
  response.add_raw_output_contents("2");
  EXPECT_TRUE(Result(response.SerializeAsString())->RequestStatus().IsOk());
  response.add_raw_output_contents("3");
  EXPECT_FALSE(Result(response.SerializeAsString())->RequestStatus().IsOk());
  response.mutable_raw_output_contents()->RemoveLast();
  response.mutable_outputs(0)->add_shape(2);
  EXPECT_FALSE(Result(response.SerializeAsString())->RequestStatus().IsOk());
}

TEST(RpcAnswers, HaveOutputsWithinTheirBytes) {
  const auto status = [](const char* datatype, const std::vector<int64_t>& shape,
                         const std::string& raw) {
    inference::ModelInferResponse response;
    auto* output = response.add_outputs();
    output->set_name("A");
    output->set_datatype(datatype);
    for (const int64_t dim : shape) output->add_shape(dim);
    response.add_raw_output_contents(raw);
    const auto result = Result(response.SerializeAsString());
    std::vector<std::string> strings;
    const tc::Error err = result->StringData("A", &strings);
    const bool is_bytes = std::string(datatype) == "BYTES";
    return result->RequestStatus().IsOk() && is_bytes ? err : result->RequestStatus();
  };
  const std::string one("\x01\0\0\0a", 5);
  EXPECT_TRUE(status("INT32", {2}, "12345678").IsOk());
  EXPECT_TRUE(status("INT32", {0, INT64_MAX, 9}, "").IsOk());
  EXPECT_TRUE(status("BYTES", {1, 1}, one).IsOk());
  EXPECT_TRUE(status("BYTES", {2}, "").IsOk());  // it may be in shared memory
  for (const auto& shape : std::vector<std::vector<int64_t>>{
           {-1}, {-1, -2}, {INT64_MIN}, {INT64_MAX, 2}, {INT64_C(1) << 32, INT64_C(1) << 32}}) {
    for (const auto* datatype : {"INT32", "BYTES", "NONE", ""}) {
      EXPECT_FALSE(status(datatype, shape, "12345678").IsOk());
      EXPECT_FALSE(status(datatype, shape, "").IsOk());
    }
  }
  EXPECT_FALSE(status("INT32", {3}, "12345678").IsOk());
  for (const std::vector<int64_t>& shape : {std::vector<int64_t>{2}, {0}, {INT64_MAX}}) {
    EXPECT_FALSE(status("BYTES", shape, one).IsOk()) << shape[0];
  }
  EXPECT_FALSE(status("BYTES", {1}, one.substr(0, 4)).IsOk());
  EXPECT_FALSE(status("BYTES", {1}, "\xff\xff\xff\xff").IsOk());
}

TEST(RpcAnswers, OfStreamsHaveErrorsAndIds) {
  inference::ModelStreamInferResponse response;
  response.set_error_message("no");
  response.mutable_infer_response()->set_id("7");
  const std::unique_ptr<tc::InferResult> result(
      tc::internal::MakeStreamResult(Buffer(response.SerializeAsString())));
  EXPECT_EQ(result->RequestStatus().Message(), "no");
  std::string id;
  EXPECT_TRUE(result->Id(&id).IsOk());
  EXPECT_EQ(id, "7");
  size_t finals = 0;
  for (const auto& call : recordings::Rpc("decoupled")) {
    for (const auto& bytes : call.responses) {
      const std::unique_ptr<tc::InferResult> each(tc::internal::MakeStreamResult(Buffer(bytes, 4)));
      bool is_final = false;
      bool is_null = false;
      EXPECT_TRUE(each->IsFinalResponse(&is_final).IsOk());
      EXPECT_TRUE(each->IsNullResponse(&is_null).IsOk());
      inference::ModelStreamInferResponse expected;
      ASSERT_TRUE(expected.ParseFromString(bytes));
      const auto& parameters = expected.infer_response().parameters();
      const auto found = parameters.find("triton_final_response");
      EXPECT_EQ(is_final, found == parameters.end() || found->second.bool_param());
      if (is_final) ++finals;
    }
  }
  EXPECT_GT(finals, 0U);
}

TEST(RpcRequests, MeanWhatWasRecorded) {
  // These have what a client never writes: parameters without a meaning, fields that nobody knows,
  // and contents of an input that is in shared memory.
  const std::vector<std::string> odd{"parameters of an input", "binary flag of an output",
                                     "unknown fields", "a group",
                                     "infer with an entry for each input"};
  size_t compared = 0;
  for (const auto* subject : kSubjects) {
    for (const auto& call : recordings::Rpc(subject)) {
      if (call.method != "ModelInfer" || call.responses.empty()) continue;
      SCOPED_TRACE(subject + std::string(": ") + call.name);
      inference::ModelInferRequest expected;
      ASSERT_TRUE(expected.ParseFromString(call.requests[0]));
      if (expected.raw_input_contents_size() != expected.inputs_size() ||
          expected.parameters_size() != 0 ||
          std::find(odd.begin(), odd.end(), call.name) != odd.end()) {
        continue;
      }
      std::vector<std::unique_ptr<tc::InferInput>> inputs;
      std::vector<tc::InferInput*> pointers;
      for (int i = 0; i < expected.inputs_size(); ++i) {
        const auto& tensor = expected.inputs(i);
        tc::InferInput* input = nullptr;
        tc::InferInput::Create(&input, tensor.name(),
                               {tensor.shape().begin(), tensor.shape().end()}, tensor.datatype());
        inputs.emplace_back(input);
        pointers.push_back(input);
        const auto& raw = expected.raw_input_contents(i);
        input->AppendRaw(reinterpret_cast<const uint8_t*>(raw.data()), raw.size());
      }
      std::vector<std::unique_ptr<tc::InferRequestedOutput>> outputs;
      std::vector<const tc::InferRequestedOutput*> wanted;
      for (const auto& tensor : expected.outputs()) {
        const auto& parameters = tensor.parameters();
        const auto classes = parameters.find("classification");
        tc::InferRequestedOutput* output = nullptr;
        tc::InferRequestedOutput::Create(
            &output, tensor.name(),
            classes == parameters.end() ? 0 : static_cast<size_t>(classes->second.int64_param()));
        const auto region = parameters.find("shared_memory_region");
        if (region != parameters.end()) {
          const auto offset = parameters.find("shared_memory_offset");
          output->SetSharedMemory(
              region->second.string_param(),
              static_cast<size_t>(parameters.at("shared_memory_byte_size").int64_param()),
              offset == parameters.end() ? 0 : static_cast<size_t>(offset->second.int64_param()));
        }
        outputs.emplace_back(output);
        wanted.push_back(output);
      }
      tc::InferOptions options(expected.model_name());
      options.model_version_ = expected.model_version();
      options.request_id_ = expected.id();
      grpc::ByteBuffer message;
      std::shared_ptr<tc::internal::Loan> loan;
      const tc::Error err =
          tc::internal::BuildInferMessage(&message, &loan, options, pointers, wanted);
      ASSERT_TRUE(err.IsOk()) << err;
      inference::ModelInferRequest ours;
      ASSERT_TRUE(ours.ParseFromString(Bytes(message)));
      EXPECT_TRUE(MessageDifferencer::Equals(ours, expected))
          << ours.DebugString() << expected.DebugString();
      ++compared;
    }
  }
  EXPECT_GT(compared, 20U);
}

TEST(RpcRequests, LendLargeTensorsAndTakeThemBack) {
  const std::vector<uint8_t> large(1 << 20, 7);
  const std::vector<uint8_t> small(8, 9);
  tc::InferInput* input = nullptr;
  tc::InferInput::Create(&input, "A", {(1 << 20) + 8}, "UINT8");
  const std::unique_ptr<tc::InferInput> owner(input);
  input->AppendRaw(large);
  input->AppendRaw(small);
  grpc::ByteBuffer message;
  std::shared_ptr<tc::internal::Loan> loan;
  ASSERT_TRUE(
      tc::internal::BuildInferMessage(&message, &loan, tc::InferOptions("m"), {input}, {}).IsOk());
  {
    std::vector<grpc::Slice> slices;
    message.Dump(&slices);
    bool lent = false;
    for (const auto& slice : slices) lent = lent || slice.begin() == large.data();
    EXPECT_TRUE(lent);
    inference::ModelInferRequest request;
    ASSERT_TRUE(request.ParseFromString(Bytes(message)));
    EXPECT_EQ(request.raw_input_contents(0).size(), large.size() + small.size());
    ASSERT_NE(loan, nullptr);
    EXPECT_FALSE(loan->WaitFor(std::chrono::milliseconds(1)));
  }
  message.Clear();
  EXPECT_TRUE(loan->WaitFor(std::chrono::milliseconds(1)));
}

TEST(RpcRequests, CarryParameters) {
  tc::InferOptions options("m");
  options.sequence_id_str_ = "s";
  options.sequence_end_ = true;
  options.priority_ = 5;
  options.server_timeout_ = 6;
  options.triton_enable_empty_final_response_ = true;
  options.request_parameters["i"] = {"", "-1", "int"};
  options.request_parameters["b"] = {"", "true", "bool"};
  options.request_parameters["s"] = {"", "text", "string"};
  grpc::ByteBuffer message;
  std::shared_ptr<tc::internal::Loan> loan;
  ASSERT_TRUE(tc::internal::BuildInferMessage(&message, &loan, options, {}, {}).IsOk());
  inference::ModelInferRequest request;
  ASSERT_TRUE(request.ParseFromString(Bytes(message)));
  const auto& parameters = request.parameters();
  EXPECT_EQ(parameters.size(), 9U);
  EXPECT_EQ(parameters.at("sequence_id").string_param(), "s");
  EXPECT_TRUE(parameters.at("sequence_end").bool_param());
  EXPECT_EQ(parameters.at("sequence_start").parameter_choice_case(),
            inference::InferParameter::kBoolParam);
  EXPECT_EQ(parameters.at("priority").uint64_param(), 5U);
  EXPECT_EQ(parameters.at("timeout").int64_param(), 6);
  EXPECT_TRUE(parameters.at("triton_enable_empty_final_response").bool_param());
  EXPECT_EQ(parameters.at("i").int64_param(), -1);
  EXPECT_TRUE(parameters.at("b").bool_param());
  EXPECT_EQ(parameters.at("s").string_param(), "text");
}
