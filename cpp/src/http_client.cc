// The methods of the HTTP client: where each goes, and what becomes of the answer.
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstring>
#include <exception>
#include <iostream>
#include <utility>

#include "compression.h"
#include "http_session.h"
#include "multi.h"
#include "rest_request.h"
#include "rest_response.h"
#include "text.h"
#include "triton/client/http.h"

namespace triton::client {

using internal::HttpRequest;
using internal::Invalid;
using internal::PercentEncoded;
using internal::RestAnswer;
using internal::RestBody;

namespace {

// Headers that describe the body, which the client knows better than its user.
constexpr const char* kOwnHeaders[] = {"content-length", "transfer-encoding", "content-encoding",
                                       "inference-header-content-length", "expect"};

std::string Lower(std::string text) {
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text;
}

Error AddHeaders(std::vector<std::string>* lines, const Headers& headers) {
  for (const auto& [name, value] : headers) {
    // RFC 9110, section 5.1 and 5.5.
    constexpr char kSeparators[] = "()<>@,;:\\\"/[]?={} \t";
    for (const char c : name) {
      if (c <= 0x20 || c == 0x7F || std::strchr(kSeparators, c) != nullptr) {
        return Invalid("the name of header '" + internal::Excerpt(name) +
                       "' holds a character that names can't have");
      }
    }
    if (name.empty()) return Invalid("a header has no name");
    if (value.find_first_of(std::string_view("\r\n\0", 3)) != std::string::npos) {
      return Invalid("the value of header '" + name + "' holds a line break or a null byte");
    }
    for (const char* own : kOwnHeaders) {
      if (Lower(name) == own) {
        return Invalid("header '" + name + "' is the client's own: leave it out");
      }
    }
    // curl would leave out a header that ends in a colon.
    lines->push_back(value.empty() ? name + ";" : name + ": " + value);
  }
  return Error::Success;
}

// The user's own kind of content wins.
void AddContentType(std::vector<std::string>* lines, const Headers& headers, const char* type) {
  for (const auto& [name, value] : headers) {
    if (Lower(name) == "content-type") return;
  }
  lines->push_back(std::string("Content-Type: ") + type);
}

std::string Query(const Parameters& query_params) {
  std::string query;
  for (const auto& [name, value] : query_params) {
    query += (query.empty() ? "?" : "&") + PercentEncoded(name) + "=" + PercentEncoded(value);
  }
  return query;
}

std::string ModelPath(const std::string& name, const std::string& version) {
  std::string path = "v2/models/" + PercentEncoded(name);
  if (!version.empty()) path += "/versions/" + PercentEncoded(version);
  return path;
}

Error CheckUrl(const std::string& url, internal::HttpEndpoint* endpoint) {
  const std::string expected = "': expected [http://|https://]host:port[/base]";
  for (const char c : url) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7F) {
      return Invalid("'server_url' is '" + internal::Excerpt(url) + expected);
    }
  }
  const std::unique_ptr<CURLU, void (*)(CURLU*)> parsed(curl_url(), curl_url_cleanup);
  const std::string full = url.find("://") == std::string::npos ? "http://" + url : url;
  const CURLUcode code = parsed == nullptr
                             ? CURLUE_OUT_OF_MEMORY
                             : curl_url_set(parsed.get(), CURLUPART_URL, full.c_str(), 0);
  const bool http = Lower(full.substr(0, 7)) == "http://";
  endpoint->secure = Lower(full.substr(0, 8)) == "https://";
  if (code != CURLUE_OK || !(http || endpoint->secure) ||
      full.find_first_of("?#") != std::string::npos) {
    const std::string reason =
        code != CURLUE_OK ? std::string(" (") + curl_url_strerror(code) + ")" : "";
    return Invalid("'server_url' is '" + url + expected + reason);
  }
  endpoint->url = full;
  while (endpoint->url.back() == '/') endpoint->url.pop_back();
  return Error::Success;
}

