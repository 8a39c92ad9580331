// The methods of the gRPC client.
#include <grpcpp/impl/client_unary_call.h>
#include <sys/stat.h>

#include <atomic>
#include <cerrno>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <sstream>
#include <utility>

#include "channels.h"
#include "grpc_async.h"
#include "grpc_calls.h"
#include "grpc_stream.h"
#include "infer_message.h"
#include "multi.h"
#include "text.h"
#include "triton/client/grpc.h"

namespace triton::client {

using internal::AsyncCall;
using internal::Channel;
using internal::ChannelRecipe;
using internal::GrpcStream;
using internal::Invalid;
using internal::Loan;
using Stub = inference::GRPCInferenceService::Stub;

namespace {

// Nothing throws across the API: what does is a lack of memory.
template <typename Body>
Error Guarded(Body&& body) {
  try {
    return body();
  } catch (const std::exception& exception) {
    return Error(ErrorCode::RESOURCE_EXHAUSTED,
                 std::string("gRPC client failed: ") + exception.what());
  }
}

Error ReadFile(const std::string& path, const char* what, std::string* content) {
  content->clear();
  if (path.empty()) return Error::Success;
  std::ifstream file(path, std::ios::binary);
  struct stat status;
  const bool regular = file && stat(path.c_str(), &status) == 0 && !S_ISDIR(status.st_mode);
  if (regular) content->assign(std::istreambuf_iterator<char>(file), {});
  if (regular && !file.bad() && !content->empty()) return Error::Success;
  const std::string reason = !file              ? std::strerror(errno)
                             : !regular         ? "it is a directory"
                             : content->empty() ? "it is empty"
                                                : "reading failed";
  return Invalid(std::string("'ssl_options.") + what + "' is '" + path +
                 "', which can't be read: " + reason);
}

Error MakeRecipe(ChannelRecipe* recipe, const std::string& url,
                 const grpc::ChannelArguments& arguments, bool use_ssl,
                 const SslOptions& ssl_options, bool shared) {
  if (url.empty()) return Invalid("'server_url' is empty: expected host:port");
  recipe->url = url;
  recipe->arguments = arguments;
  recipe->shared = shared;
  recipe->key = url + "\n" + (use_ssl ? "tls" : "plain") + "\n" + internal::KeyOf(arguments);
  if (!use_ssl) {
    recipe->credentials = grpc::InsecureChannelCredentials();
    return Error::Success;
  }
  grpc::SslCredentialsOptions options;
  const std::string ca = ssl_options.root_certificates;
  if (Error err = ReadFile(ca, "root_certificates", &options.pem_root_certs); !err.IsOk()) {
    return err;
  }
  if (Error err = ReadFile(ssl_options.private_key, "private_key", &options.pem_private_key);
      !err.IsOk()) {
    return err;
  }
  if (Error err =
          ReadFile(ssl_options.certificate_chain, "certificate_chain", &options.pem_cert_chain);
      !err.IsOk()) {
    return err;
  }
  if (options.pem_private_key.empty() != options.pem_cert_chain.empty()) {
    return Invalid("'ssl_options.private_key' and 'ssl_options.certificate_chain' go together");
  }
  for (const auto* part :
       {&options.pem_root_certs, &options.pem_private_key, &options.pem_cert_chain}) {
    recipe->key += std::to_string(part->size()) + ":" + *part;
  }
  recipe->credentials = grpc::SslCredentials(options);
  return Error::Success;
}

}  // namespace

class InferenceServerGrpcClient::Impl {
 public:
  explicit Impl(ChannelRecipe recipe) : share_(std::move(recipe)), async_(share_.url()) {}

  const std::string& url() const { return share_.url(); }
  const std::shared_ptr<Channel>& channel() const { return share_.channel(); }
  internal::AsyncCalls& async() { return async_; }

  std::atomic<uint64_t> client_timeout_us{0};
  /// The limit of a call, by its own limit.
  uint64_t Limit(uint64_t own_us) const { return own_us != 0 ? own_us : client_timeout_us.load(); }

