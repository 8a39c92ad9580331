// How a request becomes options of curl, and its callbacks an answer.
#include "http_transfer.h"

#include <algorithm>
#include <climits>
#include <cstring>
#include <utility>

#include "text.h"

namespace triton::client::internal {
namespace {

// Up to here a body is joined and sent together with the header, in one system call. curl does not
// do so for larger ones, which are read from where they lie.
constexpr uint64_t kSmallBody = uint64_t{64} * 1024;

// Pieces in which large bodies pass through curl: large enough for few system calls, and small
// enough for a processor's cache.
constexpr long kPieces = 256L * 1024;

// Header, interim responses and trailer of an answer, which curl keeps.
constexpr uint64_t kMostHeaderBytes = uint64_t{1} << 20;

constexpr char kNoMemory[] = "there is no memory for the answer";

bool EqualsIgnoringCase(std::string_view a, std::string_view b) {
  const auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; };
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [&](char x, char y) { return lower(x) == lower(y); });
}

std::string_view Trimmed(std::string_view text) {
  constexpr char kSpace[] = " \t\r\n";
  const size_t first = text.find_first_not_of(kSpace);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kSpace) - first + 1);
}

// What curl takes as milliseconds: rounded up, since it takes 0 for no limit.
long Milliseconds(uint64_t us) {
  const uint64_t ms = us / 1000 + (us % 1000 != 0 ? 1 : 0);
  return static_cast<long>(std::min<uint64_t>(ms, LONG_MAX));
}

}  // namespace

std::unique_ptr<Transfer> Transfer::Make(const HttpEndpoint& endpoint) {
  std::unique_ptr<Transfer> made(new Transfer());
  made->easy_.reset(curl_easy_init());
  if (made->easy_ == nullptr || !made->Configure(endpoint).IsOk()) return nullptr;
  return made;
}

template <typename T>
Error Transfer::Set(CURLoption option, T value) {
  const CURLcode code = curl_easy_setopt(easy_.get(), option, value);
  if (code == CURLE_OK) return Error::Success;
  return Error(ErrorCode::INTERNAL, std::string("HTTP client failed: curl refuses an option: ") +
                                        curl_easy_strerror(code));
}

Error Transfer::Configure(const HttpEndpoint& endpoint) {
  CURL* const easy = easy_.get();
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);  // signals and threads don't go together
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
  curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, static_cast<long>(CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_USERAGENT, "libcurl-agent/1.0");
  curl_easy_setopt(easy, CURLOPT_TCP_NODELAY, 1L);
  curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, reason_);
  curl_easy_setopt(easy, CURLOPT_READFUNCTION, OnRead);
  curl_easy_setopt(easy, CURLOPT_READDATA, this);
  curl_easy_setopt(easy, CURLOPT_SEEKFUNCTION, OnSeek);
  curl_easy_setopt(easy, CURLOPT_SEEKDATA, this);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, OnHeader);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, this);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, OnBody);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(easy, CURLOPT_PRIVATE, this);
  curl_easy_setopt(easy, CURLOPT_BUFFERSIZE, kPieces);
  curl_easy_setopt(easy, CURLOPT_UPLOAD_BUFFERSIZE, kPieces);
  if (!endpoint.secure) return Error::Success;
  const HttpSslOptions& ssl = endpoint.ssl;
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, ssl.verify_peer);
  curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, ssl.verify_host == 0 ? 0L : 2L);
  const auto file = [&](CURLoption option, const std::string& path) {
    return path.empty() ? Error::Success : Set(option, path.c_str());
  };
  if (Error err = file(CURLOPT_CAINFO, ssl.ca_info); !err.IsOk()) return err;
  curl_easy_setopt(easy, CURLOPT_SSLCERTTYPE,
                   ssl.cert_type == HttpSslOptions::CERT_DER ? "DER" : "PEM");
  if (Error err = file(CURLOPT_SSLCERT, ssl.cert); !err.IsOk()) return err;
  curl_easy_setopt(easy, CURLOPT_SSLKEYTYPE,
                   ssl.key_type == HttpSslOptions::KEY_DER ? "DER" : "PEM");
  return file(CURLOPT_SSLKEY, ssl.key);
}

