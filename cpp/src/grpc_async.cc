// The queue's thread only moves what has ended to the dispatcher.
#include "grpc_async.h"

#include <utility>
#include <vector>

#include "grpc_calls.h"

namespace triton::client::internal {

void AsyncCall::Cancel(const char* reason) {
  const std::lock_guard<std::mutex> lock(mutex);
  if (context == nullptr) return;
  cancelled = reason;
  context->TryCancel();
}

Error AsyncCalls::Start(const std::shared_ptr<AsyncCall>& call,
                        const std::shared_ptr<Channel>& channel) {
  const std::shared_lock<std::shared_mutex> open(closing_mutex_);
  if (closing_) return Error(ErrorCode::CANCELLED, url_ + ": " + kClosed, 0, url_);
  call->visit = std::make_unique<Channel::Visit>(channel, call->context.get());
  Live* const live = call->visit->live();
  if (live == nullptr) {
    return Error(ErrorCode::UNAVAILABLE, "gRPC client failed: " + url_ +
                                             ": the connection was given up", 0, url_);
  }
  std::call_once(started_, [this] { thread_ = std::thread([this] { Run(); }); });
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_.insert(call);
  }
  call->self = call;
  call->reader =
      live->generic.PrepareUnaryCall(call->context.get(), live->infer.name(), call->request,
                                     &queue_);
  call->reader->StartCall();
  call->reader->Finish(&call->response, &call->status, call.get());
  return Error::Success;
}

void AsyncCalls::Run() {
  void* tag = nullptr;
  bool ok = false;
  while (queue_.Next(&tag, &ok)) {
    auto* const call = static_cast<AsyncCall*>(tag);
    call->timers.CaptureTimestamp(RequestTimers::Kind::RECV_START);
    Finish(std::exchange(call->self, nullptr));
  }
}

void AsyncCalls::Finish(const std::shared_ptr<AsyncCall>& call) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_.erase(call);
  }
  const auto channel = call->visit->channel();
  call->visit->End();
  Error err;
  {
    const std::lock_guard<std::mutex> lock(call->mutex);
    err = ErrorOf(call->status, url_, call->timeout_us, call->cancelled);
    // A call keeps its connection, and with it what was lent, until it is destroyed.
    call->reader.reset();
    call->context.reset();
  }
  call->request.Clear();
  dispatcher_.Post([call, channel, err] {
    Reclaim(call->loan, channel);
    call->on_end(err, call->response, call->timers);
  });
}

void AsyncCalls::Close() {
  std::vector<std::shared_ptr<AsyncCall>> pending;
  {
    const std::unique_lock<std::shared_mutex> lock(closing_mutex_);
    if (!closing_) {
      closing_ = true;
      queue_.Shutdown();
    }
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    pending.assign(calls_.begin(), calls_.end());
  }
  for (const auto& call : pending) call->Cancel(kClosed);
  if (thread_.joinable()) {
    thread_.join();
  } else {
    // A queue must be empty when it is destroyed, also when nobody used it.
    void* tag = nullptr;
    bool ok = false;
    while (queue_.Next(&tag, &ok)) {
    }
  }
  dispatcher_.Stop();
}

}  // namespace triton::client::internal
