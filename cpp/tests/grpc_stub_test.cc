// The gRPC client against a server that misbehaves, from many threads, and in its last moments.
#include "grpc_stub.h"

#include "calls.h"
#include "grpc_client.h"
#include "stub.h"

namespace tc = triton::client;
using Client = tc::InferenceServerGrpcClient;
using calls::ExpectIn;
using calls::ExpectTimeout;
using calls::Infer;
using calls::Input;
using calls::Options;
using grpc_stub::AnswerIdentity;
using grpc_stub::Server;
using grpc_stub::Stall;
using grpc_stub::Then;
using stub::Event;

namespace {

constexpr auto* Connect = calls::Connect<Client>;

// Collects the results of a stream.
class Results {
 public:
  tc::InferenceServerClient::OnCompleteFn Callback() {
    return [this](tc::InferResult* result) {
      const std::lock_guard<std::mutex> lock(mutex_);
      results_.emplace_back(result);
      changed_.notify_all();
    };
  }
  bool WaitFor(size_t count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, stub::kPatience, [&] { return results_.size() >= count; });
  }
  const std::vector<std::unique_ptr<tc::InferResult>>& all() const { return results_; }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<std::unique_ptr<tc::InferResult>> results_;
};

}  // namespace

TEST(GrpcClient, SendsTensorsOfAllSizesWhole) {
  const Server server(AnswerIdentity);
  const auto client = Connect(server.Url());
  for (const size_t size : {size_t{0}, size_t{1}, size_t{16384}, size_t{16385}, size_t{9000000}}) {
    std::vector<uint8_t> tensor(size);
    for (size_t i = 0; i < size; ++i) tensor[i] = static_cast<uint8_t>(i * 7);
    const auto input = tc::InferInput::Make("A", {static_cast<int64_t>(size)}, tensor.data(), size);
    auto outcome = tc::InferSync(*client, Options(), {input.get()});
    ASSERT_TRUE(outcome.error.IsOk()) << outcome.error;
    tc::TensorView<uint8_t> view;
    ASSERT_TRUE(outcome.result->As("B", &view).IsOk());
    EXPECT_TRUE(std::equal(view.begin(), view.end(), tensor.begin(), tensor.end())) << size;
  }
  const auto input = Input(100000);
  for (const auto compression : {GRPC_COMPRESS_GZIP, GRPC_COMPRESS_DEFLATE}) {
    tc::InferResult* result = nullptr;
    const tc::Error err = client->Infer(&result, Options(), {input.get()}, {}, {}, compression);
    EXPECT_TRUE(err.IsOk()) << err;
    delete result;
  }
}

TEST(GrpcClient, SaysWhatTheServerSaid) {
  const Server server(
      [](const std::string&, const std::string&, std::string*, grpc::Status* status) {
        *status = grpc::Status(grpc::StatusCode::NOT_FOUND, "in its words");
        return Then::FAIL;
      });
  const auto client = Connect(server.Url());
  const auto input = Input();
  tc::InferResult* result = nullptr;
  const tc::Error err = client->Infer(&result, Options(), {input.get()});
  const std::unique_ptr<tc::InferResult> owner(result);
  EXPECT_EQ(err.Message(), "in its words");
  EXPECT_EQ(err.Code(), tc::ErrorCode::NOT_FOUND);
  EXPECT_EQ(err.Url(), server.Url());
  std::string text;
  EXPECT_EQ(result->ModelName(&text).Message(), "in its words");
  EXPECT_EQ(result->Id(&text).Message(), "in its words");
  bool live = true;
  EXPECT_FALSE(client->IsServerLive(&live).IsOk());
  EXPECT_FALSE(live);
}

TEST(GrpcClient, ReadsAnyBytes) {
  std::string bytes;
  const Server server(
      [&](const std::string&, const std::string&, std::string* answer, grpc::Status*) {
        *answer = bytes;
        return Then::ANSWER;
      });
  const auto client = Connect(server.Url());
  for (const std::string each :
       {"\xff", "\x0a\x7f", "2\xff\xff\xff\xff\xff\xff\xff\xff\x7f", "*\x02\x0a\x05", "2\x01x"}) {
    bytes = each;
    EXPECT_EQ(Infer(client.get()).Code(), tc::ErrorCode::DATA_LOSS);
  }
}