  /// Make a call that is no inference.
  template <typename Request, typename Response>
  Error Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Response*),
             const Request& request, Response* response, const Headers& headers,
             uint64_t timeout_us) {
    if (response == nullptr) {
      return Invalid("the first argument is null: pass the message that receives the answer");
    }
    response->Clear();
    return Checked(request, headers, timeout_us, [&](grpc::ClientContext* context) {
      return (channel()->stub.get()->*method)(context, request, response);
    });
  }

  /// The same for requests that may be large.
  template <typename Request, typename Response>
  Error CallLarge(const char* method, const Request& request, Response* response,
                  const Headers& headers, uint64_t timeout_us) {
    return Checked(request, headers, timeout_us, [&](grpc::ClientContext* context) {
      grpc::ByteBuffer sent;
      grpc::ByteBuffer received;
      bool own = false;
      grpc::Status status = grpc::SerializationTraits<Request>::Serialize(request, &sent, &own);
      if (status.ok()) status = WaitAndRescue(context, method, sent, &received);
      if (status.ok()) {
        status = grpc::SerializationTraits<Response>::Deserialize(&received, response);
      }
      return status;
    });
  }

  /// Check a request and send it.
  /// @param send makes the call and returns its status.
  template <typename Request, typename Send>
  Error Checked(const Request& request, const Headers& headers, uint64_t timeout_us,
                const Send& send) {
    timeout_us = Limit(timeout_us);
    return Guarded([&] {
      if (Error err = internal::CheckMessage(request); !err.IsOk()) return err;
      grpc::ClientContext context;
      if (Error err = internal::PrepareContext(&context, headers, timeout_us); !err.IsOk()) {
        return err;
      }
      return internal::ErrorOf(send(&context), url(), timeout_us);
    });
  }

  /// Make an inference call and wait for its end.
  Error Infer(grpc::ByteBuffer* request, const std::shared_ptr<Loan>& loan,
              grpc::ByteBuffer* response, const Headers& headers, uint64_t timeout_us,
              grpc_compression_algorithm compression) {
    Error err;
    std::string peer;
    {
      grpc::ClientContext context;
      err = internal::PrepareContext(&context, headers, timeout_us, compression);
      if (err.IsOk()) {
        const grpc::Status status =
            loan == nullptr || timeout_us == 0
                ? Wait(&context, *request, response)
                : WaitAndRescue(&context, channel()->infer.name(), *request, response);
        err = internal::ErrorOf(status, url(), timeout_us);
        if (loan != nullptr) peer = context.peer();
      }
      request->Clear();
    }
    internal::Reclaim(loan, peer);
    return err;
  }

  grpc::Status Wait(grpc::ClientContext* context, const grpc::ByteBuffer& request,
                    grpc::ByteBuffer* response) {
    return grpc::internal::BlockingUnaryCall<grpc::ByteBuffer, grpc::ByteBuffer>(
        channel()->channel.get(), channel()->infer, context, request, response);
  }

  /// The same for large requests: gRPC ends no call, not even at its deadline, while the connection
  /// takes nothing of what is being written.
  grpc::Status WaitAndRescue(grpc::ClientContext* context, const char* method,
                             const grpc::ByteBuffer& request, grpc::ByteBuffer* response) {
    grpc::CompletionQueue queue;
    grpc::Status status;
    const auto reader = channel()->generic.PrepareUnaryCall(context, method, request, &queue);
    reader->StartCall();
    reader->Finish(response, &status, this);
    internal::Rescue rescue;
    void* tag = nullptr;
    bool ok = false;
    constexpr auto kNever = std::chrono::system_clock::time_point::max();
    auto until = context->deadline();
    if (until != kNever) until += std::chrono::seconds(1);
    while (queue.AsyncNext(&tag, &ok, until) != grpc::CompletionQueue::GOT_EVENT) {
      rescue.Try(context->peer());
      until = std::chrono::system_clock::now() + std::chrono::seconds(1);
    }
    queue.Shutdown();
    while (queue.Next(&tag, &ok)) {
    }
    return status;
  }

  Error StartStream(std::shared_ptr<GrpcStream> stream) {
    const std::lock_guard<std::mutex> lock(stream_mutex_);
    if (stream_ != nullptr) {
      return Error(ErrorCode::FAILED_PRECONDITION,
                   "cannot start another stream with one already running. "
                   "'InferenceServerClient' supports only a single active stream at a given time.");
    }
    stream_ = std::move(stream);
    stream_->Open();
    return Error::Success;
  }
  std::shared_ptr<GrpcStream> stream() {
    const std::lock_guard<std::mutex> lock(stream_mutex_);
    return stream_;
  }
  std::shared_ptr<GrpcStream> TakeStream() {
    const std::lock_guard<std::mutex> lock(stream_mutex_);
    return std::exchange(stream_, nullptr);
  }

  void Close() {
    if (const auto stream = TakeStream()) stream->Detach();
    async_.Close();
  }

 private:
  internal::ChannelShare share_;
  internal::AsyncCalls async_;
  std::mutex stream_mutex_;
  std::shared_ptr<GrpcStream> stream_;
};