Error CheckFile(const std::string& path, const char* what) {
  if (path.empty()) return Error::Success;
  struct stat status;
  const bool readable = access(path.c_str(), R_OK) == 0 && stat(path.c_str(), &status) == 0;
  if (readable && !S_ISDIR(status.st_mode) && (status.st_size > 0 || !S_ISREG(status.st_mode))) {
    return Error::Success;
  }
  const std::string reason = !readable                 ? std::strerror(errno)
                             : S_ISDIR(status.st_mode) ? "it is a directory"
                                                       : "it is empty";
  return Invalid(std::string("'ssl_options.") + what + "' is '" + path +
                 "', which can't be read: " + reason);
}

// Nothing throws across the API: what does is a lack of memory.
template <typename Body>
Error Guarded(Body&& body) {
  try {
    return body();
  } catch (const std::exception& exception) {
    return Error(ErrorCode::RESOURCE_EXHAUSTED,
                 std::string("HTTP client failed: ") + exception.what());
  }
}

InferResult* ResultOf(const Error& err, RestAnswer&& answer) {
  try {
    return err.IsOk() ? internal::MakeRestResult(std::move(answer))
                      : internal::MakeFailedResult(err);
  } catch (const std::exception& exception) {
    return internal::MakeFailedResult(
        Error(ErrorCode::RESOURCE_EXHAUSTED,
              std::string("HTTP client failed: can't read the answer: ") + exception.what()));
  }
}

}  // namespace

class InferenceServerHttpClient::Impl {
 public:
  Impl(internal::HttpEndpoint endpoint, bool verbose)
      : session_(std::move(endpoint)), verbose_(verbose) {}

  internal::HttpSession& session() { return session_; }

  std::atomic<uint64_t> client_timeout_us{0};
  std::atomic<uint64_t> connect_timeout_us{internal::kConnectTimeout};
  std::atomic<uint64_t> max_response_size{0};

  /// Send a request that is no inference.
  /// @param body its body when it is a POST; nullptr for GET.
  Error Ask(RestAnswer* answer, const std::string& path, const std::string* body,
            const Headers& headers, const Parameters& query_params) {
    return Guarded([&] {
      HttpRequest request;
      request.post = body != nullptr;
      request.timeout_us = client_timeout_us;
      request.connect_timeout_us = connect_timeout_us;
      request.max_response_size = max_response_size;
      request.url = session_.endpoint().url + "/" + path + Query(query_params);
      if (Error err = AddHeaders(&request.headers, headers); !err.IsOk()) return err;
      if (body != nullptr) {
        AddContentType(&request.headers, headers, "application/json");
        request.head = *body;
        request.byte_size = body->size();
      }
      const std::string url = request.url;
      Error err = session_.Perform(std::move(request), answer, nullptr);
      if (verbose_) {
        std::cout << (body != nullptr ? "POST " : "GET ") << url << ": ";
        if (err.IsOk()) {
          std::cout << answer->status << " " << answer->body.text() << std::endl;
        } else {
          std::cout << err << std::endl;
        }
      }
      return err;
    });
  }

  /// Ask a question whose answer is yes, status 200, or no.
  Error AskWhether(bool* yes, const std::string& path, const Headers& headers,
                   const Parameters& query_params) {
    if (yes == nullptr) return Invalid("the first argument is null: pass a pointer to a bool");
    *yes = false;
    RestAnswer answer;
    Error err = Ask(&answer, path, nullptr, headers, query_params);
    *yes = err.IsOk() && answer.status == 200;
    return err;
  }

  /// Send a request that is answered with text.
  Error AskText(std::string* text, const std::string& path, const std::string* body,
                const Headers& headers, const Parameters& query_params) {
    if (text == nullptr) {
      return Invalid("the first argument is null: pass a pointer to a std::string");
    }
    text->clear();
    RestAnswer answer;
    Error err = Ask(&answer, path, body, headers, query_params);
    if (!err.IsOk()) return err;
    return Guarded([&] {
      *text = answer.body.text();
      return answer.status == 200 ? Error::Success : internal::ErrorOf(answer);
    });
  }

