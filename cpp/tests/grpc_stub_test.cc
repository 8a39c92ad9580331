// The gRPC client against a server that misbehaves, from many threads, and in its last moments.
#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <fstream>

#include "grpc_client.h"
#include "stub.h"

namespace tc = triton::client;
using Client = tc::InferenceServerGrpcClient;
using stub::Event;

namespace {

enum class Then { ANSWER, FAIL, STALL };

// What to do with a request: fill the answer, or the status.
using Handle = std::function<Then(const std::string& method, const std::string& request,
                                  std::string* answer, grpc::Status* status)>;

std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  buffer.Dump(&slices);
  std::string bytes;
  for (const auto& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// A server of gRPC whose messages the test decides.
class Server : private grpc::CallbackGenericService {
 public:
  explicit Server(Handle handle) : handle_(std::move(handle)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:0", grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(-1);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
  }
  ~Server() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string Url() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  class Call : public grpc::ServerGenericBidiReactor {
   public:
    Call(std::string method, const Handle* handle) : method_(std::move(method)), handle_(handle) {
      StartRead(&request_);
    }
    void OnReadDone(bool ok) override {
      if (!ok) {
        FinishOnce(grpc::Status::OK);
        return;
      }
      std::string answer;
      grpc::Status status;
      switch ((*handle_)(method_, Bytes(request_), &answer, &status)) {
        case Then::ANSWER: {
          const grpc::Slice slice(answer);
          answer_ = grpc::ByteBuffer(&slice, 1);
          StartWrite(&answer_);
          break;
        }
        case Then::FAIL:
          FinishOnce(status);
          break;
        case Then::STALL:
          break;
      }
    }
    void OnWriteDone(bool ok) override {
      if (ok) StartRead(&request_);
    }
    void OnCancel() override { FinishOnce(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }

   private:
    void FinishOnce(const grpc::Status& status) {
      if (!finished_.exchange(true)) Finish(status);
    }
    const std::string method_;
    const Handle* handle_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer answer_;
    std::atomic<bool> finished_{false};
  };

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Call(context->method(), &handle_);
  }

  const Handle handle_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// Answer with the first input, and the id.
std::string Identity(const std::string& request_bytes, bool stream = false) {
  inference::ModelInferRequest request;
  request.ParseFromString(request_bytes);
  inference::ModelInferResponse response;
  response.set_model_name(request.model_name());
  response.set_id(request.id());
  auto* output = response.add_outputs();
  output->set_name("B");
  output->set_datatype("UINT8");
  output->add_shape(static_cast<int64_t>(request.raw_input_contents(0).size()));
  *response.add_raw_output_contents() = request.raw_input_contents(0);
  if (!stream) return response.SerializeAsString();
  inference::ModelStreamInferResponse wrapped;
  *wrapped.mutable_infer_response() = response;
  return wrapped.SerializeAsString();
}

Then AnswerIdentity(const std::string& method, const std::string& request, std::string* answer,
                    grpc::Status*) {
  *answer = Identity(request, method.find("Stream") != std::string::npos);
  return Then::ANSWER;
}

Then Stall(const std::string&, const std::string&, std::string*, grpc::Status*) {
  return Then::STALL;
}

std::unique_ptr<Client> Connect(const std::string& url) {
  std::unique_ptr<Client> client;
  const tc::Error err = Client::Create(&client, url);
  EXPECT_TRUE(err.IsOk()) << err;
  return client;
}

std::unique_ptr<tc::InferInput> Input(size_t size = 4) {
  return tc::InferInput::Make("A", {static_cast<int64_t>(size)}, std::vector<uint8_t>(size, 1));
}

tc::InferOptions Options(uint64_t timeout_us = 0) {
  tc::InferOptions options("m");
  options.client_timeout_ = timeout_us;
  return options;
}

tc::Error Infer(Client* client, uint64_t timeout_us = 0, size_t size = 4) {
  const auto input = Input(size);
  tc::InferResult* result = nullptr;
  const tc::Error err = client->Infer(&result, Options(timeout_us), {input.get()});
  EXPECT_NE(result, nullptr);
  delete result;
  return err;
}

void ExpectIn(const std::string& part, const tc::Error& err) {
  EXPECT_NE(err.Message().find(part), std::string::npos) << err;
}

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
    return changed_.wait_for(lock, std::chrono::seconds(60),
                             [&] { return results_.size() >= count; });
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
    const tc::Error err = Infer(client.get(), 200000, size);
    EXPECT_EQ(err.Code(), tc::ErrorCode::DEADLINE_EXCEEDED);
    ExpectIn("Deadline Exceeded", err);
  }
  bool live = false;
  ExpectIn("Deadline Exceeded", client->IsServerLive(&live, {}, 1000));
  Event done;
  std::string message;
  const auto input = Input();
  client->AsyncInfer(
      [&](tc::InferResult* result) {
        message = result->RequestStatus().Message();
        delete result;
        done.Set();
      },
      Options(100000), {input.get()});
  ASSERT_TRUE(done.Wait());
  EXPECT_NE(message.find("Deadline Exceeded"), std::string::npos) << message;
}

// A peer that grants a huge window and then reads nothing: the kernel's buffers fill up, and gRPC
// keeps the tensor's memory until the connection is closed.
TEST(GrpcClient, ReturnsWhenAPeerTakesNothing) {
  const stub::Server server([](const stub::Peer& peer) {
    // SETTINGS_INITIAL_WINDOW_SIZE, and WINDOW_UPDATE of the connection (RFC 9113, section 6).
    peer.Send(std::string("\x00\x00\x06\x04\x00\x00\x00\x00\x00\x00\x04\x7f\xff\xff\xff", 15));
    peer.Send(std::string("\x00\x00\x04\x08\x00\x00\x00\x00\x00\x7f\x00\x00\x00", 13));
    peer.Send(std::string("\x00\x00\x00\x04\x01\x00\x00\x00\x00", 9));
    peer.WaitForEnd();
  });
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

TEST(GrpcClient, IsUsedBySixteenThreadsAtOnce) {
  const Server server(AnswerIdentity);
  const auto client = Connect(server.Url());
  std::atomic<int> wrong{0};
  std::atomic<int> answered{0};
  constexpr int kThreads = 16;
  constexpr int kCalls = 20;
  const auto small = Input();
  const auto large = Input(100000);
  const auto check = [&](tc::InferResult* result, const std::string& id) {
    const std::unique_ptr<tc::InferResult> owner(result);
    std::string received;
    if (!result->RequestStatus().IsOk() || !result->Id(&received).IsOk() || received != id) {
      ++wrong;
    }
    ++answered;
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kCalls; ++i) {
        auto* const input = i % 3 == 0 ? large.get() : small.get();
        auto options = Options();
        options.request_id_ = std::to_string(t * 1000 + i);
        if (i % 2 == 0) {
          tc::InferResult* result = nullptr;
          client->Infer(&result, options, {input});
          check(result, options.request_id_);
        } else if (!client
                        ->AsyncInfer([&, id = options.request_id_](
                                         tc::InferResult* result) { check(result, id); },
                                     options, {input})
                        .IsOk()) {
          ++wrong;
        }
        tc::InferStat stat;
        client->ClientInferStat(&stat);
      }
    });
  }
  for (auto& thread : threads) thread.join();
  for (int i = 0; i < 6000 && answered < kThreads * kCalls; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
  EXPECT_EQ(answered, kThreads * kCalls);
  EXPECT_EQ(wrong, 0);
}