InferenceServerGrpcClient::InferenceServerGrpcClient(std::unique_ptr<Impl> impl, bool verbose)
    : InferenceServerClient(verbose), impl_(std::move(impl)) {}

// The calls end while the client is whole, since their callbacks may use it.
InferenceServerGrpcClient::~InferenceServerGrpcClient() { impl_->Close(); }

Error InferenceServerGrpcClient::Create(std::unique_ptr<InferenceServerGrpcClient>* client,
                                        const std::string& server_url, bool verbose, bool use_ssl,
                                        const SslOptions& ssl_options,
                                        const KeepAliveOptions& keepalive_options,
                                        const bool use_cached_channel) {
  grpc::ChannelArguments arguments;
  arguments.SetMaxSendMessageSize(MAX_GRPC_MESSAGE_SIZE);
  arguments.SetMaxReceiveMessageSize(MAX_GRPC_MESSAGE_SIZE);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive_options.keepalive_time_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive_options.keepalive_timeout_ms);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS,
                   keepalive_options.keepalive_permit_without_calls ? 1 : 0);
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA,
                   keepalive_options.http2_max_pings_without_data);
  return Create(client, server_url, arguments, verbose, use_ssl, ssl_options, use_cached_channel);
}

Error InferenceServerGrpcClient::Create(std::unique_ptr<InferenceServerGrpcClient>* client,
                                        const std::string& server_url,
                                        const grpc::ChannelArguments& channel_args, bool verbose,
                                        bool use_ssl, const SslOptions& ssl_options,
                                        const bool use_cached_channel) {
  if (client == nullptr) return Invalid("'client' is null");
  return Guarded([&] {
    ChannelRecipe recipe;
    Error err =
        MakeRecipe(&recipe, server_url, channel_args, use_ssl, ssl_options, use_cached_channel);
    if (!err.IsOk()) return err;
    client->reset(
        new InferenceServerGrpcClient(std::make_unique<Impl>(std::move(recipe)), verbose));
    if (verbose) std::cout << "Creating new channel with url:" << server_url << std::endl;
    return Error::Success;
  });
}

void InferenceServerGrpcClient::SetClientTimeout(uint64_t timeout_us) {
  impl_->client_timeout_us = timeout_us;
}

size_t InferenceServerGrpcClient::GetNumCachedChannels() const {
  return internal::ChannelShare::CachedChannels();
}

// Health

Error InferenceServerGrpcClient::IsServerLive(bool* live, const Headers& headers,
                                              const uint64_t timeout_ms) {
  if (live == nullptr) return Invalid("'live' is null");
  inference::ServerLiveResponse response;
  Error err = impl_->Call(&Stub::ServerLive, inference::ServerLiveRequest(), &response, headers,
                          timeout_ms);
  *live = err.IsOk() && response.live();
  if (verbose_) std::cout << "Server Live : " << *live << std::endl;
  return err;
}

