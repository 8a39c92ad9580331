// The HTTP client against a server that misbehaves, from many threads, and in its last moments.
#include "http_stub.h"

#include <zlib.h>

#include <atomic>
#include <set>

#include "calls.h"
#include "http_client.h"
#include "stub.h"

namespace tc = triton::client;
using Client = tc::InferenceServerHttpClient;
using calls::ExpectIn;
using calls::ExpectTimeout;
using calls::Infer;
using calls::Input;
using calls::Options;
using http_stub::Always;
using http_stub::Answer;
using http_stub::Identity;
using stub::Event;
using stub::Peer;
using stub::Server;

namespace {

constexpr auto* Connect = calls::Connect<Client>;

}  // namespace

TEST(HttpClient, RefusesUrlsThatAreNone) {
  std::unique_ptr<Client> client;
  for (const auto* url : {"", "ftp://host:1", "host:port", "host:99999", "a b:1", "http://",
                          "host:8000?x=1", "http://host:8000#x", "host\r\n:80"}) {
    EXPECT_EQ(Client::Create(&client, url).Code(), tc::ErrorCode::INVALID_ARGUMENT) << url;
    EXPECT_EQ(client, nullptr);
  }
  for (const auto* url : {"localhost:8000", "http://localhost:8000/base/", "[::1]:8000",
                          "https://localhost", "user:pass@host:1"}) {
    EXPECT_TRUE(Client::Create(&client, url).IsOk()) << url;
  }
  tc::HttpSslOptions ssl;
  for (const auto* file : {"/nowhere.pem", "/", "/dev/null/none"}) {
    ssl.ca_info = file;
    ExpectIn(file, Client::Create(&client, "https://localhost:1", false, ssl));
  }
  // What is no certificate is found out by TLS.
  ssl.ca_info = "/etc/passwd";
  ASSERT_TRUE(Client::Create(&client, "https://localhost:1", false, ssl).IsOk());
  for (int i = 0; i < 3; ++i) ExpectIn("https://localhost:1", Infer(client.get()));
  EXPECT_FALSE(Client::Create(nullptr, "localhost:8000").IsOk());
}

TEST(HttpClient, NamesUrlStatusAndBodyOfWhatIsNoAnswer) {
  const auto server = std::make_unique<Server>([](const Peer& peer) {
    while (!peer.ReceiveRequest().empty() &&
           peer.Send(Answer("502 Bad Gateway", "Content-Type: text/html\r\n",
                            "<html>no upstream</html>"))) {
    }
  });
  const auto client = Connect(server->Url());
  const tc::Error err = Infer(client.get());
  ExpectIn("502", err);
  ExpectIn("no upstream", err);
  ExpectIn(server->Url() + "/v2/models/m/infer", err);
  EXPECT_EQ(err.HttpStatus(), 502);
  EXPECT_EQ(err.Code(), tc::ErrorCode::UNAVAILABLE);
  std::string text;
  ExpectIn("502", client->ServerMetadata(&text));
  bool live = true;
  EXPECT_TRUE(client->IsServerLive(&live).IsOk());
  EXPECT_FALSE(live);
}

TEST(HttpClient, SaysWhatTheServerSaid) {
  const auto server = Always(Answer("400 Bad Request", "", R"({"error":"in its \"words\""})"));
  const auto client = Connect(server.Url());
  const tc::Error err = Infer(client.get());
  EXPECT_EQ(err.Message(), "in its \"words\"");
  EXPECT_EQ(err.Code(), tc::ErrorCode::INVALID_ARGUMENT);
  EXPECT_NE(err.Url().find(server.Url()), std::string::npos);
}

TEST(HttpClient, NamesTheReasonOfALostConnection) {
  std::string url;
  {
    const Server server([](const Peer&) {});
    url = server.Url();
    const auto client = Connect(url);
    const tc::Error err = Infer(client.get());
    EXPECT_EQ(err.Message().rfind("HTTP client failed: ", 0), 0U) << err;
  }
  const auto client = Connect(url);
  ExpectIn("HTTP client failed: ", Infer(client.get()));
  ExpectIn(url, Infer(client.get()));
  const tc::Error later = calls::InferLater(client.get());
  ExpectIn(url, later);
  ExpectIn("connect", later);
  EXPECT_EQ(later.Code(), tc::ErrorCode::UNAVAILABLE);
  bool live = true;
  EXPECT_EQ(client->IsServerLive(&live).Code(), tc::ErrorCode::UNAVAILABLE);
  EXPECT_FALSE(live);
}

