// Sends three sequences whose steps take turns, over one stream.
#include "grpc_client.h"
#include "sequences.h"

int main(int argc, char** argv) {
  example::Flags flags("localhost:8001");
  bool dynamic = false;
  int offset = 0;
  uint32_t timeout = 0;
  flags.Switch("d", &dynamic, "use the models that take any id of a sequence");
  flags.Number("o", &offset, "offset of the ids, so that several programs may run");
  flags.Number("t", &timeout, "timeout of the stream in microseconds");
  flags.Parse(argc, argv);

  const example::SequenceModels models(dynamic);
  auto sequences = example::Sequences(models, offset);
  const size_t steps = sequences.front().values.size();
  // What the callback uses is declared before the client, and so outlives it.
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::unique_ptr<tc::InferResult>> results;
  std::unique_ptr<tc::InferenceServerGrpcClient> client;
  example::Check(tc::InferenceServerGrpcClient::Create(&client, flags.url, flags.verbose),
                 "unable to create grpc client");
  example::Check(client->StartStream(
                     [&](tc::InferResult* result) {
                       const std::lock_guard<std::mutex> lock(mutex);
                       results.emplace_back(result);
                       changed.notify_all();
                     },
                     false, timeout, flags.headers),
                 "unable to establish a streaming connection to server");
  for (size_t step = 0; step < steps; ++step) {
    for (size_t i = 0; i < sequences.size(); ++i) {
      const std::vector<int32_t> value{sequences[i].values[step]};
      const auto input = example::Input("INPUT", {1, 1}, "INT32", value);
      auto options = sequences[i].Options(step);
      options.request_id_ = std::to_string(i) + "_" + std::to_string(step);
      example::Check(client->AsyncStreamInfer(options, {input.get()}), "unable to run model");
    }
  }
  {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] {
      return results.size() >= steps * sequences.size() ||
             (!results.empty() && !results.back()->RequestStatus().IsOk());
    });
  }
  example::Check(client->StopStream(), "unable to stop the stream");
  for (const auto& result : results) {
    example::Check(result->RequestStatus(), "failed inference request");
    std::string id;
    example::Check(result->Id(&id), "unable to get request id for response");
    const auto i = static_cast<size_t>(std::stoul(id.substr(0, id.find('_'))));
    sequences.at(i).results.push_back(example::ResultOf(*result));
  }
  example::CheckSequences(sequences, models, offset);
  return 0;
}
