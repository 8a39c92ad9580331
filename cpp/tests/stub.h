// A server whose every byte the test decides.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <condition_variable>
#include <cstring>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace stub {

/// How long to wait for what comes at once where the machine is not busy.
constexpr std::chrono::seconds kPatience{300};

/// A connection that was accepted.
class Peer {
 public:
  explicit Peer(int fd, const std::atomic<bool>* stopping) : fd_(fd), stopping_(stopping) {}

  bool Send(const std::string& bytes) const {
    size_t done = 0;
    while (done < bytes.size()) {
      const ssize_t sent = send(fd_, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
      if (sent <= 0) return false;
      done += static_cast<size_t>(sent);
    }
    return true;
  }

  /// Read at least a byte; empty when the client hung up or the test is over.
  std::string Receive() const {
    while (!*stopping_) {
      pollfd waiting{fd_, POLLIN, 0};
      if (poll(&waiting, 1, 20) <= 0) continue;
      char buffer[65536];
      const ssize_t got = recv(fd_, buffer, sizeof(buffer), 0);
      return got <= 0 ? std::string() : std::string(buffer, static_cast<size_t>(got));
    }
    return {};
  }

  /// Read a request over HTTP with its body.
  std::string ReceiveRequest() const {
    std::string request;
    for (;;) {
      const size_t end = request.find("\r\n\r\n");
      if (end != std::string::npos) {
        const size_t at = request.find("\r\nContent-Length: ");
        const size_t length = at == std::string::npos ? 0 : std::stoul(request.substr(at + 18));
        if (request.size() >= end + 4 + length) return request;
      }
      const std::string more = Receive();
      if (more.empty()) return {};
      request += more;
    }
  }

  /// Do nothing until the test is over.
  void Stall() const {
    while (!*stopping_) std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  /// Read nothing more, but wait until the client hangs up.
  void WaitForEnd() const {
    while (!*stopping_) {
      pollfd waiting{fd_, POLLRDHUP, 0};
      if (poll(&waiting, 1, 20) > 0 && (waiting.revents & (POLLRDHUP | POLLHUP | POLLERR)) != 0) {
        return;
      }
    }
  }

 private:
  int fd_;
  const std::atomic<bool>* stopping_;
};

inline sockaddr_in Loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

/// Bind to a port of this host, 0 for any, and return which.
inline int Bind(int fd, int port) {
  const int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = Loopback(port);
  socklen_t size = sizeof(address);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), size), 0) << std::strerror(errno);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

/// A port that nobody else gets while no server listens at it: connections are refused.
class Port {
 public:
  Port() : fd_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), number_(Bind(fd_, 0)) {}
  ~Port() { close(fd_); }
  Port(const Port&) = delete;
  Port& operator=(const Port&) = delete;

  int number() const { return number_; }
  std::string Url() const { return "127.0.0.1:" + std::to_string(number_); }

 private:
  const int fd_;
  const int number_;
};

/// A host that does not answer to SYN: the queue of its listener is full.
class DeadHost {
 public:
  DeadHost()
      : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), port_(Bind(listener_, 0)) {
    EXPECT_EQ(listen(listener_, 0), 0);
    for (int& fd : queued_) {
      fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
      const sockaddr_in address = Loopback(port_);
      connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address));
      pollfd connecting{fd, POLLOUT, 0};
      dead_ = poll(&connecting, 1, 500) == 0;
      if (dead_) break;
    }
  }
  ~DeadHost() {
    for (const int fd : queued_) {
      if (fd >= 0) close(fd);
    }
    close(listener_);
  }
  DeadHost(const DeadHost&) = delete;
  DeadHost& operator=(const DeadHost&) = delete;

  /// False where the kernel takes connections beyond the length of the queue.
  bool dead() const { return dead_; }
  std::string Url() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  const int listener_;
  const int port_;
  bool dead_ = false;
  std::array<int, 8> queued_{-1, -1, -1, -1, -1, -1, -1, -1};
};

/// Takes thousands of connections and reads nothing of them.
class SilentHost {
 public:
  SilentHost()
      : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)), port_(Bind(listener_, 0)) {
    EXPECT_EQ(listen(listener_, 4000), 0);
  }
  ~SilentHost() { close(listener_); }
  SilentHost(const SilentHost&) = delete;
  SilentHost& operator=(const SilentHost&) = delete;

  std::string Url() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  const int listener_;
  const int port_;
};

/// Accepts connections and handles each on a thread.
class Server {
 public:
  /// @param port where it listens; 0: where it likes.
  explicit Server(std::function<void(const Peer&)> handle, int port = 0)
      : handle_(std::move(handle)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    port_ = Bind(listener_, port);
    EXPECT_EQ(listen(listener_, 4000), 0);
    accepting_ = std::thread([this] { Accept(); });
  }
  ~Server() {
    stopping_ = true;
    accepting_.join();
    for (auto& thread : threads_) thread.join();
    close(listener_);
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string Url() const { return "127.0.0.1:" + std::to_string(port_); }
  int connections() const { return connections_; }

 private:
  void Accept() {
    while (!stopping_) {
      pollfd waiting{listener_, POLLIN, 0};
      if (poll(&waiting, 1, 20) <= 0) continue;
      const int fd = accept(listener_, nullptr, nullptr);
      if (fd < 0) continue;
      ++connections_;
      threads_.emplace_back([this, fd] {
        handle_(Peer(fd, &stopping_));
        close(fd);
      });
    }
  }

  const std::function<void(const Peer&)> handle_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> connections_{0};
  std::thread accepting_;
  std::vector<std::thread> threads_;
};

/// Tells the threads of a test that something happened.
class Event {
 public:
  void Set() {
    const std::lock_guard<std::mutex> lock(mutex_);
    set_ = true;
    changed_.notify_all();
  }
  /// False when it did not happen in a time in which anything that works would have.
  bool Wait(std::chrono::seconds patience = kPatience) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, patience, [this] { return set_; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool set_ = false;
};

/// Counts what the threads of a test did.
class Counter {
 public:
  void Add() {
    const std::lock_guard<std::mutex> lock(mutex_);
    ++count_;
    changed_.notify_all();
  }
  /// False when there were fewer in a time in which anything that works would have been.
  bool WaitFor(int count) {
    std::unique_lock<std::mutex> lock(mutex_);
    return changed_.wait_for(lock, kPatience, [&] { return count_ >= count; });
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  int count_ = 0;
};

}  // namespace stub
