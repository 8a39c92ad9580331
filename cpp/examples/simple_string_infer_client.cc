// Sends numbers as strings: tensors of BYTES.
#include "protocol.h"

namespace {

std::vector<std::string> Strings(const tc::InferResult& result, const std::string& name) {
  std::vector<int64_t> shape;
  example::Check(result.Shape(name, &shape), "unable to get shape for '" + name + "'");
  if (shape != std::vector<int64_t>{1, 16}) example::Fail("received incorrect shapes");
  std::vector<std::string> strings;
  example::Check(result.StringData(name, &strings), "unable to get '" + name + "'");
  if (strings.size() != 16) example::Fail("received incorrect number of strings");
  return strings;
}

}  // namespace

int main(int argc, char** argv) {
  example::Flags flags(example::kDefaultUrl);
  uint64_t timeout = 0;
  bool json_input = false;
  bool json_output = false;
  flags.Number("t", &timeout, "client timeout in microseconds");
#ifndef EXAMPLE_GRPC
  flags.Switch("json-input-data", &json_input, "send the inputs as JSON");
  flags.Switch("json-output-data", &json_output, "ask for the outputs as JSON");
#endif
  flags.Parse(argc, argv);
  const auto client = example::Connect(flags);

  std::vector<std::string> numbers;
  for (int i = 0; i < 16; ++i) numbers.push_back(std::to_string(i));
  const std::vector<std::string> ones(16, "1");
  const auto input0 = example::Input("INPUT0", {1, 16}, "BYTES");
  const auto input1 = example::Input("INPUT1", {1, 16}, "BYTES");
  example::Check(input0->AppendFromString(numbers), "unable to set data for INPUT0");
  example::Check(input1->AppendFromString(ones), "unable to set data for INPUT1");
  const auto output0 = example::Output("OUTPUT0");
  const auto output1 = example::Output("OUTPUT1");
  for (auto* input : {input0.get(), input1.get()}) {
    example::Check(input->SetBinaryData(!json_input), "unable to choose the input's form");
  }
  for (auto* output : {output0.get(), output1.get()}) {
    example::Check(output->SetBinaryData(!json_output), "unable to choose the output's form");
  }
  tc::InferOptions options("simple_string");
  options.client_timeout_ = timeout;

  tc::InferResult* result = nullptr;
  example::Check(client->Infer(&result, options, {input0.get(), input1.get()},
                               {output0.get(), output1.get()}, flags.headers),
                 "unable to run model");
  const std::unique_ptr<tc::InferResult> owner(result);
  const auto sums = Strings(*result, "OUTPUT0");
  const auto differences = Strings(*result, "OUTPUT1");
  for (int i = 0; i < 16; ++i) {
    const auto at = static_cast<size_t>(i);
    std::cout << i << " + 1 = " << sums[at] << std::endl;
    std::cout << i << " - 1 = " << differences[at] << std::endl;
    if (sums[at] != std::to_string(i + 1)) example::Fail("incorrect sum");
    if (differences[at] != std::to_string(i - 1)) example::Fail("incorrect difference");
  }
  std::cout << result->DebugString() << std::endl;
  std::cout << "PASS : String Infer" << std::endl;
  return 0;
}
