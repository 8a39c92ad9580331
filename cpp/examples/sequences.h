// What the sequence programs share: the values of their sequences and what must come back.
#pragma once

#include "example.h"

namespace example {

/// The models of the program.
struct SequenceModels {
  explicit SequenceModels(bool dynamic)
      : dynamic_ids(dynamic),
        number(dynamic ? "simple_dyna_sequence" : "simple_sequence"),
        text(dynamic ? "simple_string_dyna_sequence" : "simple_sequence") {}
  bool dynamic_ids;
  std::string number;
  std::string text;
};

/// One sequence: its start value, then the values that all have.
struct Sequence {
  std::string model;
  uint64_t id = 0;
  std::string text_id;
  std::vector<int32_t> values;
  std::vector<int32_t> results;

  tc::InferOptions Options(size_t step) const {
    tc::InferOptions options(model);
    options.sequence_id_ = id;
    options.sequence_id_str_ = text_id;
    options.sequence_start_ = step == 0;
    options.sequence_end_ = step + 1 == values.size();
    return options;
  }
};

/// Return the three sequences: two with numbers for ids, one with a text.
inline std::vector<Sequence> Sequences(const SequenceModels& models, int offset) {
  const std::vector<int32_t> values{11, 7, 5, 3, 2, 0, 1};
  const auto number = static_cast<uint64_t>(2 * offset);
  std::vector<Sequence> sequences{
      {models.number, 1 + number, "", {0}, {}},
      {models.number, 2 + number, "", {100}, {}},
      {models.text, 0, models.dynamic_ids ? std::to_string(3 + number) : "SEQ-3", {20}, {}},
  };
  for (auto& sequence : sequences) {
    sequence.values.insert(sequence.values.end(), values.begin(), values.end());
  }
  return sequences;
}

/// Return the result of a step.
inline int32_t ResultOf(const tc::InferResult& result) {
  const uint8_t* data = nullptr;
  size_t size = 0;
  Check(result.RawData("OUTPUT", &data, &size), "unable to get 'OUTPUT'");
  if (size != sizeof(int32_t)) {
    Fail("received incorrect byte size for 'OUTPUT': " + std::to_string(size));
  }
  int32_t value = 0;
  std::memcpy(&value, data, sizeof(value));
  return value;
}

/// Print the results; end the program when one is wrong.
inline void CheckSequences(const std::vector<Sequence>& sequences, const SequenceModels& models,
                           int offset) {
  for (size_t step = 0; step < sequences.front().values.size(); ++step) {
    std::cout << "[" << step << "] ";
    for (size_t i = 0; i < sequences.size(); ++i) {
      std::cout << (i > 0 ? " : " : "") << sequences[i].results[step];
    }
    std::cout << std::endl;
  }
  // The models answer with the value, plus 1 at the start. Those of dynamic ids add the id at the
  // end, and the one whose ids are texts answers with the sum so far.
  for (size_t i = 0; i < sequences.size(); ++i) {
    const auto& sequence = sequences[i];
    const bool sums = models.dynamic_ids && i == 2;
    int32_t sum = 0;
    for (size_t step = 0; step < sequence.values.size(); ++step) {
      sum += sequence.values[step];
      int32_t expected = sums ? sum : sequence.values[step] + (step == 0 ? 1 : 0);
      if (models.dynamic_ids && step + 1 == sequence.values.size()) {
        expected += static_cast<int32_t>(i) + 1 + 2 * offset;
      }
      if (sequence.results[step] != expected) {
        Fail("sequence " + std::to_string(i) + ", step " + std::to_string(step) + ": expected " +
             std::to_string(expected) + ", received " + std::to_string(sequence.results[step]));
      }
    }
  }
}

}  // namespace example