TEST(HttpClient, ReadsAnswersThatAreCutAnywhere) {
  const std::string answer = Identity("12345678");
  std::atomic<size_t> size{0};
  const Server server([&](const Peer& peer) {
    if (!peer.ReceiveRequest().empty()) peer.Send(answer.substr(0, size));
  });
  const auto client = Connect(server.Url());
  for (; size < answer.size(); ++size) {
    EXPECT_FALSE(Infer(client.get()).IsOk()) << size;
  }
  EXPECT_TRUE(Infer(client.get()).IsOk());
}

TEST(HttpClient, RefusesLengthsThatAreNone) {
  for (const auto* length : {"18446744073709551616", "99999999999", "-1", "x", "", "4294967297"}) {
    const auto server =
        Always(Answer("200 OK", std::string("Inference-Header-Content-Length: ") + length + "\r\n",
                      R"({"outputs":[]})"));
    const auto client = Connect(server.Url());
    EXPECT_FALSE(Infer(client.get()).IsOk()) << length;
  }
  // The length of the body is believed only when the bytes are there.
  const Server server([](const Peer& peer) {
    if (!peer.ReceiveRequest().empty()) {
      peer.Send("HTTP/1.1 200 OK\r\nContent-Length: 4611686018427387904\r\n\r\n{}");
    }
  });
  const auto client = Connect(server.Url());
  EXPECT_FALSE(Infer(client.get()).IsOk());
}

TEST(HttpClient, KeepsItsTimeoutToOneCall) {
  std::atomic<bool> slow{true};
  const Server server([&](const Peer& peer) {
    while (!peer.ReceiveRequest().empty()) {
      if (slow) peer.WaitForEnd();
      peer.Send(Identity("x"));
    }
  });
  const auto client = Connect(server.Url());
  for (const uint64_t timeout : {1U, 999U, 50000U}) {
    ExpectTimeout(Infer(client.get(), timeout));
  }
  slow = false;
  EXPECT_TRUE(Infer(client.get()).IsOk());
  slow = true;
  ExpectTimeout(calls::InferLater(client.get(), 50000));
}

TEST(HttpClient, LimitsCallsThatHaveNoTimeoutOfTheirOwn) {
  const Server server([](const Peer& peer) { peer.Stall(); });
  const auto client = Connect(server.Url());
  client->SetClientTimeout(100000);
  calls::ExpectTimeoutOfAllCalls(client.get());
  bool live = true;
  std::string text;
  ExpectTimeout(client->IsServerLive(&live));
  EXPECT_FALSE(live);
  ExpectTimeout(client->ModelRepositoryIndex(&text));
  ExpectTimeout(client->LoadModel("m"));
  ExpectTimeout(client->LoadModel("m", {}, {}, "", {{"file:1/m", std::vector<char>(1 << 20)}}));
  ExpectTimeout(client->UnregisterSystemSharedMemory());
  client->SetClientTimeout(3600000000);
  ExpectTimeout(Infer(client.get(), 100000));  // its own limit wins
}

// libcurl counts in milliseconds: a response can come within one and still be late.
TEST(HttpClient, KeepsTimeoutsBelowAMillisecond) {
  const auto server = Always(Identity("x"));
  const auto client = Connect(server.Url());
  ASSERT_TRUE(Infer(client.get()).IsOk());  // there is a connection now
  const auto input = Input();
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(Infer(client.get(), 1).Code(), tc::ErrorCode::DEADLINE_EXCEEDED);
    const auto outcome = tc::InferAsync(*client, Options(1), {input.get()}).get();
    EXPECT_EQ(outcome.error.Code(), tc::ErrorCode::DEADLINE_EXCEEDED);
  }
}

