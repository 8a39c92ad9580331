// Sends three sequences whose steps take turns, one request after the other.
#include "protocol.h"
#include "sequences.h"

int main(int argc, char** argv) {
  example::Flags flags(example::kDefaultUrl);
  bool dynamic = false;
  int offset = 0;
  flags.Switch("d", &dynamic, "use the models that take any id of a sequence");
  flags.Number("o", &offset, "offset of the ids, so that several programs may run");
  flags.Parse(argc, argv);
  const auto client = example::Connect(flags);

  const example::SequenceModels models(dynamic);
  auto sequences = example::Sequences(models, offset);
  for (size_t step = 0; step < sequences.front().values.size(); ++step) {
    for (auto& sequence : sequences) {
      const std::vector<int32_t> value{sequence.values[step]};
      const auto input = example::Input("INPUT", {1, 1}, "INT32", value);
      tc::InferResult* result = nullptr;
      example::Check(
          client->Infer(&result, sequence.Options(step), {input.get()}, {}, flags.headers),
          "unable to run model");
      const std::unique_ptr<tc::InferResult> owner(result);
      sequence.results.push_back(example::ResultOf(*result));
    }
  }
  example::CheckSequences(sequences, models, offset);
  return 0;
}