Error InferenceServerGrpcClient::IsServerReady(bool* ready, const Headers& headers,
                                               const uint64_t timeout_ms) {
  if (ready == nullptr) return Invalid("'ready' is null");
  inference::ServerReadyResponse response;
  Error err = impl_->Call(&Stub::ServerReady, inference::ServerReadyRequest(), &response, headers,
                          timeout_ms);
  *ready = err.IsOk() && response.ready();
  if (verbose_) std::cout << "Server Ready : " << *ready << std::endl;
  return err;
}

namespace {

// Make a request that names a model and its version.
template <typename Request>
Error NameModel(Request* request, const std::string& name, const std::string& version) {
  if (name.empty()) return Invalid("'model_name' is empty");
  request->set_name(name);
  request->set_version(version);
  return Error::Success;
}

}  // namespace

Error InferenceServerGrpcClient::IsModelReady(bool* ready, const std::string& model_name,
                                              const std::string& model_version,
                                              const Headers& headers, const uint64_t timeout_ms) {
  if (ready == nullptr) return Invalid("'ready' is null");
  *ready = false;
  inference::ModelReadyRequest request;
  if (Error err = NameModel(&request, model_name, model_version); !err.IsOk()) return err;
  inference::ModelReadyResponse response;
  Error err = impl_->Call(&Stub::ModelReady, request, &response, headers, timeout_ms);
  *ready = err.IsOk() && response.ready();
  if (verbose_) {
    std::cout << "Model Ready : name: " << model_name
              << (model_version.empty() ? "" : "(version: " + model_version + ")") << ": " << *ready
              << std::endl;
  }
  return err;
}

// Metadata

namespace {

template <typename Response>
Error Shown(bool verbose, const Error& err, const Response* response) {
  if (verbose && err.IsOk()) std::cout << response->DebugString() << std::endl;
  return err;
}

}  // namespace

Error InferenceServerGrpcClient::ServerMetadata(inference::ServerMetadataResponse* server_metadata,
                                                const Headers& headers, const uint64_t timeout_ms) {
  return Shown(verbose_,
               impl_->Call(&Stub::ServerMetadata, inference::ServerMetadataRequest(),
                           server_metadata, headers, timeout_ms),
               server_metadata);
}

Error InferenceServerGrpcClient::ModelMetadata(inference::ModelMetadataResponse* model_metadata,
                                               const std::string& model_name,
                                               const std::string& model_version,
                                               const Headers& headers, const uint64_t timeout_ms) {
  inference::ModelMetadataRequest request;
  if (Error err = NameModel(&request, model_name, model_version); !err.IsOk()) return err;
  return Shown(verbose_,
               impl_->Call(&Stub::ModelMetadata, request, model_metadata, headers, timeout_ms),
               model_metadata);
}

Error InferenceServerGrpcClient::ModelConfig(inference::ModelConfigResponse* model_config,
                                             const std::string& model_name,
                                             const std::string& model_version,
                                             const Headers& headers, const uint64_t timeout_ms) {
  inference::ModelConfigRequest request;
  if (Error err = NameModel(&request, model_name, model_version); !err.IsOk()) return err;
  return Shown(verbose_,
               impl_->Call(&Stub::ModelConfig, request, model_config, headers, timeout_ms),
               model_config);
}

// Models

Error InferenceServerGrpcClient::ModelRepositoryIndex(
    inference::RepositoryIndexResponse* repository_index, const Headers& headers,
    const uint64_t timeout_ms) {
  return Shown(verbose_,
               impl_->Call(&Stub::RepositoryIndex, inference::RepositoryIndexRequest(),
                           repository_index, headers, timeout_ms),
               repository_index);
}

