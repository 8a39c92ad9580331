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
  call->channel = channel;
  std::call_once(started_, [this] { thread_ = std::thread([this] { Run(); }); });
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_.insert(call);
  }
  // The queue's thread takes this lock first, so that it sees all that is set here.
  const std::lock_guard<std::mutex> setting_up(call->mutex);
  call->self = call;
  call->reader = channel->generic.PrepareUnaryCall(call->context.get(), channel->infer.name(),
                                                   call->request, &queue_);
  call->reader->StartCall();
  call->reader->Finish(&call->response, &call->status, call.get());
  return Error::Success;
}

void AsyncCalls::Run() {
  constexpr std::chrono::seconds kPatience{1};
  auto checked = std::chrono::system_clock::now();
  for (;;) {
    void* tag = nullptr;
    bool ok = false;
    const auto next = queue_.AsyncNext(&tag, &ok, checked + kPatience);
    if (next == grpc::CompletionQueue::SHUTDOWN) return;
    if (next == grpc::CompletionQueue::GOT_EVENT) {
      Finish(static_cast<AsyncCall*>(tag));
    }
    if (std::chrono::system_clock::now() >= checked + kPatience) {
      checked = std::chrono::system_clock::now();
      RescueOverdue();
    }
  }
}

// gRPC ends no call, not even at its deadline, while the connection takes nothing of what is being
// written.
void AsyncCalls::RescueOverdue() {
  const auto now = std::chrono::system_clock::now();
  std::string peer;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    for (const auto& call : calls_) {
      if (call->loan == nullptr) continue;
      const std::lock_guard<std::mutex> alive(call->mutex);
      if (call->context == nullptr) continue;
      const bool late = call->timeout_us != 0 && call->context->deadline() < now;
      if (late || call->cancelled != nullptr) peer = call->context->peer();
    }
  }
  if (!peer.empty()) rescue_.Try(peer);
}

void AsyncCalls::Finish(AsyncCall* ended) {
  std::shared_ptr<AsyncCall> call;
  {
    const std::lock_guard<std::mutex> lock(ended->mutex);
    ended->timers.CaptureTimestamp(RequestTimers::Kind::RECV_START);
    call.swap(ended->self);
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_.erase(call);
  }
  Error err;
  std::string peer;
  {
    const std::lock_guard<std::mutex> lock(call->mutex);
    err = ErrorOf(call->status, url_, call->timeout_us, call->cancelled);
    if (call->loan != nullptr) peer = call->context->peer();
    call->reader.reset();
    call->context.reset();
  }
  call->request.Clear();
  call->channel.reset();
  dispatcher_.Post([call, peer, err] {
    Reclaim(call->loan, peer);
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
