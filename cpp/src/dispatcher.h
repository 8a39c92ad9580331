// The thread on which a client's callbacks run.
#pragma once

#include <functional>
#include <memory>

namespace triton::client::internal {

/// Runs jobs one after the other on a thread of its own, which starts with the first of them.
class Dispatcher {
 public:
  Dispatcher();
  ~Dispatcher();
  Dispatcher(const Dispatcher&) = delete;
  Dispatcher& operator=(const Dispatcher&) = delete;

  /// Add a job. After Stop(), and where no thread can be had, it runs at once on the caller's
  /// thread.
  void Post(std::function<void()> job);

  /// Run all jobs that are left, and end the thread. Within a job, the thread is left to end by
  /// itself once the jobs are done.
  void Stop();

  /// True within a job.
  bool IsCurrent() const;

 private:
  struct State;
  static bool Begin(const std::shared_ptr<State>& state);
  static void Run(State* state);

  std::shared_ptr<State> state_;
};

}  // namespace triton::client::internal
