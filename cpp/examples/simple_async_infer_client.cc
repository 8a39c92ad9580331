// Begins inferences without waiting for them: two at once, and one whose result the main thread
// reads.
#include "protocol.h"

int main(int argc, char** argv) {
  example::Flags flags(example::kDefaultUrl);
  uint64_t timeout = 0;
  flags.Number("t", &timeout, "client timeout in microseconds");
  flags.Parse(argc, argv);

  // What the callbacks use is declared before the client, and so outlives it.
  const example::SimpleInputs data;
  std::mutex mutex;
  std::condition_variable changed;
  size_t done = 0;
  std::unique_ptr<tc::InferResult> deferred;
  const auto client = example::Connect(flags);

  const auto input0 = example::Input("INPUT0", {1, 16}, "INT32", data.input0);
  const auto input1 = example::Input("INPUT1", {1, 16}, "INT32", data.input1);
  const auto output0 = example::Output("OUTPUT0");
  const auto output1 = example::Output("OUTPUT1");
  const std::vector<tc::InferInput*> inputs{input0.get(), input1.get()};
  const std::vector<const tc::InferRequestedOutput*> outputs{output0.get(), output1.get()};
  tc::InferOptions options("simple");
  options.client_timeout_ = timeout;

  constexpr size_t kRequests = 2;
  for (size_t i = 0; i < kRequests; ++i) {
    example::Check(client->AsyncInfer(
                       [&, i](tc::InferResult* result) {
                         const std::unique_ptr<tc::InferResult> owner(result);
                         example::Check(result->RequestStatus(), "inference failed");
                         std::cout << "Callback no." << i << " is called" << std::endl;
                         example::CheckSimple(*result, data);
                         const std::lock_guard<std::mutex> lock(mutex);
                         ++done;
                         changed.notify_all();
                       },
                       options, inputs, outputs, flags.headers),
                   "unable to run model");
  }
  {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return done == kRequests; });
  }
  std::cout << "All done" << std::endl;

  example::Check(client->AsyncInfer(
                     [&](tc::InferResult* result) {
                       const std::lock_guard<std::mutex> lock(mutex);
                       deferred.reset(result);
                       changed.notify_all();
                     },
                     options, inputs, outputs, flags.headers),
                 "unable to run model");
  {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return deferred != nullptr; });
  }
  std::cout << "Getting results from deferred response" << std::endl;
  example::Check(deferred->RequestStatus(), "inference failed");
  example::CheckSimple(*deferred, data);

  example::ShowStatistics(*client);
  std::cout << "PASS : Async Infer" << std::endl;
  return 0;
}