  /// Send a request whose answer says nothing but that it succeeded.
  Error Tell(const std::string& path, const std::string& body, const Headers& headers,
             const Parameters& query_params) {
    std::string ignored;
    return AskText(&ignored, path, &body, headers, query_params);
  }

  /// Make the request of an inference.
  Error MakeInferRequest(HttpRequest* request, const InferOptions& options,
                         const std::vector<InferInput*>& inputs,
                         const std::vector<const InferRequestedOutput*>& outputs,
                         const Headers& headers, const Parameters& query_params,
                         CompressionType compress, CompressionType accept) {
    if (Error err = internal::CheckCoding(compress); !err.IsOk()) return err;
    if (Error err = internal::CheckCoding(accept); !err.IsOk()) return err;
    RestBody body;
    if (Error err = internal::BuildRestBody(&body, options, inputs, outputs); !err.IsOk()) {
      return err;
    }
    request->headers.reserve(headers.size() + 4);
    std::string length = kInferHeaderContentLengthHTTPHeader;
    length += ": ";
    internal::AppendNumber(&length, uint64_t{body.head.size()});
    request->headers.push_back(std::move(length));
    if (Error err = AddHeaders(&request->headers, headers); !err.IsOk()) return err;
    AddContentType(&request->headers, headers,
                   body.all_json ? "application/json" : "application/octet-stream");
    if (const char* coding = internal::CodingName(compress); coding != nullptr) {
      if (Error err = internal::Compress(compress, &body); !err.IsOk()) return err;
      request->headers.push_back(std::string("Content-Encoding: ") + coding);
    }
    request->post = true;
    request->url = session_.endpoint().url + "/" +
                   ModelPath(options.model_name_, options.model_version_) + "/infer" +
                   Query(query_params);
    request->head = std::move(body.head);
    request->tensors = std::move(body.tensors);
    request->byte_size = body.byte_size;
    request->timeout_us =
        options.client_timeout_ != 0 ? options.client_timeout_ : client_timeout_us.load();
    request->connect_timeout_us = connect_timeout_us;
    request->max_response_size = max_response_size;
    request->accept_encoding = internal::CodingName(accept);
    return Error::Success;
  }

  void Show(const InferResult& result) const {
    if (verbose_) std::cout << result.DebugString() << std::endl;
  }

 private:
  internal::HttpSession session_;
  const bool verbose_;
};

InferenceServerHttpClient::InferenceServerHttpClient(const std::string& url, bool verbose,
                                                     const HttpSslOptions& ssl_options)
    : InferenceServerClient(verbose), impl_([&] {
        internal::HttpEndpoint endpoint;
        CheckUrl(url, &endpoint);  // Create has looked at what it returns
        endpoint.ssl = ssl_options;
        return std::make_unique<Impl>(std::move(endpoint), verbose);
      }()) {}

// The calls end while the client is whole, since their callbacks may use it.
InferenceServerHttpClient::~InferenceServerHttpClient() { impl_->session().Close(); }

Error InferenceServerHttpClient::Create(std::unique_ptr<InferenceServerHttpClient>* client,
                                        const std::string& server_url, bool verbose,
                                        const HttpSslOptions& ssl_options) {
  if (client == nullptr) return Invalid("'client' is null");
  return Guarded([&] {
    internal::HttpEndpoint endpoint;
    if (Error err = CheckUrl(server_url, &endpoint); !err.IsOk()) return err;
    if (endpoint.secure) {
      if (Error err = CheckFile(ssl_options.ca_info, "ca_info"); !err.IsOk()) return err;
      if (Error err = CheckFile(ssl_options.cert, "cert"); !err.IsOk()) return err;
      if (Error err = CheckFile(ssl_options.key, "key"); !err.IsOk()) return err;
    }
    client->reset(new InferenceServerHttpClient(server_url, verbose, ssl_options));
    return Error::Success;
  });
}

