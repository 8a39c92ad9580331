// The blocking interface of gRPC is used: reading and writing may go on at the same time.
#include "grpc_stream.h"

#include <utility>

#include "grpc_calls.h"

namespace triton::client::internal {
namespace {

// How long a server may take to close an idle stream before it is cancelled.
constexpr std::chrono::milliseconds kPatience{1000};

Error Closed() { return Error(ErrorCode::UNAVAILABLE, "Stream has been closed."); }

}  // namespace

GrpcStream::GrpcStream(std::shared_ptr<Channel> channel, std::string url, uint64_t timeout_us,
                       OnResult on_result, std::function<void(const RequestTimers&)> count)
    : channel_(std::move(channel)),
      url_(std::move(url)),
      timeout_us_(timeout_us),
      on_result_(std::move(on_result)),
      count_(std::move(count)),
      context_(std::make_unique<grpc::ClientContext>()) {}

GrpcStream::~GrpcStream() {
  // Only the thread itself may be the last to refer to a stream that is not joined.
  if (thread_.joinable()) thread_.detach();
}

void GrpcStream::Open() {
  const std::lock_guard<std::mutex> lock(mutex_);
  thread_ = std::thread([self = shared_from_this()] { self->Run(); });
}

bool GrpcStream::IsCurrent() const { return reader_.load() == std::this_thread::get_id(); }

void GrpcStream::Run() {
  reader_ = std::this_thread::get_id();
  static const grpc::internal::RpcMethod* const method =
      new grpc::internal::RpcMethod("/inference.GRPCInferenceService/ModelStreamInfer", nullptr,
                                    grpc::internal::RpcMethod::BIDI_STREAMING);
  // This waits for the connection.
  std::unique_ptr<Calls> calls(
      grpc::internal::ClientReaderWriterFactory<grpc::ByteBuffer, grpc::ByteBuffer>::Create(
          channel_->channel.get(), *method, context_.get()));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_ = std::move(calls);
    ready_ = true;
    changed_.notify_all();
  }
  grpc::ByteBuffer message;
  while (calls_->Read(&message)) Deliver(message);
  const grpc::Status status = calls_->Finish();
  const Error why = WhyClosed(status);
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    closed_ = true;
    peer_ = context_->peer();
    changed_.notify_all();
  }
  {
    // A write does not end while the connection takes nothing.
    std::unique_lock<std::timed_mutex> writing(write_mutex_, std::defer_lock);
    Rescue rescue;
    while (!writing.try_lock_for(kPatience)) rescue.Try(peer_);
    const std::lock_guard<std::mutex> lock(mutex_);
    calls_.reset();
    context_.reset();
  }
  if (!why.IsOk()) on_result_(MakeErrorResult(why));
}

void GrpcStream::Deliver(const grpc::ByteBuffer& message) {
  RequestTimers timers;
  bool counted = false;
  if (count_ != nullptr) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!sent_.empty()) {
      timers = sent_.front();
      sent_.pop();
      counted = true;
    }
  }
  timers.CaptureTimestamp(RequestTimers::Kind::RECV_START);
  InferResult* result = nullptr;
  try {
    result = MakeStreamResult(message);
  } catch (const std::exception& exception) {
    result = MakeErrorResult(Error(ErrorCode::RESOURCE_EXHAUSTED,
                                   std::string("can't read the answer: ") + exception.what()));
  }
  timers.CaptureTimestamp(RequestTimers::Kind::RECV_END);
  timers.CaptureTimestamp(RequestTimers::Kind::REQUEST_END);
  if (counted) count_(timers);
  on_result_(result);
}

Error GrpcStream::WhyClosed(const grpc::Status& status) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (detached_) return Error::Success;
  const std::string prefix = "Stream has been closed: ";
  if (!status.ok()) {
    const Error why = ErrorOf(status, url_, timeout_us_, cancelled_);
    return Error(why.Code(), prefix + why.Message(), 0, url_);
  }
  if (stopping_) return Error::Success;
  return Error(ErrorCode::UNAVAILABLE, prefix + url_ + " ended it", 0, url_);
}

Error GrpcStream::Write(grpc::ByteBuffer* message, const std::shared_ptr<Loan>& loan,
                        const RequestTimers& timers) {
  bool written = false;
  {
    const std::lock_guard<std::timed_mutex> writing(write_mutex_);
    bool open = false;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      changed_.wait(lock, [this] { return ready_ || closed_; });
      open = !closed_ && !half_closed_;
      if (open && count_ != nullptr) sent_.push(timers);
    }
    written = open && calls_->Write(*message);
  }
  message->Clear();
  WaitForLoan(loan);
  return written ? Error::Success : Closed();
}

void GrpcStream::WaitForLoan(const std::shared_ptr<Loan>& loan) {
  if (loan == nullptr) return;
  for (;;) {
    // While the stream is open, it may be slow.
    if (loan->WaitFor(std::chrono::milliseconds(50))) return;
    const std::lock_guard<std::mutex> lock(mutex_);
    if (closed_) break;
  }
  Reclaim(loan, peer_);
}

void GrpcStream::HalfClose() {
  const std::lock_guard<std::timed_mutex> writing(write_mutex_);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    changed_.wait(lock, [this] { return ready_ || closed_; });
    if (half_closed_ || closed_) return;
    half_closed_ = true;
  }
  calls_->WritesDone();
}

void GrpcStream::Cancel() {
  if (context_ != nullptr) context_->TryCancel();
}

void GrpcStream::Stop(const char* cancel) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
    if (cancel != nullptr && !closed_) {
      cancelled_ = cancel;
      Cancel();
    }
  }
  HalfClose();
  thread_.join();
}

void GrpcStream::Detach() {
  if (IsCurrent()) {
    const std::lock_guard<std::mutex> lock(mutex_);
    detached_ = true;
    Cancel();
    return;  // the thread ends after the callback, and with it this stream
  }
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  std::thread closing([this] { HalfClose(); });
  {
    std::unique_lock<std::mutex> lock(mutex_);
    if (!changed_.wait_for(lock, kPatience, [this] { return closed_; })) {
      cancelled_ = kClosed;
      Cancel();
    }
  }
  closing.join();
  thread_.join();
}

}  // namespace triton::client::internal
