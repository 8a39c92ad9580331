// What the clients of both protocols have in common.
#pragma once

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "triton/client/error.h"
#include "triton/client/result.h"

namespace triton::client {

/// What a client counted. Requests without an answer over HTTP are not counted.
struct InferStat {
  size_t completed_request_count = 0;
  uint64_t cumulative_total_request_time_ns = 0;
  uint64_t cumulative_send_time_ns = 0;
  uint64_t cumulative_receive_time_ns = 0;
};

/// When the steps of a request took place, in nanoseconds of a steady clock.
class TRITON_CLIENT_API RequestTimers {
 public:
  enum class Kind {
    REQUEST_START,
    REQUEST_END,
    SEND_START,
    SEND_END,
    RECV_START,
    RECV_END,
    COUNT__  // NOLINT(bugprone-reserved-identifier): the official name
  };

  RequestTimers() { Reset(); }
  void Reset() { timestamps_.fill(0); }
  uint64_t Timestamp(Kind kind) const { return timestamps_[static_cast<size_t>(kind)]; }
  /// Note the present time for this step and return it.
  uint64_t CaptureTimestamp(Kind kind);
  /// Return the nanoseconds between two steps, or the largest uint64_t when one of them did not
  /// take place or they took place in the other order.
  uint64_t Duration(Kind start, Kind end) const;

 private:
  std::array<uint64_t, static_cast<size_t>(Kind::COUNT__)> timestamps_;
};

/// A call that is not waited for, so that it can be cancelled. The caller deletes it, at any time.
class TRITON_CLIENT_API CallContext {
 public:
  explicit CallContext(std::function<void()> cancel) : cancel_(std::move(cancel)) {}
  /// End the call. Its callback gets a result with the error "Locally cancelled by application!".
  /// Does nothing when the call is over.
  void Cancel() {
    if (cancel_) cancel_();
  }

 private:
  std::function<void()> cancel_;
};

/// The base of the clients. All methods of all clients may be called from any thread.
class TRITON_CLIENT_API InferenceServerClient {
 public:
  /// Receives a result and owns it. Callbacks of one client run one after the other, on a thread
  /// of their own, and may call the client.
  using OnCompleteFn = std::function<void(InferResult*)>;
  using OnMultiCompleteFn = std::function<void(std::vector<InferResult*>)>;

  explicit InferenceServerClient(bool verbose);
  virtual ~InferenceServerClient();
  InferenceServerClient(const InferenceServerClient&) = delete;
  InferenceServerClient& operator=(const InferenceServerClient&) = delete;

  /// Get what the client counted so far.
  Error ClientInferStat(InferStat* infer_stat) const;

 protected:
  void UpdateInferStat(const RequestTimers& timer);

  /// Counters that outlive the client while calls are under way.
  struct Statistics {
    mutable std::mutex mutex;
    InferStat value;
    void Add(const RequestTimers& timer);
  };

  const bool verbose_;
  std::shared_ptr<Statistics> statistics_;
};

/// The times and the callback of a request, for programs that measure their own.
class TRITON_CLIENT_API InferRequest {
 public:
  InferRequest(InferenceServerClient::OnCompleteFn callback = nullptr, const bool verbose = false)
      : callback_(std::move(callback)), verbose_(verbose) {}
  virtual ~InferRequest();
  RequestTimers& Timer() { return timer_; }

 protected:
  InferenceServerClient::OnCompleteFn callback_;
  const bool verbose_;

 private:
  RequestTimers timer_;
};

}  // namespace triton::client
