// Inferences over gRPC that are not waited for.
#pragma once

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <thread>
#include <unordered_set>

#include "channels.h"
#include "dispatcher.h"
#include "triton/client/client.h"

namespace triton::client::internal {

/// One inference that is under way.
struct AsyncCall {
  grpc::ByteBuffer request;
  std::shared_ptr<Loan> loan;
  std::unique_ptr<grpc::ClientContext> context = std::make_unique<grpc::ClientContext>();
  std::shared_ptr<Channel> channel;
  std::unique_ptr<grpc::ClientAsyncResponseReader<grpc::ByteBuffer>> reader;
  grpc::ByteBuffer response;
  grpc::Status status;
  RequestTimers timers;
  uint64_t timeout_us = 0;
  /// Receives how it ended, on the dispatcher's thread.
  std::function<void(const Error&, const grpc::ByteBuffer&, const RequestTimers&)> on_end;

  std::mutex mutex;  // of what follows, of the context's life, and of setting up
  const char* cancelled = nullptr;
  std::shared_ptr<AsyncCall> self;  // while gRPC has it

  /// End it, if it is not over.
  void Cancel(const char* reason);
};

/// A completion queue with its thread. Callbacks have another, so that a slow one holds up no call.
class AsyncCalls {
 public:
  explicit AsyncCalls(std::string url) : url_(std::move(url)) {}
  ~AsyncCalls() { Close(); }
  AsyncCalls(const AsyncCalls&) = delete;
  AsyncCalls& operator=(const AsyncCalls&) = delete;

  Error Start(const std::shared_ptr<AsyncCall>& call, const std::shared_ptr<Channel>& channel);

  /// End all calls and wait for their callbacks.
  void Close();

  Dispatcher& dispatcher() { return dispatcher_; }

 private:
  void Run();
  void Finish(AsyncCall* ended);
  void RescueOverdue();

  const std::string url_;
  Dispatcher dispatcher_;
  grpc::CompletionQueue queue_;
  std::shared_mutex closing_mutex_;  // nothing begins once the queue is shut down
  bool closing_ = false;
  std::once_flag started_;
  std::thread thread_;
  std::mutex mutex_;
  std::unordered_set<std::shared_ptr<AsyncCall>> calls_;
  Rescue rescue_;  // of the thread
};

}  // namespace triton::client::internal