TEST(HttpClient, SendsWhatWasAskedFor) {
  std::mutex mutex;
  std::vector<std::string> requests;
  const Server server([&](const Peer& peer) {
    for (;;) {
      const std::string request = peer.ReceiveRequest();
      if (request.empty()) return;
      {
        const std::lock_guard<std::mutex> lock(mutex);
        requests.push_back(request);
      }
      peer.Send(Answer("200 OK", "", "{}"));
    }
  });
  const auto client = Connect(server.Url() + "/base");
  std::string text;
  bool ready = false;
  const auto last = [&] {
    const std::lock_guard<std::mutex> lock(mutex);
    return requests.back();
  };
  const auto line = [&] {
    const std::string request = last();
    return request.substr(0, request.find(" HTTP/1.1"));
  };
  const auto body = [&] {
    const std::string request = last();
    return request.substr(request.find("\r\n\r\n") + 4);
  };
  ASSERT_TRUE(client->IsServerReady(&ready, {{"X-Name", "value"}}, {{"a b", "c&d"}}).IsOk());
  EXPECT_EQ(line(), "GET /base/v2/health/ready?a%20b=c%26d");
  EXPECT_NE(last().find("X-Name: value\r\n"), std::string::npos);
  client->IsModelReady(&ready, "a/b c", "1");
  EXPECT_EQ(line(), "GET /base/v2/models/a%2Fb%20c/versions/1/ready");
  client->ModelInferenceStatistics(&text);
  EXPECT_EQ(line(), "GET /base/v2/models/stats");
  client->LoadModel("m", {}, {}, "{\"a\":\"b\"}", {{"file:1/m.onnx", {'\0', '\xff', 'a', 'b'}}});
  EXPECT_EQ(line(), "POST /base/v2/repository/models/m/load");
  EXPECT_EQ(body(), R"({"parameters":{"config":"{\"a\":\"b\"}","file:1/m.onnx":"AP9hYg=="}})");
  client->UpdateTraceSettings(
      &text, "", {{"trace_level", {"A", "B"}}, {"trace_rate", {"5"}}, {"trace_count", {}}});
  EXPECT_EQ(body(), R"({"trace_count":null,"trace_level":["A","B"],"trace_rate":"5"})");
  client->RegisterSystemSharedMemory("r", "/k", 8, 4);
  EXPECT_EQ(body(), R"({"key":"/k","offset":4,"byte_size":8})");
  client->SystemSharedMemoryStatus(&text, "a/b?");
  EXPECT_EQ(line(), "GET /base/v2/systemsharedmemory/region/a%2Fb%3F/status");
  client->UnregisterCudaSharedMemory("a b");
  EXPECT_EQ(line(), "POST /base/v2/cudasharedmemory/region/a%20b/unregister");
  client->UnregisterSystemSharedMemory();
  EXPECT_EQ(line(), "POST /base/v2/systemsharedmemory/unregister");
  client->RegisterCudaSharedMemory("g", cudaIpcMemHandle_t{}, 2, 8);
  EXPECT_EQ(body(), R"({"raw_handle":{"b64":")" + std::string(86, 'A') +
                        R"(=="},"device_id":2,"byte_size":8})");
  const int before = server.connections();
  EXPECT_EQ(before, 1);  // all went over one connection
  for (const auto& headers : std::vector<tc::Headers>{{{"a b", "c"}},
                                                      {{"", "c"}},
                                                      {{"a", "b\r\nc: d"}},
                                                      {{"Content-Length", "1"}},
                                                      {{"a:", "b"}}}) {
    EXPECT_EQ(client->IsServerLive(&ready, headers).Code(), tc::ErrorCode::INVALID_ARGUMENT);
  }
  EXPECT_FALSE(client->ServerMetadata(nullptr).IsOk());
  EXPECT_FALSE(client->ModelMetadata(&text, "").IsOk());
}

