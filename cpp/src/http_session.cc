// Calls that are waited for run on the caller's thread; all others on one thread with curl's multi
// interface.
#include "http_session.h"

#include <algorithm>
#include <chrono>
#include <deque>
#include <set>
#include <thread>
#include <unordered_map>
#include <utility>

namespace triton::client::internal {
namespace {

// Connections of more threads are closed after use.
constexpr size_t kMostIdle = 64;

// Calls beyond this wait for a connection: here, since curl would not see to their timeouts.
constexpr size_t kMostConnections = 1000;

using Clock = std::chrono::steady_clock;

void InitialiseCurl() {
  // Never cleaned up: threads may use curl while the process ends.
  static const CURLcode initialised = curl_global_init(CURL_GLOBAL_DEFAULT);
  (void)initialised;
}

Error NoMemory(const std::string& url) {
  return Error(ErrorCode::RESOURCE_EXHAUSTED,
               "HTTP client failed: " + url + ": curl can't make a handle", 0, url);
}

}  // namespace

/// The thread that carries calls which nobody waits for.
class HttpSession::Worker : public std::enable_shared_from_this<HttpSession::Worker> {
 public:
  struct Call {
    std::unique_ptr<Transfer> transfer;
    OnAnswer on_answer;
    std::string url;
    bool begun = false;  // curl has it
    Clock::time_point added = Clock::now();
    Clock::time_point deadline = Clock::time_point::max();  // of waiting
  };

  explicit Worker(HttpSession* session) : session_(session), multi_(curl_multi_init()) {}

  ~Worker() {
    if (multi_ != nullptr) curl_multi_cleanup(multi_);
  }

  Error Add(std::shared_ptr<Call> call) {
    if (multi_ == nullptr) return NoMemory(call->url);
    const std::lock_guard<std::mutex> lock(mutex_);
    if (exiting_) {
      return Error(ErrorCode::CANCELLED,
                   "HTTP client failed: " + call->url + ": the client is closed", 0, call->url);
    }
    if (!thread_.joinable()) {
      thread_ = std::thread([this] { Run(); });
    }
    added_.push_back(std::move(call));
    curl_multi_wakeup(multi_);
    return Error::Success;
  }

  void Cancel(const std::shared_ptr<Call>& call) {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (exiting_) return;
    cancelled_.push_back(call);
    curl_multi_wakeup(multi_);
  }

  void Stop() {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      exiting_ = true;
      if (multi_ != nullptr) curl_multi_wakeup(multi_);
    }
    if (thread_.joinable()) thread_.join();
  }

 private:
  void Run() {
    for (;;) {
      std::vector<std::shared_ptr<Call>> added;
      std::vector<std::weak_ptr<Call>> cancelled;
      bool exiting = false;
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        added.swap(added_);
        cancelled.swap(cancelled_);
        exiting = exiting_;
      }
      for (auto& call : added) Enter(call);
      for (const auto& each : cancelled) {
        if (const auto call = each.lock()) {
          End(call, "Locally cancelled by application!");
        }
      }
      if (exiting) {
        while (!active_.empty()) End(active_.begin()->second, "the client is closed");
        return;
      }
      int running = 0;
      curl_multi_perform(multi_, &running);
      int left = 0;
      while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
        if (message->msg == CURLMSG_DONE) Complete(message->easy_handle, message->data.result);
      }
      EndLate();
      if (BeginWaiting()) continue;
      curl_multi_poll(multi_, nullptr, 0, Pause(), nullptr);
    }
  }

  void Enter(const std::shared_ptr<Call>& call) {
    active_.emplace(call->transfer->easy(), call);
    if (begun_ < kMostConnections) {
      Begin(call);
      return;
    }
    const auto timeout = call->transfer->timeout();
    if (timeout.count() != 0 && timeout < std::chrono::hours(24 * 365)) {
      call->deadline = call->added + timeout;
      deadlines_.emplace(call->deadline, call);
    }
    waiting_.push_back(call);
  }

  void Begin(const std::shared_ptr<Call>& call) {
    call->begun = true;
    ++begun_;
    const CURLMcode code = curl_multi_add_handle(multi_, call->transfer->easy());
    if (code != CURLM_OK) End(call, curl_multi_strerror(code));
  }

  // Begin the calls whose turn it is; true if there were some.
  bool BeginWaiting() {
    bool some = false;
    while (begun_ < kMostConnections && !waiting_.empty()) {
      const std::shared_ptr<Call> call = std::move(waiting_.front());
      waiting_.pop_front();
      if (call->transfer == nullptr) continue;  // it is over
      deadlines_.erase({call->deadline, call});
      call->transfer->Shorten(
          std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - call->added));
      Begin(call);
      some = true;
    }
    return some;
  }

  // End the calls whose time is over while they wait.
  void EndLate() {
    const auto now = Clock::now();
    while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
      const auto call = deadlines_.begin()->second;
      call->transfer->Shorten(call->transfer->timeout());
      Complete(call->transfer->easy(), CURLE_OPERATION_TIMEDOUT);
    }
  }

  // Milliseconds until there is something to do that no connection tells of.
  int Pause() const {
    constexpr std::chrono::milliseconds kMost{10000};
    if (deadlines_.empty()) return static_cast<int>(kMost.count());
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(deadlines_.begin()->first - Clock::now());
    return static_cast<int>(std::clamp(left, std::chrono::milliseconds(0), kMost).count());
  }

  // Take a call out of all lists, and out of curl.
  std::shared_ptr<Call> Remove(CURL* easy) {
    const auto found = active_.find(easy);
    if (found == active_.end()) return nullptr;
    std::shared_ptr<Call> call = std::move(found->second);
    active_.erase(found);
    deadlines_.erase({call->deadline, call});
    if (call->begun) {
      --begun_;
      curl_multi_remove_handle(multi_, easy);
    }
    return call;
  }

  void Complete(CURL* easy, CURLcode code) {
    const std::shared_ptr<Call> call = Remove(easy);
    if (call == nullptr) return;
    RestAnswer answer;
    const Error err = call->transfer->Finish(code, &answer);
    Deliver(call, err, std::move(answer));
  }

  // End a call before its time.
  void End(std::shared_ptr<Call> call, const std::string& reason) {
    if (call->transfer == nullptr || Remove(call->transfer->easy()) == nullptr) return;
    Deliver(call,
            Error(ErrorCode::CANCELLED, "HTTP client failed: " + call->url + ": " + reason, 0,
                  call->url),
            RestAnswer());
  }

  void Deliver(const std::shared_ptr<Call>& call, const Error& err, RestAnswer&& answer) {
    const RequestTimers timers = call->transfer->timers();
    session_->GiveBack(std::move(call->transfer));
    auto kept = std::make_shared<RestAnswer>(std::move(answer));
    session_->dispatcher_.Post([on_answer = std::move(call->on_answer), err, kept, timers] {
      on_answer(err, std::move(*kept), timers);
    });
  }

  HttpSession* const session_;
  CURLM* const multi_;
  // Of the thread alone: all calls, those that wait for others to end, and when these are late.
  std::unordered_map<CURL*, std::shared_ptr<Call>> active_;
  size_t begun_ = 0;
  std::deque<std::shared_ptr<Call>> waiting_;
  std::set<std::pair<Clock::time_point, std::shared_ptr<Call>>> deadlines_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Call>> added_;
  std::vector<std::weak_ptr<Call>> cancelled_;
  bool exiting_ = false;
  std::thread thread_;
};

