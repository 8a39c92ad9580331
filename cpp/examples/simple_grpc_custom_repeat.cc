// A model that sends several responses to each request.
#include "example.h"
#include "grpc_client.h"

int main(int argc, char** argv) {
  example::Flags flags("localhost:8001");
  size_t requests = 1;
  size_t responses = 1;
  int32_t offset = 100;
  uint32_t delay_us = 1000;
  uint32_t wait_us = 500;
  flags.Number("r", &requests, "how many requests to send");
  flags.Number("s", &responses, "how many responses to ask for in each");
  flags.Number("o", &offset, "first value");
  flags.Number("d", &delay_us, "microseconds before each response");
  flags.Number("w", &wait_us, "microseconds before the request is given back");
  flags.Parse(argc, argv);
  if (responses == 0) flags.Usage("-s is at least 1");

  // What the callback uses is declared before the client, and so outlives it.
  std::mutex mutex;
  std::condition_variable changed;
  std::map<std::string, std::vector<int32_t>> received;
  size_t count = 0;
  std::unique_ptr<tc::InferenceServerGrpcClient> client;
  example::Check(tc::InferenceServerGrpcClient::Create(&client, flags.url, flags.verbose),
                 "unable to create grpc client");
  // Statistics count one response to a request.
  example::Check(client->StartStream(
                     [&](tc::InferResult* result) {
                       const std::unique_ptr<tc::InferResult> owner(result);
                       example::Check(result->RequestStatus(), "failed inference request");
                       std::string id;
                       example::Check(result->Id(&id), "unable to get request id");
                       const uint8_t* data = nullptr;
                       size_t size = 0;
                       example::Check(result->RawData("OUT", &data, &size), "unable to get 'OUT'");
                       if (size != sizeof(int32_t)) example::Fail("incorrect size of 'OUT'");
                       int32_t value = 0;
                       std::memcpy(&value, data, sizeof(value));
                       const std::lock_guard<std::mutex> lock(mutex);
                       received[id].push_back(value);
                       ++count;
                       changed.notify_all();
                     },
                     false, 0, flags.headers),
                 "unable to establish a streaming connection to server");

  std::vector<int32_t> values(responses);
  for (size_t i = 0; i < responses; ++i) values[i] = offset + static_cast<int32_t>(i);
  const std::vector<uint32_t> delays(responses, delay_us / 1000);
  const std::vector<uint32_t> wait{wait_us / 1000};
  const auto length = static_cast<int64_t>(responses);
  const auto in = example::Input("IN", {length}, "INT32", values);
  const auto delay = example::Input("DELAY", {length}, "UINT32", delays);
  const auto waiting = example::Input("WAIT", {1}, "UINT32", wait);
  for (size_t i = 0; i < requests; ++i) {
    tc::InferOptions options("repeat_int32");
    options.request_id_ = std::to_string(i);
    example::Check(client->AsyncStreamInfer(options, {in.get(), delay.get(), waiting.get()}),
                   "unable to run model");
  }
  {
    std::unique_lock<std::mutex> lock(mutex);
    changed.wait(lock, [&] { return count == requests * responses; });
  }
  example::Check(client->StopStream(), "unable to stop the stream");
  for (size_t i = 0; i < requests; ++i) {
    if (received[std::to_string(i)] != values) {
      example::Fail("incorrect responses to request " + std::to_string(i));
    }
  }
  return 0;
}