TEST(GrpcClient, NamesTheUrlOfALostConnection) {
  const auto client = Connect("127.0.0.1:1");
  const tc::Error err = Infer(client.get());
  EXPECT_EQ(err.Code(), tc::ErrorCode::UNAVAILABLE);
  ExpectIn("127.0.0.1:1", err);
}

TEST(GrpcClient, EndsCallsAtTheirDeadline) {
  const Server server(Stall);
  const auto client = Connect(server.Url());
  for (const size_t size : {size_t{4}, size_t{64} << 20}) {
    ExpectTimeout(Infer(client.get(), 200000, size));
  }
  bool live = false;
  ExpectIn("Deadline Exceeded", client->IsServerLive(&live, {}, 1000));
  ExpectTimeout(calls::InferLater(client.get(), 100000));
}

TEST(GrpcClient, LimitsCallsThatHaveNoTimeoutOfTheirOwn) {
  const Server server(Stall);
  const auto client = Connect(server.Url());
  client->SetClientTimeout(100000);
  calls::ExpectTimeoutOfAllCalls(client.get());
  bool live = true;
  inference::RepositoryIndexResponse index;
  ExpectTimeout(client->IsServerLive(&live));
  EXPECT_FALSE(live);
  ExpectTimeout(client->ModelRepositoryIndex(&index));
  ExpectTimeout(client->LoadModel("m"));
  ExpectTimeout(client->LoadModel("m", {}, "", {{"file:1/m", std::vector<char>(1 << 20)}}));
  ExpectTimeout(client->UnregisterSystemSharedMemory());
  client->SetClientTimeout(3600000000);
  ExpectTimeout(client->IsServerLive(&live, {}, 1000));  // its own limit wins
}

// Grants a huge window and then reads nothing: the kernel's buffers fill up, and gRPC keeps the
// request until the connection is closed.
void TakeNothing(const stub::Peer& peer) {
  // SETTINGS_INITIAL_WINDOW_SIZE, and WINDOW_UPDATE of the connection (RFC 9113, section 6).
  peer.Send(std::string("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff", 15));
  peer.Send(std::string("\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\x00\x00\x00", 13));
  peer.Send(std::string("\x00\x00\x00\x04\x01\x00\x00\x00\x00", 9));
  peer.WaitForEnd();
}

TEST(GrpcClient, LoadsWithinItsTimeoutWhenAPeerTakesNothing) {
  const stub::Server server(TakeNothing);
  const auto client = Connect(server.Url());
  const std::vector<char> file(size_t{64} << 20, 1);
  ExpectTimeout(client->LoadModel("m", {}, "", {{"file:1/model", file}}, 500000));
}

TEST(GrpcClient, ReturnsWhenAPeerTakesNothing) {
  const stub::Server server(TakeNothing);
  const auto client = Connect(server.Url());
  auto tensor = std::make_unique<std::vector<uint8_t>>(size_t{64} << 20, 1);
  const auto input = tc::InferInput::Make("A", {int64_t{64} << 20}, tensor->data(), tensor->size());
  tc::InferResult* result = nullptr;
  const tc::Error err = client->Infer(&result, Options(500000), {input.get()});
  tensor.reset();  // nobody reads it any more
  delete result;
  ExpectIn("Deadline Exceeded", err);
  Event done;
  tensor = std::make_unique<std::vector<uint8_t>>(size_t{64} << 20, 1);
  const auto again = tc::InferInput::Make("A", {int64_t{64} << 20}, tensor->data(), tensor->size());
  client->AsyncInfer(
      [&](tc::InferResult* last) {
        delete last;
        tensor.reset();
        done.Set();
      },
      Options(500000), {again.get()});
  EXPECT_TRUE(done.Wait());
}