Error InferenceServerGrpcClient::LoadModel(const std::string& model_name, const Headers& headers,
                                           const std::string& config,
                                           const std::map<std::string, std::vector<char>>& files,
                                           const uint64_t timeout_ms) {
  if (model_name.empty()) return Invalid("'model_name' is empty");
  return Guarded([&] {
    inference::RepositoryModelLoadRequest request;
    request.set_model_name(model_name);
    auto& parameters = *request.mutable_parameters();
    if (!config.empty()) parameters["config"].set_string_param(config);
    for (const auto& [path, content] : files) {
      parameters[path].set_bytes_param(content.data(), content.size());
    }
    inference::RepositoryModelLoadResponse response;
    Error err = impl_->CallLarge("/inference.GRPCInferenceService/RepositoryModelLoad", request,
                                 &response, headers, timeout_ms);
    if (err.IsOk() && verbose_) std::cout << "Loaded model '" << model_name << "'" << std::endl;
    return err;
  });
}

Error InferenceServerGrpcClient::UnloadModel(const std::string& model_name, const Headers& headers,
                                             const uint64_t timeout_ms) {
  if (model_name.empty()) return Invalid("'model_name' is empty");
  inference::RepositoryModelUnloadRequest request;
  request.set_model_name(model_name);
  inference::RepositoryModelUnloadResponse response;
  Error err = impl_->Call(&Stub::RepositoryModelUnload, request, &response, headers, timeout_ms);
  if (err.IsOk() && verbose_) std::cout << "Unloaded model '" << model_name << "'" << std::endl;
  return err;
}

Error InferenceServerGrpcClient::ModelInferenceStatistics(
    inference::ModelStatisticsResponse* infer_stat, const std::string& model_name,
    const std::string& model_version, const Headers& headers, const uint64_t timeout_ms) {
  if (model_name.empty() && !model_version.empty()) {
    return Invalid("'model_version' is given without 'model_name'");
  }
  inference::ModelStatisticsRequest request;
  request.set_name(model_name);
  request.set_version(model_version);
  return Shown(verbose_,
               impl_->Call(&Stub::ModelStatistics, request, infer_stat, headers, timeout_ms),
               infer_stat);
}

// Traces

Error InferenceServerGrpcClient::UpdateTraceSettings(
    inference::TraceSettingResponse* response, const std::string& model_name,
    const std::map<std::string, std::vector<std::string>>& settings, const Headers& headers,
    const uint64_t timeout_ms) {
  inference::TraceSettingRequest request;
  request.set_model_name(model_name);
  for (const auto& [name, values] : settings) {
    auto& setting = (*request.mutable_settings())[name];  // without values it is cleared
    for (const auto& value : values) setting.add_value(value);
  }
  return Shown(verbose_, impl_->Call(&Stub::TraceSetting, request, response, headers, timeout_ms),
               response);
}

Error InferenceServerGrpcClient::GetTraceSettings(inference::TraceSettingResponse* settings,
                                                  const std::string& model_name,
                                                  const Headers& headers,
                                                  const uint64_t timeout_ms) {
  return UpdateTraceSettings(settings, model_name, {}, headers, timeout_ms);
}

// Shared memory

Error InferenceServerGrpcClient::SystemSharedMemoryStatus(
    inference::SystemSharedMemoryStatusResponse* status, const std::string& region_name,
    const Headers& headers, const uint64_t timeout_ms) {
  inference::SystemSharedMemoryStatusRequest request;
  request.set_name(region_name);
  return Shown(verbose_,
               impl_->Call(&Stub::SystemSharedMemoryStatus, request, status, headers, timeout_ms),
               status);
}