void InferenceServerHttpClient::SetClientTimeout(uint64_t timeout_us) {
  impl_->client_timeout_us = timeout_us;
}

void InferenceServerHttpClient::SetConnectTimeout(uint64_t timeout_us) {
  impl_->connect_timeout_us = timeout_us;
}

void InferenceServerHttpClient::SetMaxResponseSize(uint64_t byte_size) {
  impl_->max_response_size = byte_size;
}

Error InferenceServerHttpClient::GenerateRequestBody(
    std::vector<char>* request_body, size_t* header_length, const InferOptions& options,
    const std::vector<InferInput*>& inputs,
    const std::vector<const InferRequestedOutput*>& outputs) {
  if (request_body == nullptr || header_length == nullptr) {
    return Invalid("GenerateRequestBody() got a null pointer");
  }
  return Guarded([&] {
    RestBody body;
    if (Error err = internal::BuildRestBody(&body, options, inputs, outputs); !err.IsOk()) {
      return err;
    }
    *header_length = body.head.size();
    request_body->clear();
    request_body->reserve(static_cast<size_t>(body.byte_size));
    request_body->insert(request_body->end(), body.head.begin(), body.head.end());
    for (const auto& [data, size] : body.tensors) {
      request_body->insert(request_body->end(), data, data + size);
    }
    return Error::Success;
  });
}

Error InferenceServerHttpClient::ParseResponseBody(InferResult** result,
                                                   const std::vector<char>& response_body,
                                                   const size_t header_length) {
  if (result == nullptr) return Invalid("'result' is null");
  *result = nullptr;
  return Guarded([&] {
    RestAnswer answer;
    answer.status = 200;
    if (header_length != 0) answer.head_length = header_length;
    answer.body.Align(header_length);
    if (!answer.body.Append(response_body.data(), response_body.size())) throw std::bad_alloc();
    *result = internal::MakeRestResult(std::move(answer));
    return Error::Success;
  });
}

// Health

Error InferenceServerHttpClient::IsServerLive(bool* live, const Headers& headers,
                                              const Parameters& query_params) {
  return impl_->AskWhether(live, "v2/health/live", headers, query_params);
}

Error InferenceServerHttpClient::IsServerReady(bool* ready, const Headers& headers,
                                               const Parameters& query_params) {
  return impl_->AskWhether(ready, "v2/health/ready", headers, query_params);
}

Error InferenceServerHttpClient::IsModelReady(bool* ready, const std::string& model_name,
                                              const std::string& model_version,
                                              const Headers& headers,
                                              const Parameters& query_params) {
  if (model_name.empty()) return Invalid("'model_name' is empty");
  return impl_->AskWhether(ready, ModelPath(model_name, model_version) + "/ready", headers,
                           query_params);
}

// Metadata

Error InferenceServerHttpClient::ServerMetadata(std::string* server_metadata,
                                                const Headers& headers,
                                                const Parameters& query_params) {
  return impl_->AskText(server_metadata, "v2", nullptr, headers, query_params);
}

Error InferenceServerHttpClient::ModelMetadata(std::string* model_metadata,
                                               const std::string& model_name,
                                               const std::string& model_version,
                                               const Headers& headers,
                                               const Parameters& query_params) {
  if (model_name.empty()) return Invalid("'model_name' is empty");
  return impl_->AskText(model_metadata, ModelPath(model_name, model_version), nullptr, headers,
                        query_params);
}

Error InferenceServerHttpClient::ModelConfig(std::string* model_config,
                                             const std::string& model_name,
                                             const std::string& model_version,
                                             const Headers& headers,
                                             const Parameters& query_params) {
  if (model_name.empty()) return Invalid("'model_name' is empty");
  return impl_->AskText(model_config, ModelPath(model_name, model_version) + "/config", nullptr,
                        headers, query_params);
}

// Models