TEST(HttpClient, CompressesRequests) {
  std::mutex mutex;
  std::string request;
  const Server server([&](const Peer& peer) {
    for (;;) {
      const std::string received = peer.ReceiveRequest();
      if (received.empty()) return;
      const std::lock_guard<std::mutex> lock(mutex);
      request = received;
      peer.Send(Identity("x"));
    }
  });
  const auto client = Connect(server.Url());
  const auto input = Input(100000);
  using Type = Client::CompressionType;
  std::vector<char> plain;
  size_t head = 0;
  Client::GenerateRequestBody(&plain, &head, Options(), {input.get()});
  for (const auto type : {Type::GZIP, Type::DEFLATE}) {
    tc::InferResult* result = nullptr;
    const tc::Error err =
        client->Infer(&result, Options(), {input.get()}, {}, {}, {}, type, Type::NONE);
    ASSERT_TRUE(err.IsOk()) << err;
    delete result;
    const std::lock_guard<std::mutex> lock(mutex);
    EXPECT_NE(
        request.find(std::string("Content-Encoding: ") + (type == Type::GZIP ? "gzip" : "deflate")),
        std::string::npos);
    EXPECT_NE(request.find("Inference-Header-Content-Length: " + std::to_string(head)),
              std::string::npos);
    const std::string body = request.substr(request.find("\r\n\r\n") + 4);
    EXPECT_LT(body.size(), plain.size() / 10);
    std::vector<char> restored(plain.size());
    z_stream stream{};
    ASSERT_EQ(inflateInit2(&stream, type == Type::GZIP ? 15 | 16 : 15), Z_OK);
    stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(body.data()));
    stream.avail_in = static_cast<uInt>(body.size());
    stream.next_out = reinterpret_cast<Bytef*>(restored.data());
    stream.avail_out = static_cast<uInt>(restored.size());
    EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
    inflateEnd(&stream);
    EXPECT_EQ(restored, plain);
  }
  tc::InferResult* result = nullptr;
  EXPECT_FALSE(
      client->Infer(&result, Options(), {input.get()}, {}, {}, {}, static_cast<Type>(7), Type::NONE)
          .IsOk());
  EXPECT_EQ(result, nullptr);
}

TEST(HttpClient, KeepsItsCompressionToOneCall) {
  std::mutex mutex;
  std::vector<std::string> requests;
  const Server server([&](const Peer& peer) {
    for (;;) {
      const std::string request = peer.ReceiveRequest();
      if (request.empty()) return;
      const std::lock_guard<std::mutex> lock(mutex);
      requests.push_back(request);
      peer.Send(Identity("x"));
    }
  });
  const auto client = Connect(server.Url());
  const auto input = Input();
  using Type = Client::CompressionType;
  for (const auto type : {Type::GZIP, Type::NONE, Type::DEFLATE, Type::NONE}) {
    tc::InferResult* result = nullptr;
    EXPECT_TRUE(client->Infer(&result, Options(), {input.get()}, {}, {}, {}, type, type).IsOk());
    delete result;
  }
  bool live = false;
  EXPECT_TRUE(client->IsServerLive(&live).IsOk());
  EXPECT_EQ(server.connections(), 1);
  const std::lock_guard<std::mutex> lock(mutex);
  for (size_t i = 0; i < requests.size(); ++i) {
    const bool compressed = i == 0 || i == 2;
    EXPECT_EQ(requests[i].find("Accept-Encoding:") != std::string::npos, compressed) << i;
    EXPECT_EQ(requests[i].find("Content-Encoding:") != std::string::npos, compressed) << i;
  }
}

TEST(HttpClient, LetsASlowCallbackHoldUpNoCall) {
  const auto server = Always(Identity("x"));
  const auto client = Connect(server.Url());
  calls::ExpectSlowCallbackHoldsUpNoCall(client.get());
}

TEST(HttpClient, SendsLargeTensorsWhole) {
  std::mutex mutex;
  std::string request;
  const Server server([&](const Peer& peer) {
    for (;;) {
      const std::string received = peer.ReceiveRequest();
      if (received.empty()) return;
      const std::lock_guard<std::mutex> lock(mutex);
      request = received;
      peer.Send(Identity(received.substr(received.size() - 3000000)));
    }
  });
  const auto client = Connect(server.Url());
  std::vector<uint8_t> tensor(3000000);
  for (size_t i = 0; i < tensor.size(); ++i) tensor[i] = static_cast<uint8_t>(i * 7);
  const auto input = tc::InferInput::Make("A", {3000000}, tensor.data(), tensor.size());
  for (int i = 0; i < 3; ++i) {
    auto outcome = tc::InferSync(*client, Options(), {input.get()});
    ASSERT_TRUE(outcome.error.IsOk()) << outcome.error;
    tc::TensorView<uint8_t> view;
    ASSERT_TRUE(outcome.result->As("B", &view).IsOk());
    EXPECT_TRUE(std::equal(view.begin(), view.end(), tensor.begin(), tensor.end()));
  }
}