TEST(GrpcClient, RefusesWhatWouldAbortTheProcess) {
  const Server server(AnswerIdentity);
  const auto client = Connect(server.Url());
  const auto input = Input();
  tc::InferResult* result = nullptr;
  EXPECT_TRUE(client->Infer(&result, Options(), {input.get()}, {}, {{"X-Upper", "v"}}).IsOk());
  delete result;
  for (const auto& headers : std::vector<tc::Headers>{{{"a b", "c"}},
                                                      {{"", "c"}},
                                                      {{"a", "b\n"}},
                                                      {{":path", "x"}},
                                                      {{"grpc-timeout", "1S"}}}) {
    EXPECT_EQ(client->Infer(&result, Options(), {input.get()}, {}, headers).Code(),
              tc::ErrorCode::INVALID_ARGUMENT);
    delete result;
    EXPECT_EQ(client->StartStream([](tc::InferResult*) {}, true, 0, headers).Code(),
              tc::ErrorCode::INVALID_ARGUMENT);
  }
  EXPECT_FALSE(
      client->Infer(&result, Options(), {input.get()}, {}, {}, GRPC_COMPRESS_ALGORITHMS_COUNT)
          .IsOk());
  delete result;
  EXPECT_FALSE(client->Infer(&result, Options(), {nullptr}).IsOk());
  delete result;
  EXPECT_FALSE(client->Infer(nullptr, Options(), {input.get()}).IsOk());
  EXPECT_FALSE(client->AsyncStreamInfer(Options(), {input.get()}).IsOk());
  EXPECT_TRUE(client->StopStream().IsOk());
  EXPECT_FALSE(client->ServerMetadata(nullptr).IsOk());
}

TEST(GrpcClient, RefusesTextsThatAreNotUtf8) {
  const Server server(AnswerIdentity);
  const auto client = Connect(server.Url());
  const std::string bad = "\xff";
  bool ready = true;
  inference::TraceSettingResponse trace;
  inference::ModelStatisticsResponse statistics;
  for (const tc::Error& err :
       {client->IsModelReady(&ready, bad), client->IsModelReady(&ready, "m", bad),
        client->LoadModel(bad), client->LoadModel("m", {}, bad),
        client->LoadModel("m", {}, "", {{bad, {}}}), client->UnloadModel(bad),
        client->ModelInferenceStatistics(&statistics, bad),
        client->UpdateTraceSettings(&trace, "", {{"trace_level", {bad}}}),
        client->UpdateTraceSettings(&trace, "", {{bad, {}}}),
        client->RegisterSystemSharedMemory("r", bad, 1), client->UnregisterCudaSharedMemory(bad)}) {
    EXPECT_EQ(err.Code(), tc::ErrorCode::INVALID_ARGUMENT);
    ExpectIn("is not UTF-8", err);
  }
  EXPECT_FALSE(ready);
}

TEST(GrpcClient, IsUsedBySixteenThreadsAtOnce) {
  const Server server(AnswerIdentity);
  calls::ExpectSixteenThreadsWork(Connect(server.Url()).get(), [] {});
}

TEST(GrpcClient, EndsPendingCallsWhenItIsDestroyed) {
  const Server server(Stall);
  calls::ExpectPendingCallsEnd(Connect(server.Url()));
}

TEST(GrpcClient, IsDestroyedInItsOwnCallback) {
  const Server server(AnswerIdentity);
  const auto input = Input();
  Event destroyed;
  Client* client = Connect(server.Url()).release();
  client->AsyncInfer(
      [&, client](tc::InferResult* result) {
        delete result;
        delete client;
        destroyed.Set();
      },
      Options(), {input.get()});
  EXPECT_TRUE(destroyed.Wait());
  Event also;
  Client* streaming = Connect(server.Url()).release();
  streaming->StartStream([&, streaming](tc::InferResult* result) {
    EXPECT_TRUE(result->RequestStatus().IsOk());
    EXPECT_FALSE(streaming->StopStream().IsOk());
    delete result;
    delete streaming;
    also.Set();
  });
  ASSERT_TRUE(streaming->AsyncStreamInfer(Options(), {input.get()}).IsOk());
  EXPECT_TRUE(also.Wait());
}

TEST(GrpcClient, CancelsOneCall) {
  const Server server(Stall);
  const auto client = Connect(server.Url());
  calls::ExpectCancel([&](auto callback, tc::InferInput* input, tc::CallContext** context) {
    return client->AsyncInfer(callback, Options(), {input}, {}, {}, GRPC_COMPRESS_NONE, context);
  });
}