Error InferenceServerHttpClient::ModelRepositoryIndex(std::string* repository_index,
                                                      const Headers& headers,
                                                      const Parameters& query_params) {
  const std::string empty;
  return impl_->AskText(repository_index, "v2/repository/index", &empty, headers, query_params);
}

Error InferenceServerHttpClient::LoadModel(const std::string& model_name, const Headers& headers,
                                           const Parameters& query_params,
                                           const std::string& config,
                                           const std::map<std::string, std::vector<char>>& files) {
  if (model_name.empty()) return Invalid("'model_name' is empty");
  return Guarded([&] {
    std::string parameters;
    const auto add = [&](const std::string& key, const std::string& value) {
      if (!parameters.empty()) parameters += ',';
      internal::AppendJsonString(&parameters, key);
      parameters += ':';
      internal::AppendJsonString(&parameters, value);
    };
    if (!config.empty()) add("config", config);
    for (const auto& [path, content] : files) {
      add(path, internal::Base64(content.data(), content.size()));
    }
    const std::string body = parameters.empty() ? "{}" : "{\"parameters\":{" + parameters + "}}";
    Error err = impl_->Tell("v2/repository/models/" + PercentEncoded(model_name) + "/load", body,
                            headers, query_params);
    if (err.IsOk() && verbose_) std::cout << "Loaded model '" << model_name << "'" << std::endl;
    return err;
  });
}

Error InferenceServerHttpClient::UnloadModel(const std::string& model_name, const Headers& headers,
                                             const Parameters& query_params) {
  if (model_name.empty()) return Invalid("'model_name' is empty");
  Error err = impl_->Tell("v2/repository/models/" + PercentEncoded(model_name) + "/unload", "",
                          headers, query_params);
  if (err.IsOk() && verbose_) std::cout << "Unloaded model '" << model_name << "'" << std::endl;
  return err;
}

Error InferenceServerHttpClient::ModelInferenceStatistics(std::string* infer_stat,
                                                          const std::string& model_name,
                                                          const std::string& model_version,
                                                          const Headers& headers,
                                                          const Parameters& query_params) {
  if (model_name.empty() && !model_version.empty()) {
    return Invalid("'model_version' is given without 'model_name'");
  }
  const std::string path = model_name.empty() ? "v2/models" : ModelPath(model_name, model_version);
  return impl_->AskText(infer_stat, path + "/stats", nullptr, headers, query_params);
}

// Traces

namespace {

std::string TracePath(const std::string& model_name) {
  return (model_name.empty() ? "v2" : ModelPath(model_name, "")) + "/trace/setting";
}

}  // namespace

Error InferenceServerHttpClient::UpdateTraceSettings(
    std::string* response, const std::string& model_name,
    const std::map<std::string, std::vector<std::string>>& settings, const Headers& headers,
    const Parameters& query_params) {
  return Guarded([&] {
    std::string body = "{";
    for (const auto& [name, values] : settings) {
      if (body.size() > 1) body += ',';
      internal::AppendJsonString(&body, name);
      body += ':';
      if (values.empty()) {
        body += "null";
      } else if (name != "trace_level") {
        internal::AppendJsonString(&body, values.front());
      } else {
        body += '[';
        for (const auto& value : values) {
          if (body.back() != '[') body += ',';
          internal::AppendJsonString(&body, value);
        }
        body += ']';
      }
    }
    body += '}';
    return impl_->AskText(response, TracePath(model_name), &body, headers, query_params);
  });
}

Error InferenceServerHttpClient::GetTraceSettings(std::string* settings,
                                                  const std::string& model_name,
                                                  const Headers& headers,
                                                  const Parameters& query_params) {
  return impl_->AskText(settings, TracePath(model_name), nullptr, headers, query_params);
}

// Shared memory