Error Transfer::Prepare(HttpRequest&& request) {
  request_ = std::move(request);
  answer_.url = request_.url;
  if (Error err = Set(CURLOPT_FORBID_REUSE, 0L); !err.IsOk()) return err;
  if (Error err = Set(CURLOPT_URL, request_.url.c_str()); !err.IsOk()) return err;
  if (request_.connect_timeout_us == 0) request_.connect_timeout_us = kConnectTimeout;
  Error limits = Set(CURLOPT_TIMEOUT_MS, Milliseconds(request_.timeout_us));
  if (!limits.IsOk()) return limits;
  limits = Set(CURLOPT_CONNECTTIMEOUT_MS, Milliseconds(request_.connect_timeout_us));
  if (!limits.IsOk()) return limits;
  if (Error err = Set(CURLOPT_ACCEPT_ENCODING, request_.accept_encoding); !err.IsOk()) return err;
  if (Error err = SetBody(); !err.IsOk()) return err;
  SetHeaders();
  return Set(CURLOPT_HTTPHEADER, lines_.data());
}

std::chrono::microseconds Transfer::timeout() const {
  constexpr auto kMost = std::chrono::microseconds::max();
  const auto most = static_cast<uint64_t>(kMost.count());
  return request_.timeout_us < most
             ? std::chrono::microseconds(static_cast<int64_t>(request_.timeout_us))
             : kMost;
}

void Transfer::Shorten(std::chrono::microseconds waited) {
  if (request_.timeout_us == 0) return;
  const auto left = std::max(timeout() - waited, std::chrono::microseconds(1));
  request_.timeout_us = static_cast<uint64_t>(left.count());
  Set(CURLOPT_TIMEOUT_MS, Milliseconds(request_.timeout_us));
}

Error Transfer::SetBody() {
  if (!request_.post) return Set(CURLOPT_HTTPGET, 1L);
  large_ = request_.byte_size > kSmallBody;
  if (!large_) {
    for (const auto& [data, size] : request_.tensors) {
      request_.head.append(reinterpret_cast<const char*>(data), size);
    }
    request_.tensors.clear();
  }
  if (Error err = Set(CURLOPT_POST, 1L); !err.IsOk()) return err;
  const char* fields = large_ ? nullptr : request_.head.c_str();
  if (Error err = Set(CURLOPT_POSTFIELDS, fields); !err.IsOk()) return err;
  return Set(CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(request_.byte_size));
}

void Transfer::SetHeaders() {
  request_.headers.emplace_back("Expect:");  // don't wait for the server's consent
  lines_.clear();
  lines_.reserve(request_.headers.size());
  for (auto& header : request_.headers) lines_.push_back({header.data(), nullptr});
  for (size_t i = 1; i < lines_.size(); ++i) lines_[i - 1].next = &lines_[i];
}

Error Transfer::Finish(CURLcode code, RestAnswer* answer) {
  timers_.CaptureTimestamp(RequestTimers::Kind::RECV_END);
  timers_.CaptureTimestamp(RequestTimers::Kind::REQUEST_END);
  // libcurl counts timeouts in milliseconds; what came later than the microseconds asked is late.
  curl_off_t total_us = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_TOTAL_TIME_T, &total_us);
  if (code == CURLE_OK && request_.timeout_us != 0 &&
      static_cast<uint64_t>(total_us) > request_.timeout_us) {
    code = CURLE_OPERATION_TIMEDOUT;
  }
  if (code == CURLE_OK) {
    long status = 0;
    curl_easy_getinfo(easy_.get(), CURLINFO_RESPONSE_CODE, &status);
    answer_.status = static_cast<int>(status);
    *answer = std::move(answer_);
    return Error::Success;
  }
  const std::string plain = curl_easy_strerror(code);
  std::string reason = reason_;
  if (!refused_.empty()) reason = refused_;
  if (reason.find(plain) == std::string::npos) {
    reason += (reason.empty() ? "" : ": ") + plain;
  }
  curl_off_t connected_us = 0;
  curl_easy_getinfo(easy_.get(), CURLINFO_PRETRANSFER_TIME_T, &connected_us);
  const bool unconnected = connected_us == 0 && (request_.timeout_us == 0 ||
                                                 request_.timeout_us > request_.connect_timeout_us);
  const bool late = code == CURLE_OPERATION_TIMEDOUT && !unconnected;
  return Error(late                ? ErrorCode::DEADLINE_EXCEEDED
               : !refused_.empty() ? ErrorCode::RESOURCE_EXHAUSTED
                                   : ErrorCode::UNAVAILABLE,
               std::string("HTTP client failed") + (late ? " (Deadline Exceeded)" : "") + ": " +
                   request_.url + ": " + reason,
               0, request_.url);
}

void Transfer::Clear() {
  request_ = HttpRequest();
  answer_ = RestAnswer();
  timers_.Reset();
  next_buffer_ = next_byte_ = 0;
  announced_ = header_size_ = 0;
  compressed_ = large_ = false;
  refused_.clear();
  reason_[0] = '\0';
}