// A server may close an idle connection at any time; the call is then sent again.
TEST(HttpClient, SendsAgainWhenAnIdleConnectionIsClosed) {
  const Server server([](const Peer& peer) {
    if (!peer.ReceiveRequest().empty()) peer.Send(Identity("x"));
  });
  const auto client = Connect(server.Url());
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(Infer(client.get(), 0, 100000).IsOk()) << i;
}

// uvicorn answers 500 and closes without saying so. What curl sends again could be executed twice.
TEST(HttpClient, DoesNotUseTheConnectionOfA500Again) {
  std::atomic<int> connections{0};
  const Server server([&](const Peer& peer) {
    const std::string answer = ++connections == 1
                                   ? Answer("500 Internal Server Error", "", R"({"error":"no"})")
                                   : Identity("x");
    while (!peer.ReceiveRequest().empty() && peer.Send(answer)) {
    }
  });
  const auto client = Connect(server.Url());
  EXPECT_FALSE(Infer(client.get(), 0, 100000).IsOk());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(Infer(client.get(), 0, 100000).IsOk()) << i;
  EXPECT_EQ(connections, 2);
}

TEST(HttpClient, IsUsedBySixteenThreadsAtOnce) {
  const Server server([](const Peer& peer) {
    for (;;) {
      const std::string request = peer.ReceiveRequest();
      if (request.empty()) return;
      const size_t at = request.find("\"id\":\"") + 6;
      peer.Send(Identity(request.substr(request.size() - 4),
                         request.substr(at, request.find('"', at) - at)));
    }
  });
  const auto client = Connect(server.Url());
  calls::ExpectSixteenThreadsWork(client.get(), [&] {
    bool live = false;
    client->IsServerLive(&live);
  });
}

TEST(HttpClient, EndsPendingCallsWhenItIsDestroyed) {
  const Server server([](const Peer& peer) { peer.Stall(); });
  calls::ExpectPendingCallsEnd(Connect(server.Url()));
}

TEST(HttpClient, IsDestroyedInItsOwnCallback) {
  const Server server([](const Peer& peer) {
    if (!peer.ReceiveRequest().empty()) peer.Send(Identity("x"));
    peer.Stall();
  });
  const auto input = Input();
  Event destroyed;
  Event other;
  Client* client = Connect(server.Url()).release();
  client->AsyncInfer(
      [&, client](tc::InferResult* result) {
        delete result;
        // The second call has no answer, and ends with the client.
        client->AsyncInfer(
            [&](tc::InferResult* last) {
              EXPECT_FALSE(last->RequestStatus().IsOk());
              delete last;
              other.Set();
            },
            Options(), {input.get()});
        delete client;
        destroyed.Set();
      },
      Options(), {input.get()});
  EXPECT_TRUE(destroyed.Wait());
  EXPECT_TRUE(other.Wait());
}

// A thousand calls have all connections that a client opens for calls that are not waited for.
TEST(HttpClient, KeepsTheTimeoutOfACallThatWaitsForAConnection) {
  constexpr int kCalls = 1005;
  const stub::SilentHost host;
  auto client = Connect(host.Url());
  const auto input = Input();
  stub::Counter ended;
  for (int i = 0; i < kCalls; ++i) {
    ASSERT_TRUE(client
                    ->AsyncInfer(
                        [&](tc::InferResult* result) {
                          EXPECT_EQ(result->RequestStatus().Code(), tc::ErrorCode::CANCELLED);
                          delete result;
                          ended.Add();
                        },
                        Options(), {input.get()})
                    .IsOk());
  }
  ExpectTimeout(calls::InferLater(client.get(), 100000));
  using Type = Client::CompressionType;
  calls::ExpectCancel([&](auto callback, tc::InferInput* one, tc::CallContext** context) {
    return client->AsyncInfer(callback, Options(), {one}, {}, {}, {}, Type::NONE, Type::NONE,
                              context);
  });
  client.reset();
  EXPECT_TRUE(ended.WaitFor(kCalls));
}

