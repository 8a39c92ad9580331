// Several inferences as one, the same over both protocols.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "tensors.h"
#include "triton/client/client.h"

namespace triton::client::internal {

using Outputs = std::vector<const InferRequestedOutput*>;

/// The arguments of the i-th of several inferences.
struct MultiArguments {
  const std::vector<InferOptions>& options;
  const std::vector<std::vector<InferInput*>>& inputs;
  const std::vector<Outputs>& outputs;

  const InferOptions& Options(size_t i) const { return options[options.size() == 1 ? 0 : i]; }
  const Outputs& OutputsOf(size_t i) const {
    static const Outputs* const all = new Outputs();
    return outputs.empty() ? *all : outputs[outputs.size() == 1 ? 0 : i];
  }
};

/// Run inferences one after the other, up to the first that fails.
template <typename InferOne>
Error InferEach(std::vector<InferResult*>* results, const MultiArguments& arguments,
                InferOne&& infer) {
  if (results == nullptr) return Invalid("'results' is null");
  const size_t count = arguments.inputs.size();
  Error err = CheckMulti(arguments.options.size(), count, arguments.outputs.size());
  for (size_t i = 0; err.IsOk() && i < count; ++i) {
    InferResult* result = nullptr;
    err = infer(&result, arguments.Options(i), arguments.inputs[i], arguments.OutputsOf(i));
    if (result != nullptr) results->push_back(result);
  }
  return err;
}

/// Begin several inferences; the callback runs once, on the dispatcher's thread.
/// @param fail makes the result of an inference that could not begin.
/// @param post runs a function on the dispatcher's thread.
template <typename StartOne, typename Fail, typename Post>
Error StartEach(const InferenceServerClient::OnMultiCompleteFn& callback,
                const MultiArguments& arguments, std::vector<CallContext*>* contexts,
                StartOne&& start, Fail&& fail, Post&& post) {
  if (contexts != nullptr) contexts->clear();
  if (callback == nullptr) {
    return Invalid("Callback function must be provided along with AsyncInferMulti() call.");
  }
  const size_t count = arguments.inputs.size();
  if (Error err = CheckMulti(arguments.options.size(), count, arguments.outputs.size());
      !err.IsOk()) {
    return err;
  }
  struct Gathered {
    std::vector<InferResult*> results;
    std::atomic<size_t> missing;
    InferenceServerClient::OnMultiCompleteFn callback;
  };
  auto gathered = std::make_shared<Gathered>();
  gathered->results.resize(count);
  gathered->missing = count + 1;  // one for this function
  gathered->callback = callback;
  const auto done = [gathered] {
    if (gathered->missing.fetch_sub(1) == 1) gathered->callback(std::move(gathered->results));
  };
  for (size_t i = 0; i < count; ++i) {
    const auto one = [gathered, done, i](InferResult* result) {
      gathered->results[i] = result;
      done();
    };
    CallContext* context = nullptr;
    Error err = start(one, arguments.Options(i), arguments.inputs[i], arguments.OutputsOf(i),
                      contexts == nullptr ? nullptr : &context);
    if (contexts != nullptr) {
      contexts->push_back(context != nullptr ? context : new CallContext(nullptr));
    }
    if (!err.IsOk()) {
      gathered->results[i] = fail(err);
      gathered->missing.fetch_sub(1);
    }
  }
  // The callback never runs on the caller's thread, which may hold a lock that it takes too.
  post(done);
  return Error::Success;
}

}  // namespace triton::client::internal