HttpSession::HttpSession(HttpEndpoint endpoint) : endpoint_(std::move(endpoint)) {
  InitialiseCurl();
  worker_ = std::make_shared<Worker>(this);
}

HttpSession::~HttpSession() { Close(); }

void HttpSession::Close() {
  worker_->Stop();
  dispatcher_.Stop();
}

Error HttpSession::Take(std::unique_ptr<Transfer>* transfer) {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!idle_.empty()) {
      *transfer = std::move(idle_.back());  // the last one used is the likeliest to be connected
      idle_.pop_back();
      return Error::Success;
    }
  }
  *transfer = Transfer::Make(endpoint_);
  return *transfer == nullptr ? NoMemory(endpoint_.url) : Error::Success;
}

void HttpSession::GiveBack(std::unique_ptr<Transfer> transfer) {
  transfer->Clear();
  const std::lock_guard<std::mutex> lock(mutex_);
  if (idle_.size() < kMostIdle) idle_.push_back(std::move(transfer));
}

Error HttpSession::Perform(HttpRequest&& request, RestAnswer* answer, RequestTimers* timers) {
  std::unique_ptr<Transfer> transfer;
  if (Error err = Take(&transfer); !err.IsOk()) return err;
  if (timers != nullptr) transfer->timers() = *timers;
  Error err = transfer->Prepare(std::move(request));
  if (err.IsOk()) {
    transfer->timers().CaptureTimestamp(RequestTimers::Kind::SEND_END);
    err = transfer->Finish(curl_easy_perform(transfer->easy()), answer);
  }
  if (timers != nullptr) *timers = transfer->timers();
  GiveBack(std::move(transfer));
  return err;
}

Error HttpSession::Start(HttpRequest&& request, const RequestTimers& timers, OnAnswer on_answer,
                         std::function<void()>* cancel) {
  auto call = std::make_shared<Worker::Call>();
  if (Error err = Take(&call->transfer); !err.IsOk()) return err;
  call->on_answer = std::move(on_answer);
  call->url = request.url;
  call->transfer->timers() = timers;
  Error err = call->transfer->Prepare(std::move(request));
  if (err.IsOk()) {
    call->transfer->timers().CaptureTimestamp(RequestTimers::Kind::SEND_END);
    err = worker_->Add(call);
  }
  if (!err.IsOk()) {
    if (call->transfer != nullptr) GiveBack(std::move(call->transfer));
    return err;
  }
  if (cancel != nullptr) {
    *cancel = [worker = std::weak_ptr<Worker>(worker_), weak = std::weak_ptr<Worker::Call>(call)] {
      const auto kept = worker.lock();
      const auto still = weak.lock();
      if (kept != nullptr && still != nullptr) kept->Cancel(still);
    };
  }
  return Error::Success;
}

}  // namespace triton::client::internal