namespace {

std::string RegionPath(const char* kind, const std::string& name, const char* what) {
  const std::string region = name.empty() ? "" : "/region/" + PercentEncoded(name);
  return std::string("v2/") + kind + "sharedmemory" + region + "/" + what;
}

Error CheckRegion(const std::string& name, const std::string& key) {
  if (name.empty()) return Invalid("'name' of the shared memory region is empty");
  if (key.empty()) return Invalid("'key' of shared memory region '" + name + "' is empty");
  return Error::Success;
}

}  // namespace

Error InferenceServerHttpClient::SystemSharedMemoryStatus(std::string* status,
                                                          const std::string& region_name,
                                                          const Headers& headers,
                                                          const Parameters& query_params) {
  return impl_->AskText(status, RegionPath("system", region_name, "status"), nullptr, headers,
                        query_params);
}

Error InferenceServerHttpClient::RegisterSystemSharedMemory(
    const std::string& name, const std::string& key, const size_t byte_size, const size_t offset,
    const Headers& headers, const Parameters& query_params) {
  if (Error err = CheckRegion(name, key); !err.IsOk()) return err;
  std::string body = "{\"key\":";
  internal::AppendJsonString(&body, key);
  body +=
      ",\"offset\":" + std::to_string(offset) + ",\"byte_size\":" + std::to_string(byte_size) + "}";
  Error err = impl_->Tell(RegionPath("system", name, "register"), body, headers, query_params);
  if (err.IsOk() && verbose_) {
    std::cout << "Registered system shared memory with name '" << name << "'" << std::endl;
  }
  return err;
}

Error InferenceServerHttpClient::UnregisterSystemSharedMemory(const std::string& name,
                                                              const Headers& headers,
                                                              const Parameters& query_params) {
  return impl_->Tell(RegionPath("system", name, "unregister"), "", headers, query_params);
}

Error InferenceServerHttpClient::CudaSharedMemoryStatus(std::string* status,
                                                        const std::string& region_name,
                                                        const Headers& headers,
                                                        const Parameters& query_params) {
  return impl_->AskText(status, RegionPath("cuda", region_name, "status"), nullptr, headers,
                        query_params);
}

Error InferenceServerHttpClient::RegisterCudaSharedMemory(
    const std::string& name, const cudaIpcMemHandle_t& cuda_shm_handle, const size_t device_id,
    const size_t byte_size, const Headers& headers, const Parameters& query_params) {
  if (name.empty()) return Invalid("'name' of the shared memory region is empty");
  const std::string body = "{\"raw_handle\":{\"b64\":\"" +
                           internal::Base64(&cuda_shm_handle, sizeof(cuda_shm_handle)) +
                           "\"},\"device_id\":" + std::to_string(device_id) +
                           ",\"byte_size\":" + std::to_string(byte_size) + "}";
  Error err = impl_->Tell(RegionPath("cuda", name, "register"), body, headers, query_params);
  if (err.IsOk() && verbose_) {
    std::cout << "Registered cuda shared memory with name '" << name << "'" << std::endl;
  }
  return err;
}

Error InferenceServerHttpClient::UnregisterCudaSharedMemory(const std::string& name,
                                                            const Headers& headers,
                                                            const Parameters& query_params) {
  return impl_->Tell(RegionPath("cuda", name, "unregister"), "", headers, query_params);
}

// Inference

Error InferenceServerHttpClient::Infer(InferResult** result, const InferOptions& options,
                                       const std::vector<InferInput*>& inputs,
                                       const std::vector<const InferRequestedOutput*>& outputs,
                                       const Headers& headers, const Parameters& query_params,
                                       const CompressionType request_compression_algorithm,
                                       const CompressionType response_compression_algorithm) {
  if (result == nullptr) return Invalid("'result' is null");
  *result = nullptr;
  return Guarded([&] {
    using Kind = RequestTimers::Kind;
    RequestTimers timers;
    timers.CaptureTimestamp(Kind::REQUEST_START);
    HttpRequest request;
    Error err =
        impl_->MakeInferRequest(&request, options, inputs, outputs, headers, query_params,
                                request_compression_algorithm, response_compression_algorithm);
    if (!err.IsOk()) return err;
    timers.CaptureTimestamp(Kind::SEND_START);
    RestAnswer answer;
    err = impl_->session().Perform(std::move(request), &answer, &timers);
    if (!err.IsOk()) return err;
    UpdateInferStat(timers);
    *result = ResultOf(Error::Success, std::move(answer));
    impl_->Show(**result);
    return (*result)->RequestStatus();
  });
}

