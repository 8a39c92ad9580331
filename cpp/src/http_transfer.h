// One exchange over HTTP, on a handle of curl that is used again and again.
#pragma once

#include <curl/curl.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "rest_response.h"
#include "tensors.h"
#include "triton/client/client.h"
#include "triton/client/http.h"

namespace triton::client::internal {

/// How long a call waits for its connection, in microseconds.
constexpr uint64_t kConnectTimeout = 60000000;

/// The largest body after decompression, in bytes, unless a size was given. Such a body grows a
/// thousandfold.
constexpr uint64_t kMaxContent = uint64_t{256} << 20;

struct HttpRequest {
  bool post = false;
  std::string url;
  std::vector<std::string> headers;  // "Name: value"
  std::string head;
  std::vector<Buffer> tensors;
  uint64_t byte_size = 0;                 // of head and tensors
  uint64_t timeout_us = 0;                // 0: none
  uint64_t connect_timeout_us = 0;        // 0: kConnectTimeout
  uint64_t max_response_size = 0;         // 0: kMaxContent when it is compressed
  const char* accept_encoding = nullptr;  // a static text
};

/// Where a client's requests go, and how.
struct HttpEndpoint {
  std::string url;  // without a slash at the end
  HttpSslOptions ssl;
  bool secure = false;
};

class Transfer {
 public:
  /// Make a transfer, or none when curl has no memory or refuses an option.
  static std::unique_ptr<Transfer> Make(const HttpEndpoint& endpoint);

  /// Set all options that belong to a request, and only to it.
  Error Prepare(HttpRequest&& request);

  /// The limit of the call; 0 for none.
  std::chrono::microseconds timeout() const;
  /// Shorten the limit, if there is one, by the time that the call waited. Something is left of it.
  void Shorten(std::chrono::microseconds waited);

  /// Return how it ended, once curl has said so, and what was answered.
  Error Finish(CURLcode code, RestAnswer* answer);

  /// Forget request and answer.
  void Clear();

  CURL* easy() const { return easy_.get(); }
  RequestTimers& timers() { return timers_; }

 private:
  Transfer() = default;

  Error Configure(const HttpEndpoint& endpoint);
  Error SetBody();
  void SetHeaders();
  template <typename T>
  Error Set(CURLoption option, T value);

  size_t Read(char* out, size_t room);
  bool Rewind(uint64_t offset);
  size_t TakeHeader(std::string_view line);
  size_t TakeBody(const char* data, size_t size);
  size_t Refuse(const std::string& reason);
  uint64_t Limit() const;
  void BeginAnswer();

  static size_t OnRead(char* out, size_t size, size_t count, void* self);
  static int OnSeek(void* self, curl_off_t offset, int origin);
  static size_t OnHeader(char* data, size_t size, size_t count, void* self);
  static size_t OnBody(char* data, size_t size, size_t count, void* self);

  struct Cleanup {
    void operator()(CURL* easy) const { curl_easy_cleanup(easy); }
  };

  std::unique_ptr<CURL, Cleanup> easy_;
  HttpRequest request_;
  RequestTimers timers_;
  std::vector<curl_slist> lines_;  // a list that lies in request_.headers
  bool large_ = false;             // the body is read piece by piece
  size_t next_buffer_ = 0;         // 0: the head
  size_t next_byte_ = 0;
  RestAnswer answer_;
  uint64_t announced_ = 0;
  uint64_t header_size_ = 0;
  bool compressed_ = false;
  std::string refused_;  // why the answer is too large
  char reason_[CURL_ERROR_SIZE] = "";
};

}  // namespace triton::client::internal