Error InferenceServerGrpcClient::RegisterSystemSharedMemory(
    const std::string& name, const std::string& key, const size_t byte_size, const size_t offset,
    const Headers& headers, const uint64_t timeout_ms) {
  if (name.empty()) return Invalid("'name' of the shared memory region is empty");
  if (key.empty()) return Invalid("'key' of shared memory region '" + name + "' is empty");
  inference::SystemSharedMemoryRegisterRequest request;
  request.set_name(name);
  request.set_key(key);
  request.set_offset(offset);
  request.set_byte_size(byte_size);
  inference::SystemSharedMemoryRegisterResponse response;
  Error err =
      impl_->Call(&Stub::SystemSharedMemoryRegister, request, &response, headers, timeout_ms);
  if (err.IsOk() && verbose_) {
    std::cout << "Registered system shared memory with name '" << name << "'" << std::endl;
  }
  return err;
}

Error InferenceServerGrpcClient::UnregisterSystemSharedMemory(const std::string& name,
                                                              const Headers& headers,
                                                              const uint64_t timeout_ms) {
  inference::SystemSharedMemoryUnregisterRequest request;
  request.set_name(name);
  inference::SystemSharedMemoryUnregisterResponse response;
  return impl_->Call(&Stub::SystemSharedMemoryUnregister, request, &response, headers, timeout_ms);
}

Error InferenceServerGrpcClient::CudaSharedMemoryStatus(
    inference::CudaSharedMemoryStatusResponse* status, const std::string& region_name,
    const Headers& headers, const uint64_t timeout_ms) {
  inference::CudaSharedMemoryStatusRequest request;
  request.set_name(region_name);
  return Shown(verbose_,
               impl_->Call(&Stub::CudaSharedMemoryStatus, request, status, headers, timeout_ms),
               status);
}

Error InferenceServerGrpcClient::RegisterCudaSharedMemory(
    const std::string& name, const cudaIpcMemHandle_t& cuda_shm_handle, const size_t device_id,
    const size_t byte_size, const Headers& headers, const uint64_t timeout_ms) {
  if (name.empty()) return Invalid("'name' of the shared memory region is empty");
  inference::CudaSharedMemoryRegisterRequest request;
  request.set_name(name);
  request.set_raw_handle(&cuda_shm_handle, sizeof(cuda_shm_handle));
  request.set_device_id(static_cast<int64_t>(device_id));
  request.set_byte_size(byte_size);
  inference::CudaSharedMemoryRegisterResponse response;
  Error err = impl_->Call(&Stub::CudaSharedMemoryRegister, request, &response, headers, timeout_ms);
  if (err.IsOk() && verbose_) {
    std::cout << "Registered cuda shared memory with name '" << name << "'" << std::endl;
  }
  return err;
}

Error InferenceServerGrpcClient::UnregisterCudaSharedMemory(const std::string& name,
                                                            const Headers& headers,
                                                            const uint64_t timeout_ms) {
  inference::CudaSharedMemoryUnregisterRequest request;
  request.set_name(name);
  inference::CudaSharedMemoryUnregisterResponse response;
  return impl_->Call(&Stub::CudaSharedMemoryUnregister, request, &response, headers, timeout_ms);
}

// Inference

namespace {

// Make a result; a lack of memory for it is an error of the result.
template <typename Make>
InferResult* ResultOf(Make&& make) {
  try {
    return make();
  } catch (const std::exception& exception) {
    return internal::MakeErrorResult(
        Error(ErrorCode::RESOURCE_EXHAUSTED,
              std::string("gRPC client failed: can't read the answer: ") + exception.what()));
  }
}

InferResult* ResultOf(const Error& err, const grpc::ByteBuffer& response) {
  return ResultOf([&] {
    return err.IsOk() ? internal::MakeInferResult(response) : internal::MakeErrorResult(err);
  });
}

}  // namespace