TEST(GrpcClient, LetsASlowCallbackHoldUpNoCall) {
  const Server server(AnswerIdentity);
  const auto client = Connect(server.Url());
  calls::ExpectSlowCallbackHoldsUpNoCall(client.get());
}

TEST(GrpcStream, AnswersInOrderAndStartsAgain) {
  const Server server(AnswerIdentity);
  const auto client = Connect(server.Url());
  for (int round = 0; round < 3; ++round) {
    Results results;
    ASSERT_TRUE(client->StartStream(results.Callback()).IsOk());
    EXPECT_EQ(client->StartStream(results.Callback()).Message(),
              "cannot start another stream with one already running. 'InferenceServerClient' "
              "supports only a single active stream at a given time.");
    for (int i = 0; i < 10; ++i) {
      auto input = Input(i % 2 == 0 ? 4 : 200000);
      auto options = Options();
      options.request_id_ = std::to_string(i);
      ASSERT_TRUE(client->AsyncStreamInfer(options, {input.get()}).IsOk());
    }
    ASSERT_TRUE(client->StopStream().IsOk());
    ASSERT_EQ(results.all().size(), 10U);  // none for the end
    for (size_t i = 0; i < 10; ++i) {
      std::string id;
      EXPECT_TRUE(results.all()[i]->Id(&id).IsOk());
      EXPECT_EQ(id, std::to_string(i));
    }
  }
  tc::InferStat stat;
  client->ClientInferStat(&stat);
  EXPECT_EQ(stat.completed_request_count, 30U);
  EXPECT_EQ(client->StartStream(nullptr).Message(),
            "Callback function must be provided along with StartStream() call.");
}

TEST(GrpcStream, TellsWhyItEnded) {
  const Server stalling(Stall);
  const Server failing(
      [](const std::string&, const std::string&, std::string*, grpc::Status* status) {
        *status = grpc::Status(grpc::StatusCode::INTERNAL, "the reason");
        return Then::FAIL;
      });
  const auto input = Input();
  const auto ends = [&](Client* client, uint32_t timeout, const std::string& reason) {
    Results results;
    ASSERT_TRUE(client->StartStream(results.Callback(), true, timeout).IsOk());
    client->AsyncStreamInfer(Options(), {input.get()});
    ASSERT_TRUE(results.WaitFor(1));
    const tc::Error err = results.all()[0]->RequestStatus();
    EXPECT_EQ(err.Message().rfind("Stream has been closed: ", 0), 0U) << err;
    ExpectIn(reason, err);
    EXPECT_EQ(client->AsyncStreamInfer(Options(), {input.get()}).Message(),
              "Stream has been closed.");
    EXPECT_TRUE(client->StopStream().IsOk());
    EXPECT_EQ(results.all().size(), 1U);
  };
  const auto slow = Connect(stalling.Url());
  ends(slow.get(), 200000, "Deadline Exceeded");
  const auto failed = Connect(failing.Url());
  ends(failed.get(), 0, "the reason");
  const auto nowhere = Connect("127.0.0.1:1");
  ends(nowhere.get(), 0, "127.0.0.1:1");
}

TEST(GrpcStream, IsCancelled) {
  const Server server(Stall);
  const auto client = Connect(server.Url());
  const auto input = Input();
  for (int i = 0; i < 2; ++i) {
    Results results;
    ASSERT_TRUE(client->StartStream(results.Callback()).IsOk());
    ASSERT_TRUE(client->AsyncStreamInfer(Options(), {input.get()}).IsOk());
    ASSERT_TRUE(client->StopStream(true).IsOk());
    ASSERT_EQ(results.all().size(), 1U);
    ExpectIn("Locally cancelled by application!", results.all()[0]->RequestStatus());
  }
}

TEST(GrpcStream, EndsWithItsClient) {
  const Server stalling(Stall);
  const Server answering(AnswerIdentity);
  const auto input = Input();
  Results results;
  {
    const auto client = Connect(stalling.Url());
    ASSERT_TRUE(client->StartStream(results.Callback()).IsOk());
    client->AsyncStreamInfer(Options(), {input.get()});
  }
  ASSERT_EQ(results.all().size(), 1U);
  ExpectIn("client is closed", results.all()[0]->RequestStatus());
  Results idle;
  {
    const auto client = Connect(answering.Url());
    ASSERT_TRUE(client->StartStream(idle.Callback()).IsOk());
  }
  EXPECT_TRUE(idle.all().empty());
}

