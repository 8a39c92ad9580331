// Both clients where hosts are dead, servers frozen, and started again.
#include "calls.h"
#include "grpc_client.h"
#include "grpc_stub.h"
#include "http_client.h"
#include "http_stub.h"
#include "stub.h"

namespace tc = triton::client;
using calls::ExpectTimeout;
using calls::Infer;
using calls::InferLater;

namespace {

constexpr uint64_t kTimeout = 300000;  // microseconds

struct Http {
  using Client = tc::InferenceServerHttpClient;
  struct Server {
    explicit Server(int port) : server(http_stub::Always(http_stub::Identity("x"), port)) {}
    stub::Server server;
  };
  static constexpr char kName[] = "HTTP";
};

struct Grpc {
  using Client = tc::InferenceServerGrpcClient;
  struct Server {
    explicit Server(int port) : server(grpc_stub::AnswerIdentity, port) {}
    grpc_stub::Server server;
  };
  static constexpr char kName[] = "gRPC";
};

template <typename Protocol>
class NetworkTest : public testing::Test {};

struct Names {
  template <typename Protocol>
  static std::string GetName(int) {
    return Protocol::kName;
  }
};

using Protocols = testing::Types<Http, Grpc>;
TYPED_TEST_SUITE(NetworkTest, Protocols, Names);

}  // namespace

TYPED_TEST(NetworkTest, EndsAtItsTimeoutWhenAHostIsDead) {
  const stub::DeadHost host;
  if (!host.dead()) GTEST_SKIP() << "this kernel takes connections beyond a full queue";
  auto client = calls::Connect<typename TypeParam::Client>(host.Url());
  ExpectTimeout(Infer(client.get(), kTimeout));
  ExpectTimeout(InferLater(client.get(), kTimeout));
  ExpectTimeout(Infer(client.get(), kTimeout, 1 << 20));
  calls::ExpectPendingCallsEnd(std::move(client));
}

TEST(HttpNetwork, WaitsForAConnectionForALimitedTime) {
  const stub::DeadHost host;
  if (!host.dead()) GTEST_SKIP() << "this kernel takes connections beyond a full queue";
  const auto client = calls::Connect<Http::Client>(host.Url());
  client->SetConnectTimeout(kTimeout);
  bool live = true;
  for (const tc::Error& err :
       {client->IsServerLive(&live), Infer(client.get()), InferLater(client.get()),
        Infer(client.get(), 3600000000), InferLater(client.get(), 3600000000)}) {
    EXPECT_EQ(err.Code(), tc::ErrorCode::UNAVAILABLE) << err;
    calls::ExpectIn(host.Url(), err);
    EXPECT_EQ(err.Message().find("Deadline Exceeded"), std::string::npos) << err;
  }
  EXPECT_FALSE(live);
  ExpectTimeout(Infer(client.get(), 1000));
}

TYPED_TEST(NetworkTest, EndsAtItsTimeoutWhenAServerIsFrozen) {
  const stub::Server server([](const stub::Peer& peer) { peer.Stall(); });
  auto client = calls::Connect<typename TypeParam::Client>(server.Url());
  for (const size_t size : {size_t{4}, size_t{32} << 20}) {
    ExpectTimeout(Infer(client.get(), kTimeout, size));
    ExpectTimeout(InferLater(client.get(), kTimeout, size));
  }
  calls::ExpectPendingCallsEnd(std::move(client));
}

// A server that is started again is used again, without a new client.
TYPED_TEST(NetworkTest, GoesOnWhenAServerIsStartedAgain) {
  const stub::Port port;
  const auto client = calls::Connect<typename TypeParam::Client>(port.Url());
  for (int round = 0; round < 2; ++round) {
    {
      const typename TypeParam::Server server(port.number());
      // gRPC waits for a second before it connects again.
      tc::Error err("none");
      for (int i = 0; i < 600 && !err.IsOk(); ++i) {
        err = Infer(client.get());
        if (!err.IsOk()) std::this_thread::sleep_for(std::chrono::milliseconds(100));
      }
      EXPECT_TRUE(err.IsOk()) << err;
      EXPECT_TRUE(InferLater(client.get()).IsOk());
    }
    const tc::Error err = Infer(client.get(), 30000000);
    EXPECT_EQ(err.Code(), tc::ErrorCode::UNAVAILABLE) << err;
    calls::ExpectIn(port.Url(), err);
    EXPECT_EQ(InferLater(client.get(), 30000000).Code(), tc::ErrorCode::UNAVAILABLE);
  }
}

TEST(GrpcNetwork, EndsStreamsAndRequestsAtADeadHost) {
  const stub::DeadHost host;
  if (!host.dead()) GTEST_SKIP() << "this kernel takes connections beyond a full queue";
  const auto client = calls::Connect<Grpc::Client>(host.Url());
  bool live = true;
  ExpectTimeout(client->IsServerLive(&live, {}, kTimeout));
  EXPECT_FALSE(live);
  stub::Event ended;
  tc::Error err;
  ASSERT_TRUE(client
                  ->StartStream(
                      [&](tc::InferResult* result) {
                        err = result->RequestStatus();
                        delete result;
                        ended.Set();
                      },
                      true, kTimeout)
                  .IsOk());
  EXPECT_TRUE(ended.Wait());
  calls::ExpectIn("Stream has been closed: Deadline Exceeded", err);
  EXPECT_TRUE(client->StopStream().IsOk());
}
