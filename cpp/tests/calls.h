// Calls that the tests of both clients make in the same way.
#pragma once

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "stub.h"
#include "triton/client/client.h"
#include "triton/client/front.h"

namespace calls {

namespace tc = triton::client;

template <typename Client>
std::unique_ptr<Client> Connect(const std::string& url) {
  std::unique_ptr<Client> client;
  const tc::Error err = Client::Create(&client, url);
  EXPECT_TRUE(err.IsOk()) << err;
  return client;
}

// An input of bytes that it owns.
inline std::unique_ptr<tc::InferInput> Input(size_t size = 4) {
  return tc::InferInput::Make("A", {static_cast<int64_t>(size)}, std::vector<uint8_t>(size, 1));
}

inline tc::InferOptions Options(uint64_t timeout_us = 0) {
  tc::InferOptions options("m");
  options.client_timeout_ = timeout_us;
  return options;
}

// Delete the result, whatever it is.
template <typename Client>
tc::Error Infer(Client* client, uint64_t timeout_us = 0, size_t size = 4) {
  const auto input = Input(size);
  tc::InferResult* result = nullptr;
  const tc::Error err = client->Infer(&result, Options(timeout_us), {input.get()});
  delete result;
  return err;
}

// Return how a call ends that is not waited for.
template <typename Client>
tc::Error InferLater(Client* client, uint64_t timeout_us = 0, size_t size = 4) {
  const auto input = Input(size);
  return tc::InferAsync(*client, Options(timeout_us), {input.get()}).get().error;
}

inline void ExpectIn(const std::string& part, const tc::Error& err) {
  EXPECT_NE(err.Message().find(part), std::string::npos) << err;
}

inline void ExpectTimeout(const tc::Error& err) {
  EXPECT_EQ(err.Code(), tc::ErrorCode::DEADLINE_EXCEEDED) << err;
  ExpectIn("Deadline Exceeded", err);
}

// Inferences without a limit of their own end at the client's.
template <typename Client>
void ExpectTimeoutOfAllCalls(Client* client) {
  ExpectTimeout(Infer(client));
  ExpectTimeout(Infer(client, 0, 1 << 20));
  ExpectTimeout(InferLater(client));
}

// Sixteen threads use one client, in both ways, with one input for all. The server answers with the
// id of the request. `also` is what they call besides.
template <typename Client, typename Also>
void ExpectSixteenThreadsWork(Client* client, Also also) {
  constexpr int kThreads = 16;
  constexpr int kCalls = 20;
  std::atomic<int> wrong{0};
  stub::Counter answered;
  const auto small = Input();
  const auto large = Input(100000);
  const auto check = [&](tc::InferResult* result, const std::string& id) {
    const std::unique_ptr<tc::InferResult> owner(result);
    std::string received;
    if (result == nullptr || !result->RequestStatus().IsOk() || !result->Id(&received).IsOk() ||
        received != id) {
      ++wrong;
    }
    answered.Add();
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
        also();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_TRUE(answered.WaitFor(kThreads * kCalls));
  EXPECT_EQ(wrong, 0);
  tc::InferStat stat;
  client->ClientInferStat(&stat);
  EXPECT_EQ(stat.completed_request_count, static_cast<size_t>(kThreads * kCalls));
}

// What is pending when a client is destroyed ends with an error, once each.
template <typename Client>
void ExpectPendingCallsEnd(std::unique_ptr<Client> client) {
  const auto input = Input(100000);
  std::atomic<int> cancelled{0};
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
  client.reset();
  EXPECT_EQ(cancelled, 10);
}

// A callback that does not return holds up no other call, not even one that is not waited for: only
// that one's callback.
template <typename Client>
void ExpectSlowCallbackHoldsUpNoCall(Client* client) {
  const auto input = Input();
  stub::Event release;
  stub::Event first;
  stub::Event second;
  client->AsyncInfer(
      [&](tc::InferResult* result) {
        delete result;
        first.Set();
        release.Wait();
      },
      Options(), {input.get()});
  ASSERT_TRUE(first.Wait());
  client->AsyncInfer(
      [&](tc::InferResult* result) {
        EXPECT_TRUE(result->RequestStatus().IsOk());
        delete result;
        second.Set();
      },
      Options(), {input.get()});
  EXPECT_TRUE(Infer(client).IsOk());
  release.Set();
  EXPECT_TRUE(second.Wait());
}

// One call is cancelled, of a server that never answers. `start` begins it.
template <typename Start>
void ExpectCancel(Start start) {
  const auto input = Input();
  stub::Event done;
  tc::Error err;
  tc::CallContext* context = nullptr;
  const tc::Error started = start(
      [&](tc::InferResult* result) {
        err = result->RequestStatus();
        delete result;
        done.Set();
      },
      input.get(), &context);
  ASSERT_TRUE(started.IsOk()) << started;
  ASSERT_NE(context, nullptr);
  context->Cancel();
  EXPECT_TRUE(done.Wait());
  ExpectIn("Locally cancelled by application!", err);
  EXPECT_EQ(err.Code(), tc::ErrorCode::CANCELLED);
  context->Cancel();  // harmless
  delete context;
}

}  // namespace calls
