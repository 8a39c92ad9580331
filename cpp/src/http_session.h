// A client's connections: a pool for calls that are waited for, and a thread for the others.
#pragma once

#include <functional>
#include <memory>
#include <mutex>
#include <vector>

#include "dispatcher.h"
#include "http_transfer.h"

namespace triton::client::internal {

/// Receives how a call ended, and what was answered. Runs on the dispatcher's thread.
using OnAnswer = std::function<void(const Error&, RestAnswer&&, const RequestTimers&)>;

class HttpSession {
 public:
  explicit HttpSession(HttpEndpoint endpoint);
  ~HttpSession();
  HttpSession(const HttpSession&) = delete;
  HttpSession& operator=(const HttpSession&) = delete;

  /// Make a call and wait for its end.
  Error Perform(HttpRequest&& request, RestAnswer* answer, RequestTimers* timers);

  /// Begin a call.
  /// @param cancel receives a function that ends the call.
  Error Start(HttpRequest&& request, const RequestTimers& timers, OnAnswer on_answer,
              std::function<void()>* cancel);

  /// End the calls that are not over. Each gets its answer: an error.
  void Close();

  Dispatcher& dispatcher() { return dispatcher_; }
  const HttpEndpoint& endpoint() const { return endpoint_; }

 private:
  class Worker;

  Error Take(std::unique_ptr<Transfer>* transfer);
  void GiveBack(std::unique_ptr<Transfer> transfer);

  const HttpEndpoint endpoint_;
  std::mutex mutex_;
  std::vector<std::unique_ptr<Transfer>> idle_;
  Dispatcher dispatcher_;
  std::shared_ptr<Worker> worker_;
};

}  // namespace triton::client::internal