TEST(GrpcClient, EndsPendingCallsWhenItIsDestroyed) {
  const Server server(Stall);
  const auto input = Input(100000);
  std::atomic<int> cancelled{0};
  {
    const auto client = Connect(server.Url());
    for (int i = 0; i < 10; ++i) {
      client->AsyncInfer(
          [&](tc::InferResult* result) {
            const tc::Error err = result->RequestStatus();
            if (err.Code() == tc::ErrorCode::CANCELLED &&
                err.Message().find("client is closed") != std::string::npos) {
              ++cancelled;
            }
            delete result;
          },
          Options(), {input.get()});
    }
  }
  EXPECT_EQ(cancelled, 10);
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
  const auto input = Input();
  Event done;
  tc::Error err;
  tc::CallContext* context = nullptr;
  ASSERT_TRUE(client
                  ->AsyncInfer(
                      [&](tc::InferResult* result) {
                        err = result->RequestStatus();
                        delete result;
                        done.Set();
                      },
                      Options(), {input.get()}, {}, {}, GRPC_COMPRESS_NONE, &context)
                  .IsOk());
  context->Cancel();
  EXPECT_TRUE(done.Wait());
  ExpectIn("Locally cancelled by application!", err);
  EXPECT_EQ(err.Code(), tc::ErrorCode::CANCELLED);
  context->Cancel();  // harmless
  delete context;
}

TEST(GrpcClient, LetsASlowCallbackHoldUpNoCall) {
  const Server server(AnswerIdentity);
  const auto client = Connect(server.Url());
  const auto input = Input();
  Event release;
  Event first;
  client->AsyncInfer(
      [&](tc::InferResult* result) {
        delete result;
        first.Set();
        release.Wait();
      },
      Options(), {input.get()});
  ASSERT_TRUE(first.Wait());
  EXPECT_TRUE(Infer(client.get()).IsOk());
  release.Set();
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
  tc::SslOptions ssl;
  ssl.root_certificates = "/nowhere.pem";
  std::unique_ptr<Client> none;
  ExpectIn("/nowhere.pem", Client::Create(&none, url, false, true, ssl));
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