Error InferenceServerGrpcClient::Infer(InferResult** result, const InferOptions& options,
                                       const std::vector<InferInput*>& inputs,
                                       const std::vector<const InferRequestedOutput*>& outputs,
                                       const Headers& headers,
                                       grpc_compression_algorithm compression_algorithm) {
  if (result == nullptr) return Invalid("'result' is null");
  *result = nullptr;
  return Guarded([&] {
    using Kind = RequestTimers::Kind;
    RequestTimers timers;
    timers.CaptureTimestamp(Kind::REQUEST_START);
    timers.CaptureTimestamp(Kind::SEND_START);
    grpc::ByteBuffer request;
    std::shared_ptr<Loan> loan;
    Error err = internal::BuildInferMessage(&request, &loan, options, inputs, outputs);
    if (!err.IsOk()) return err;
    timers.CaptureTimestamp(Kind::SEND_END);
    grpc::ByteBuffer response;
    err = impl_->Infer(&request, loan, &response, headers, impl_->Limit(options.client_timeout_),
                       compression_algorithm);
    timers.CaptureTimestamp(Kind::RECV_START);
    *result = ResultOf(err, response);
    timers.CaptureTimestamp(Kind::RECV_END);
    timers.CaptureTimestamp(Kind::REQUEST_END);
    UpdateInferStat(timers);
    if (verbose_) std::cout << (*result)->DebugString() << std::endl;
    return (*result)->RequestStatus();
  });
}

Error InferenceServerGrpcClient::AsyncInfer(OnCompleteFn callback, const InferOptions& options,
                                            const std::vector<InferInput*>& inputs,
                                            const std::vector<const InferRequestedOutput*>& outputs,
                                            const Headers& headers,
                                            grpc_compression_algorithm compression_algorithm,
                                            CallContext** ctx_out) {
  if (ctx_out != nullptr) *ctx_out = nullptr;
  if (callback == nullptr) {
    return Invalid("Callback function must be provided along with AsyncInfer() call.");
  }
  return Guarded([&] {
    using Kind = RequestTimers::Kind;
    auto call = std::make_shared<AsyncCall>();
    call->timers.CaptureTimestamp(Kind::REQUEST_START);
    call->timers.CaptureTimestamp(Kind::SEND_START);
    Error err = internal::BuildInferMessage(&call->request, &call->loan, options, inputs, outputs);
    if (!err.IsOk()) return err;
    call->timers.CaptureTimestamp(Kind::SEND_END);
    call->timeout_us = impl_->Limit(options.client_timeout_);
    err = internal::PrepareContext(call->context.get(), headers, call->timeout_us,
                                   compression_algorithm);
    if (!err.IsOk()) return err;
    call->on_end = [callback = std::move(callback), statistics = statistics_, verbose = verbose_](
                       const Error& failure, const grpc::ByteBuffer& response,
                       const RequestTimers& taken) {
      InferResult* const result = ResultOf(failure, response);
      RequestTimers ended = taken;
      ended.CaptureTimestamp(Kind::RECV_END);
      ended.CaptureTimestamp(Kind::REQUEST_END);
      if (failure.IsOk()) statistics->Add(ended);
      if (verbose) std::cout << result->DebugString() << std::endl;
      callback(result);
    };
    // A context of a call that could not begin must not outlive the call.
    std::unique_ptr<CallContext> context;
    if (ctx_out != nullptr) {
      context = std::make_unique<CallContext>([weak = std::weak_ptr<AsyncCall>(call)] {
        if (const auto kept = weak.lock()) kept->Cancel(internal::kCancelled);
      });
    }
    err = impl_->async().Start(call, impl_->channel());
    if (!err.IsOk()) return err;
    if (verbose_) {
      std::cout << "Sent request"
                << (options.request_id_.empty() ? "" : " '" + options.request_id_ + "'")
                << std::endl;
    }
    if (ctx_out != nullptr) *ctx_out = context.release();
    return Error::Success;
  });
}

Error InferenceServerGrpcClient::InferMulti(
    std::vector<InferResult*>* results, const std::vector<InferOptions>& options,
    const std::vector<std::vector<InferInput*>>& inputs,
    const std::vector<std::vector<const InferRequestedOutput*>>& outputs, const Headers& headers,
    grpc_compression_algorithm compression_algorithm) {
  return internal::InferEach(
      results, {options, inputs, outputs},
      [&](InferResult** result, const InferOptions& option, const std::vector<InferInput*>& input,
          const internal::Outputs& output) {
        return Infer(result, option, input, output, headers, compression_algorithm);
      });
}