// More calls than connections: each has its turn.
TEST(HttpClient, BeginsCallsThatWaitedForAConnection) {
  constexpr int kCalls = 1500;
  const auto server = Always(Identity("x"));
  const auto client = Connect(server.Url());
  const auto input = Input();
  stub::Counter answered;
  std::atomic<int> wrong{0};
  for (int i = 0; i < kCalls; ++i) {
    ASSERT_TRUE(client
                    ->AsyncInfer(
                        [&](tc::InferResult* result) {
                          if (!result->RequestStatus().IsOk()) ++wrong;
                          delete result;
                          answered.Add();
                        },
                        Options(i % 2 == 0 ? 0 : 3600000000), {input.get()})
                    .IsOk());
  }
  EXPECT_TRUE(answered.WaitFor(kCalls));
  EXPECT_EQ(wrong, 0);
}

TEST(HttpClient, CancelsOneCall) {
  const Server server([](const Peer& peer) { peer.Stall(); });
  const auto client = Connect(server.Url());
  using Type = Client::CompressionType;
  calls::ExpectCancel([&](auto callback, tc::InferInput* input, tc::CallContext** context) {
    return client->AsyncInfer(callback, Options(), {input}, {}, {}, {}, Type::NONE, Type::NONE,
                              context);
  });
}

TEST(HttpClient, InfersSeveralAsOne) {
  const Server server([](const Peer& peer) {
    for (;;) {
      const std::string request = peer.ReceiveRequest();
      if (request.empty()) return;
      if (request.find("/models/bad/") != std::string::npos) {
        peer.Send(Answer("404 Not Found", "", R"({"error":"no such model"})"));
      } else {
        peer.Send(Identity("x"));
      }
    }
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
  EXPECT_EQ(client->InferMulti(&results, {Options(), bad, Options()}, inputs).Message(),
            "no such model");
  clear();
  EXPECT_EQ(client->InferMulti(&results, {Options(), bad}, inputs).Message(),
            "'options' must either contain 1 element or match size of 'inputs'");
  EXPECT_EQ(client->InferMulti(&results, {bad}, inputs, {{}, {}}).Message(),
            "'outputs' must either contain 0/1 element or match size of 'inputs'");
  Event done;
  ASSERT_TRUE(client
                  ->AsyncInferMulti(
                      [&](std::vector<tc::InferResult*> received) {
                        results = std::move(received);
                        done.Set();
                      },
                      {Options(), bad, Options()}, {{input.get()}, {input.get()}, {nullptr}})
                  .IsOk());
  ASSERT_TRUE(done.Wait());
  ASSERT_EQ(results.size(), 3U);
  EXPECT_TRUE(results[0]->RequestStatus().IsOk());
  EXPECT_EQ(results[1]->RequestStatus().Message(), "no such model");
  EXPECT_NE(results[2]->RequestStatus().Message().find("null"), std::string::npos);
  clear();
  EXPECT_EQ(client->AsyncInferMulti(nullptr, {bad}, inputs).Message(),
            "Callback function must be provided along with AsyncInferMulti() call.");
  EXPECT_EQ(client->AsyncInfer(nullptr, bad, {input.get()}).Message(),
            "Callback function must be provided along with AsyncInfer() call.");
}

TEST(HttpClient, GivesFutures) {
  const auto server = Always(Identity("xyz"));
  const auto client = Connect(server.Url());
  const auto input = Input();
  auto future = tc::InferAsync(*client, Options(), {input.get()});
  auto outcome = future.get();
  ASSERT_TRUE(outcome.error.IsOk()) << outcome.error;
  tc::TensorView<uint8_t> view;
  ASSERT_TRUE(outcome.result->As("B", &view).IsOk());
  EXPECT_EQ(std::string(view.begin(), view.end()), "xyz");
  EXPECT_FALSE(tc::InferAsync(*client, Options(), {nullptr}).get().error.IsOk());
}