Error InferenceServerHttpClient::AsyncInfer(OnCompleteFn callback, const InferOptions& options,
                                            const std::vector<InferInput*>& inputs,
                                            const std::vector<const InferRequestedOutput*>& outputs,
                                            const Headers& headers, const Parameters& query_params,
                                            const CompressionType request_compression_algorithm,
                                            const CompressionType response_compression_algorithm,
                                            CallContext** ctx_out) {
  if (ctx_out != nullptr) *ctx_out = nullptr;
  if (callback == nullptr) {
    return Invalid("Callback function must be provided along with AsyncInfer() call.");
  }
  return Guarded([&] {
    RequestTimers timers;
    timers.CaptureTimestamp(RequestTimers::Kind::REQUEST_START);
    HttpRequest request;
    Error err =
        impl_->MakeInferRequest(&request, options, inputs, outputs, headers, query_params,
                                request_compression_algorithm, response_compression_algorithm);
    if (!err.IsOk()) return err;
    timers.CaptureTimestamp(RequestTimers::Kind::SEND_START);
    std::function<void()> cancel;
    err = impl_->session().Start(
        std::move(request), timers,
        [callback = std::move(callback), statistics = statistics_, verbose = verbose_](
            const Error& failure, RestAnswer&& answer, const RequestTimers& taken) {
          if (failure.IsOk()) statistics->Add(taken);
          InferResult* result = ResultOf(failure, std::move(answer));
          if (verbose) std::cout << result->DebugString() << std::endl;
          callback(result);
        },
        ctx_out == nullptr ? nullptr : &cancel);
    if (err.IsOk() && ctx_out != nullptr) *ctx_out = new CallContext(std::move(cancel));
    return err;
  });
}

Error InferenceServerHttpClient::InferMulti(
    std::vector<InferResult*>* results, const std::vector<InferOptions>& options,
    const std::vector<std::vector<InferInput*>>& inputs,
    const std::vector<std::vector<const InferRequestedOutput*>>& outputs, const Headers& headers,
    const Parameters& query_params, const CompressionType request_compression_algorithm,
    const CompressionType response_compression_algorithm) {
  return internal::InferEach(
      results, {options, inputs, outputs},
      [&](InferResult** result, const InferOptions& option, const std::vector<InferInput*>& input,
          const internal::Outputs& output) {
        return Infer(result, option, input, output, headers, query_params,
                     request_compression_algorithm, response_compression_algorithm);
      });
}

Error InferenceServerHttpClient::AsyncInferMulti(
    OnMultiCompleteFn callback, const std::vector<InferOptions>& options,
    const std::vector<std::vector<InferInput*>>& inputs,
    const std::vector<std::vector<const InferRequestedOutput*>>& outputs, const Headers& headers,
    const Parameters& query_params, const CompressionType request_compression_algorithm,
    const CompressionType response_compression_algorithm, std::vector<CallContext*>* ctxs_out) {
  return internal::StartEach(
      callback, {options, inputs, outputs}, ctxs_out,
      [&](OnCompleteFn one, const InferOptions& option, const std::vector<InferInput*>& input,
          const internal::Outputs& output, CallContext** context) {
        return AsyncInfer(std::move(one), option, input, output, headers, query_params,
                          request_compression_algorithm, response_compression_algorithm, context);
      },
      internal::MakeFailedResult,
      [&](const std::function<void()>& job) { impl_->session().dispatcher().Post(job); });
}

}  // namespace triton::client