Error InferenceServerGrpcClient::AsyncInferMulti(
    OnMultiCompleteFn callback, const std::vector<InferOptions>& options,
    const std::vector<std::vector<InferInput*>>& inputs,
    const std::vector<std::vector<const InferRequestedOutput*>>& outputs, const Headers& headers,
    grpc_compression_algorithm compression_algorithm, std::vector<CallContext*>* ctxs_out) {
  return internal::StartEach(
      callback, {options, inputs, outputs}, ctxs_out,
      [&](OnCompleteFn one, const InferOptions& option, const std::vector<InferInput*>& input,
          const internal::Outputs& output, CallContext** context) {
        return AsyncInfer(std::move(one), option, input, output, headers, compression_algorithm,
                          context);
      },
      internal::MakeErrorResult,
      [&](const std::function<void()>& job) { impl_->async().dispatcher().Post(job); });
}

// Streams

Error InferenceServerGrpcClient::StartStream(OnCompleteFn callback, bool enable_stats,
                                             uint32_t stream_timeout, const Headers& headers,
                                             grpc_compression_algorithm compression_algorithm) {
  if (callback == nullptr) {
    return Invalid("Callback function must be provided along with StartStream() call.");
  }
  return Guarded([&] {
    std::function<void(const RequestTimers&)> count;
    if (enable_stats) {
      count = [statistics = statistics_](const RequestTimers& timers) { statistics->Add(timers); };
    }
    if (verbose_) {
      callback = [callback = std::move(callback)](InferResult* result) {
        std::cout << result->DebugString() << std::endl;
        callback(result);
      };
    }
    auto stream = std::make_shared<GrpcStream>(impl_->channel(), impl_->url(), stream_timeout,
                                               std::move(callback), std::move(count));
    Error err =
        internal::PrepareContext(stream->context(), headers, stream_timeout, compression_algorithm);
    if (err.IsOk()) err = impl_->StartStream(stream);
    if (err.IsOk() && verbose_) std::cout << "Started stream..." << std::endl;
    return err;
  });
}

Error InferenceServerGrpcClient::StopStream(bool cancel_requests) {
  const auto running = impl_->stream();
  if (running != nullptr && running->IsCurrent()) {
    return Error(ErrorCode::FAILED_PRECONDITION,
                 "StopStream() waits for the stream's callbacks, so it can't be called in one");
  }
  const auto stream = impl_->TakeStream();
  if (stream == nullptr) return Error::Success;
  stream->Stop(cancel_requests ? internal::kCancelled : nullptr);
  if (verbose_) std::cout << "Stopped stream..." << std::endl;
  return Error::Success;
}

Error InferenceServerGrpcClient::AsyncStreamInfer(
    const InferOptions& options, const std::vector<InferInput*>& inputs,
    const std::vector<const InferRequestedOutput*>& outputs) {
  const auto stream = impl_->stream();
  if (stream == nullptr) {
    return Error(ErrorCode::FAILED_PRECONDITION,
                 "Stream has been closed. Call StartStream() before AsyncStreamInfer().");
  }
  return Guarded([&] {
    using Kind = RequestTimers::Kind;
    RequestTimers timers;
    timers.CaptureTimestamp(Kind::REQUEST_START);
    timers.CaptureTimestamp(Kind::SEND_START);
    grpc::ByteBuffer message;
    std::shared_ptr<Loan> loan;
    Error err = internal::BuildInferMessage(&message, &loan, options, inputs, outputs);
    if (!err.IsOk()) return err;
    timers.CaptureTimestamp(Kind::SEND_END);
    err = stream->Write(&message, loan, timers);
    if (err.IsOk() && verbose_) {
      std::cout << "Sent request"
                << (options.request_id_.empty() ? "" : " '" + options.request_id_ + "'")
                << std::endl;
    }
    return err;
  });
}

}  // namespace triton::client