size_t Transfer::Read(char* out, size_t room) {
  size_t done = 0;
  while (done < room && next_buffer_ <= request_.tensors.size()) {
    const Buffer buffer =
        next_buffer_ == 0
            ? Buffer(reinterpret_cast<const uint8_t*>(request_.head.data()), request_.head.size())
            : request_.tensors[next_buffer_ - 1];
    const size_t count = std::min(room - done, buffer.second - next_byte_);
    if (count > 0) std::memcpy(out + done, buffer.first + next_byte_, count);
    done += count;
    next_byte_ += count;
    if (next_byte_ == buffer.second) {
      ++next_buffer_;
      next_byte_ = 0;
    }
  }
  if (next_buffer_ > request_.tensors.size()) {
    timers_.CaptureTimestamp(RequestTimers::Kind::SEND_END);
  }
  return done;
}

bool Transfer::Rewind(uint64_t offset) {
  if (offset != 0) return false;  // curl sends either all again, or nothing
  next_buffer_ = next_byte_ = 0;
  return true;
}

void Transfer::BeginAnswer() {
  answer_.body.Clear();
  answer_.head_length.reset();
  announced_ = 0;
  compressed_ = false;
}

size_t Transfer::Refuse(const std::string& reason) {
  if (refused_.empty()) refused_ = reason;
  return 0;
}

uint64_t Transfer::Limit() const {
  if (request_.max_response_size != 0) return request_.max_response_size;
  return compressed_ ? kMaxContent : UINT64_MAX;
}

size_t Transfer::TakeHeader(std::string_view line) {
  header_size_ += line.size();
  if (header_size_ > kMostHeaderBytes) {
    return Refuse("the header of the answer is larger than " + std::to_string(kMostHeaderBytes) +
                  " bytes");
  }
  if (line.substr(0, 5) == "HTTP/") {
    BeginAnswer();  // what came before was an interim response
    // uvicorn, on which many servers are built, answers 500 and closes without saying so.
    if (line.find(" 500 ") != std::string_view::npos) Set(CURLOPT_FORBID_REUSE, 1L);
    return line.size();
  }
  const size_t colon = line.find(':');
  if (colon == std::string_view::npos) return line.size();
  const std::string_view name = line.substr(0, colon);
  const std::string_view value = Trimmed(line.substr(colon + 1));
  if (EqualsIgnoringCase(name, kInferHeaderContentLengthHTTPHeader)) {
    uint64_t length = 0;
    // What is no number is longer than any body, and so an error of the result.
    answer_.head_length = ParseUint64(value, &length) ? length : UINT64_MAX;
  } else if (EqualsIgnoringCase(name, "Content-Length")) {
    uint64_t length = 0;
    if (ParseUint64(value, &length)) announced_ = length;
  } else if (EqualsIgnoringCase(name, "Content-Encoding")) {
    compressed_ = request_.accept_encoding != nullptr;
  }
  return line.size();
}

size_t Transfer::TakeBody(const char* data, size_t size) {
  if (size == 0) return 0;
  if (size > Limit() - answer_.body.size()) {
    return Refuse("the answer is larger than " + std::to_string(Limit()) +
                  " bytes, which SetMaxResponseSize() changes");
  }
  if (answer_.body.size() == 0) {
    timers_.CaptureTimestamp(RequestTimers::Kind::RECV_START);
    answer_.body.Align(answer_.head_length.value_or(0));
    if (announced_ > 0 && !answer_.body.Announce(std::min(announced_, Limit()))) {
      return Refuse(kNoMemory);
    }
  }
  return answer_.body.Append(data, size) ? size : Refuse(kNoMemory);
}

size_t Transfer::OnRead(char* out, size_t size, size_t count, void* self) {
  return static_cast<Transfer*>(self)->Read(out, size * count);
}

int Transfer::OnSeek(void* self, curl_off_t offset, int origin) {
  const bool done = origin == SEEK_SET && offset >= 0 &&
                    static_cast<Transfer*>(self)->Rewind(static_cast<uint64_t>(offset));
  return done ? CURL_SEEKFUNC_OK : CURL_SEEKFUNC_FAIL;
}

size_t Transfer::OnHeader(char* data, size_t size, size_t count, void* self) {
  return static_cast<Transfer*>(self)->TakeHeader({data, size * count});
}

size_t Transfer::OnBody(char* data, size_t size, size_t count, void* self) {
  return static_cast<Transfer*>(self)->TakeBody(data, size * count);
}

}  // namespace triton::client::internal
