// What the clients of both protocols have in common.
#include "triton/client/client.h"

#include <cstdint>
#include <limits>

namespace triton::client {

uint64_t RequestTimers::CaptureTimestamp(Kind kind) {
  const auto now = std::chrono::steady_clock::now().time_since_epoch();
  const auto ns = std::chrono::duration_cast<std::chrono::nanoseconds>(now).count();
  return timestamps_[static_cast<size_t>(kind)] = static_cast<uint64_t>(ns);
}

uint64_t RequestTimers::Duration(Kind start, Kind end) const {
  const uint64_t from = Timestamp(start);
  const uint64_t to = Timestamp(end);
  if (from == 0 || to == 0 || from > to) return std::numeric_limits<uint64_t>::max();
  return to - from;
}

// The destructors are here so that the classes' type information is in the library.
InferResult::~InferResult() = default;
InferRequest::~InferRequest() = default;

InferenceServerClient::InferenceServerClient(bool verbose)
    : verbose_(verbose), statistics_(std::make_shared<Statistics>()) {}
InferenceServerClient::~InferenceServerClient() = default;

Error InferenceServerClient::ClientInferStat(InferStat* infer_stat) const {
  if (infer_stat == nullptr) return Error(ErrorCode::INVALID_ARGUMENT, "'infer_stat' is null");
  const std::lock_guard<std::mutex> lock(statistics_->mutex);
  *infer_stat = statistics_->value;
  return Error::Success;
}

void InferenceServerClient::UpdateInferStat(const RequestTimers& timer) { statistics_->Add(timer); }

void InferenceServerClient::Statistics::Add(const RequestTimers& timer) {
  using Kind = RequestTimers::Kind;
  const auto known = [&](Kind start, Kind end) -> uint64_t {
    const uint64_t duration = timer.Duration(start, end);
    return duration == std::numeric_limits<uint64_t>::max() ? 0 : duration;
  };
  const std::lock_guard<std::mutex> lock(mutex);
  ++value.completed_request_count;
  value.cumulative_total_request_time_ns += known(Kind::REQUEST_START, Kind::REQUEST_END);
  value.cumulative_send_time_ns += known(Kind::SEND_START, Kind::SEND_END);
  value.cumulative_receive_time_ns += known(Kind::RECV_START, Kind::RECV_END);
}

}  // namespace triton::client
