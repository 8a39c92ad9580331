// One stream of inferences: a thread that reads, and writes in the callers' threads.
#pragma once

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <queue>
#include <thread>

#include "channels.h"
#include "triton/client/client.h"

namespace triton::client::internal {

class GrpcStream : public std::enable_shared_from_this<GrpcStream> {
 public:
  using OnResult = std::function<void(InferResult*)>;

  /// @param count counts a request that was answered; null when they are not counted.
  GrpcStream(std::shared_ptr<Channel> channel, std::string url, uint64_t timeout_us,
             OnResult on_result, std::function<void(const RequestTimers&)> count);
  ~GrpcStream();
  GrpcStream(const GrpcStream&) = delete;
  GrpcStream& operator=(const GrpcStream&) = delete;

  /// The context to prepare before it is opened.
  grpc::ClientContext* context() { return context_.get(); }

  /// Start the thread.
  void Open();

  /// Send a message and clear it. Returns when gRPC has let go of what was lent for it.
  Error Write(grpc::ByteBuffer* message, const std::shared_ptr<Loan>& loan,
              const RequestTimers& timers);

  /// Close it and wait for the end.
  /// @param cancel the reason that the last result names; nullptr to wait for the responses.
  void Stop(const char* cancel);

  /// Close it, and cancel it when the server does not close it soon.
  void Detach();

  /// True within the callback.
  bool IsCurrent() const;

 private:
  void Run();
  void Deliver(const grpc::ByteBuffer& message);
  Error WhyClosed(const grpc::Status& status);
  void HalfClose();
  void Cancel();
  void WaitForLoan(const std::shared_ptr<Loan>& loan);

  const std::shared_ptr<Channel> channel_;
  const std::string url_;
  const uint64_t timeout_us_;
  const OnResult on_result_;
  const std::function<void(const RequestTimers&)> count_;
  std::unique_ptr<grpc::ClientContext> context_;  // until it is closed
  std::string peer_;                              // once it is closed

  using Calls = grpc::ClientReaderWriter<grpc::ByteBuffer, grpc::ByteBuffer>;
  std::unique_ptr<Calls> calls_;  // from when `ready_` is set until it is closed

  std::timed_mutex write_mutex_;  // one write at a time
  bool half_closed_ = false;

  std::mutex mutex_;
  std::condition_variable changed_;
  bool ready_ = false;
  bool closed_ = false;
  bool detached_ = false;
  bool stopping_ = false;
  const char* cancelled_ = nullptr;
  std::queue<RequestTimers> sent_;
  std::thread thread_;
  std::atomic<std::thread::id> reader_;
};

}  // namespace triton::client::internal