TEST(GrpcChannels, AreSharedByThoseThatAreAlike) {
  const std::string url = "127.0.0.1:2";
  std::vector<std::unique_ptr<Client>> clients(8);
  Client::Create(&clients[0], url);
  const size_t before = clients[0]->GetNumCachedChannels();
  for (size_t i = 1; i < 7; ++i) Client::Create(&clients[i], url);
  EXPECT_EQ(clients[0]->GetNumCachedChannels(), before);
  grpc::ChannelArguments arguments;
  Client::Create(&clients[7], url, arguments);
  EXPECT_EQ(clients[7]->GetNumCachedChannels(), before + 1);
  clients[7].reset();
  EXPECT_EQ(clients[0]->GetNumCachedChannels(), before);
  Client::Create(&clients[7], url, false, true);  // TLS is another channel
  EXPECT_EQ(clients[0]->GetNumCachedChannels(), before + 1);
  std::unique_ptr<Client> own;
  Client::Create(&own, "127.0.0.1:3", false, false, tc::SslOptions(), tc::KeepAliveOptions(),
                 false);
  EXPECT_EQ(own->GetNumCachedChannels(), before + 1);
  clients.clear();
  EXPECT_EQ(own->GetNumCachedChannels(), before - 1);
  std::unique_ptr<Client> none;
  for (const auto* file : {"/nowhere.pem", "/", "/dev/null"}) {
    for (auto tc::SslOptions::*which :
         {&tc::SslOptions::root_certificates, &tc::SslOptions::private_key,
          &tc::SslOptions::certificate_chain}) {
      tc::SslOptions ssl;
      ssl.*which = file;
      ExpectIn(file, Client::Create(&none, url, false, true, ssl));
    }
  }
  EXPECT_FALSE(Client::Create(&none, "").IsOk());
  EXPECT_FALSE(Client::Create(nullptr, url).IsOk());
}

TEST(GrpcClient, InfersSeveralAsOne) {
  const Server server([](const std::string& method, const std::string& request, std::string* answer,
                         grpc::Status* status) {
    inference::ModelInferRequest parsed;
    parsed.ParseFromString(request);
    if (parsed.model_name() == "bad") {
      *status = grpc::Status(grpc::StatusCode::NOT_FOUND, "no such model");
      return Then::FAIL;
    }
    return AnswerIdentity(method, request, answer, status);
  });
  const auto client = Connect(server.Url());
  const auto input = Input();
  const std::vector<std::vector<tc::InferInput*>> inputs(3, {input.get()});
  std::vector<tc::InferResult*> results;
  const auto clear = [&] {
    for (auto* result : results) delete result;
    results.clear();
  };
  EXPECT_TRUE(client->InferMulti(&results, {Options()}, inputs).IsOk());
  EXPECT_EQ(results.size(), 3U);
  clear();
  const tc::InferOptions bad("bad");
  Event done;
  std::vector<tc::CallContext*> contexts;
  ASSERT_TRUE(client
                  ->AsyncInferMulti(
                      [&](std::vector<tc::InferResult*> received) {
                        results = std::move(received);
                        done.Set();
                      },
                      {Options(), bad, Options()}, {{input.get()}, {input.get()}, {nullptr}}, {},
                      {}, GRPC_COMPRESS_NONE, &contexts)
                  .IsOk());
  ASSERT_TRUE(done.Wait());
  EXPECT_EQ(contexts.size(), 3U);
  for (auto* context : contexts) {
    context->Cancel();
    delete context;
  }
  ASSERT_EQ(results.size(), 3U);
  EXPECT_TRUE(results[0]->RequestStatus().IsOk());
  EXPECT_EQ(results[1]->RequestStatus().Code(), tc::ErrorCode::NOT_FOUND);
  EXPECT_FALSE(results[2]->RequestStatus().IsOk());
  clear();
}
