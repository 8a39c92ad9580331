// The state is shared with the thread, which may outlive the dispatcher.
#include "dispatcher.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

namespace triton::client::internal {

struct Dispatcher::State {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::function<void()>> jobs;
  bool stopping = false;
  std::thread thread;
};

Dispatcher::Dispatcher() : state_(std::make_shared<State>()) {}

Dispatcher::~Dispatcher() { Stop(); }

void Dispatcher::Run(State* state) {
  std::unique_lock<std::mutex> lock(state->mutex);
  for (;;) {
    state->changed.wait(lock, [&] { return !state->jobs.empty() || state->stopping; });
    if (state->jobs.empty()) return;
    {
      std::function<void()> job = std::move(state->jobs.front());
      state->jobs.pop_front();
      lock.unlock();
      job();
    }  // what the job holds is let go outside the lock too
    lock.lock();
  }
}

bool Dispatcher::Begin(const std::shared_ptr<State>& state) {
  try {
    state->thread = std::thread([state] { Run(state.get()); });
  } catch (const std::system_error&) {
    return false;  // there are too many threads
  }
  return true;
}

void Dispatcher::Post(std::function<void()> job) {
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    if (!state_->stopping && (state_->thread.joinable() || Begin(state_))) {
      state_->jobs.push_back(std::move(job));
      state_->changed.notify_one();
      return;
    }
  }
  job();
}

bool Dispatcher::IsCurrent() const {
  const std::lock_guard<std::mutex> lock(state_->mutex);
  return state_->thread.get_id() == std::this_thread::get_id();
}

void Dispatcher::Stop() {
  std::thread ending;
  {
    const std::lock_guard<std::mutex> lock(state_->mutex);
    state_->stopping = true;
    state_->changed.notify_all();
    std::swap(ending, state_->thread);
  }
  if (!ending.joinable()) return;
  if (ending.get_id() == std::this_thread::get_id()) {
    ending.detach();
  } else {
    ending.join();
  }
}

}  // namespace triton::client::internal
