// The client for the v2 protocol over gRPC.
#pragma once

#include <grpcpp/grpcpp.h>

#include <climits>
#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "grpc_service.grpc.pb.h"
#include "model_config.pb.h"
#include "triton/client/client.h"
#include "triton/client/cuda_ipc.h"
#include "triton/client/options.h"
#include "triton/client/result.h"
#include "triton/client/tensor.h"

namespace triton::client {

/// Metadata of a request: names, in any case, and values.
typedef std::map<std::string, std::string> Headers;

/// The names of PEM files; an empty name stands for gRPC's default.
struct SslOptions {
  explicit SslOptions() {}
  std::string root_certificates;
  std::string private_key;
  std::string certificate_chain;
};

/// When gRPC pings a server to see whether the connection still works.
struct KeepAliveOptions {
  explicit KeepAliveOptions() {}
  int keepalive_time_ms = INT_MAX;
  int keepalive_timeout_ms = 20000;
  bool keepalive_permit_without_calls = false;
  int http2_max_pings_without_data = 2;
};

/// A client over gRPC. All methods may be called from several threads at once.
///
/// Clients of one process share channels when URL, TLS files and channel arguments are the same;
/// at most 6 clients a channel, or as many as the environment variable
/// TRITON_CLIENT_GRPC_CHANNEL_MAX_SHARE_COUNT says. A channel closes with its last client.
///
/// When the client is destroyed, calls that are not over end: their callbacks run with an error of
/// code CANCELLED before the destructor returns. An open stream is closed, and cancelled when the
/// server does not close it soon. A callback that refers to variables which end before the client
/// must have run before they do. A client may be destroyed in a callback; the callbacks that are
/// left then run soon after.
///
/// A deadline or a cancellation ends a call at once, but gRPC may hold the inputs' memory until the
/// connection has sent it. Calls return, and callbacks run, when it has let go of it. A connection
/// on which nothing moves for a second is then closed.
class TRITON_CLIENT_API InferenceServerGrpcClient : public InferenceServerClient {
 public:
  ~InferenceServerGrpcClient() override;

  /// Make a client. It connects when it is used.
  /// @param server_url host:port
  /// @param use_cached_channel whether to share a channel with other clients.
  static Error Create(std::unique_ptr<InferenceServerGrpcClient>* client,
                      const std::string& server_url, bool verbose = false, bool use_ssl = false,
                      const SslOptions& ssl_options = SslOptions(),
                      const KeepAliveOptions& keepalive_options = KeepAliveOptions(),
                      const bool use_cached_channel = true);
  /// Make a client with channel arguments, which are taken as they are. gRPC's own limit is 4 MiB
  /// for the messages received.
  static Error Create(std::unique_ptr<InferenceServerGrpcClient>* client,
                      const std::string& server_url, const grpc::ChannelArguments& channel_args,
                      bool verbose = false, bool use_ssl = false,
                      const SslOptions& ssl_options = SslOptions(),
                      const bool use_cached_channel = true);

  /// Limit the calls that have no limit of their own: those where `timeout_ms` or `client_timeout_`
  /// is 0. Streams are not limited. Calls under way keep theirs.
  /// @param timeout_us microseconds for the whole call; 0, as at the start, for no limit.
  void SetClientTimeout(uint64_t timeout_us);

  /// Return how many channels clients of this process can share at present.
  size_t GetNumCachedChannels() const;

  /// Each method below sends `headers`. `timeout_ms` is in microseconds, in spite of its name;
  /// 0 stands for no limit. An empty version stands for the one that the server chooses.

  Error IsServerLive(bool* live, const Headers& headers = Headers(), const uint64_t timeout_ms = 0);
  Error IsServerReady(bool* ready, const Headers& headers = Headers(),
                      const uint64_t timeout_ms = 0);
  Error IsModelReady(bool* ready, const std::string& model_name,
                     const std::string& model_version = "", const Headers& headers = Headers(),
                     const uint64_t timeout_ms = 0);

  Error ServerMetadata(inference::ServerMetadataResponse* server_metadata,
                       const Headers& headers = Headers(), const uint64_t timeout_ms = 0);
  Error ModelMetadata(inference::ModelMetadataResponse* model_metadata,
                      const std::string& model_name, const std::string& model_version = "",
                      const Headers& headers = Headers(), const uint64_t timeout_ms = 0);
  Error ModelConfig(inference::ModelConfigResponse* model_config, const std::string& model_name,
                    const std::string& model_version = "", const Headers& headers = Headers(),
                    const uint64_t timeout_ms = 0);

  Error ModelRepositoryIndex(inference::RepositoryIndexResponse* repository_index,
                             const Headers& headers = Headers(), const uint64_t timeout_ms = 0);
  /// Load or reload a model.
  /// @param config its configuration as JSON, instead of the one in the repository.
  /// @param files the contents of its files by "file:<path>", instead of those in the repository.
  Error LoadModel(const std::string& model_name, const Headers& headers = Headers(),
                  const std::string& config = std::string(),
                  const std::map<std::string, std::vector<char>>& files = {},
                  const uint64_t timeout_ms = 0);
  Error UnloadModel(const std::string& model_name, const Headers& headers = Headers(),
                    const uint64_t timeout_ms = 0);
  /// An empty name stands for all models.
  Error ModelInferenceStatistics(inference::ModelStatisticsResponse* infer_stat,
                                 const std::string& model_name = "",
                                 const std::string& model_version = "",
                                 const Headers& headers = Headers(), const uint64_t timeout_ms = 0);

  /// Change trace settings, of the server or of one model. An empty list clears a setting.
  Error UpdateTraceSettings(inference::TraceSettingResponse* response,
                            const std::string& model_name = "",
                            const std::map<std::string, std::vector<std::string>>& settings = {},
                            const Headers& headers = Headers(), const uint64_t timeout_ms = 0);
  Error GetTraceSettings(inference::TraceSettingResponse* settings,
                         const std::string& model_name = "", const Headers& headers = Headers(),
                         const uint64_t timeout_ms = 0);

  /// An empty name stands for all regions.
  Error SystemSharedMemoryStatus(inference::SystemSharedMemoryStatusResponse* status,
                                 const std::string& region_name = "",
                                 const Headers& headers = Headers(), const uint64_t timeout_ms = 0);
  Error RegisterSystemSharedMemory(const std::string& name, const std::string& key,
                                   const size_t byte_size, const size_t offset = 0,
                                   const Headers& headers = Headers(),
                                   const uint64_t timeout_ms = 0);
  Error UnregisterSystemSharedMemory(const std::string& name = "",
                                     const Headers& headers = Headers(),
                                     const uint64_t timeout_ms = 0);
  Error CudaSharedMemoryStatus(inference::CudaSharedMemoryStatusResponse* status,
                               const std::string& region_name = "",
                               const Headers& headers = Headers(), const uint64_t timeout_ms = 0);
  Error RegisterCudaSharedMemory(const std::string& name, const cudaIpcMemHandle_t& cuda_shm_handle,
                                 const size_t device_id, const size_t byte_size,
                                 const Headers& headers = Headers(), const uint64_t timeout_ms = 0);
  Error UnregisterCudaSharedMemory(const std::string& name = "", const Headers& headers = Headers(),
                                   const uint64_t timeout_ms = 0);

  /// Run an inference and wait for its end.
  /// @param result receives a result that the caller deletes, also when the call failed; nullptr
  /// when nothing was sent.
  /// @param outputs those to return; empty for all.
  Error Infer(InferResult** result, const InferOptions& options,
              const std::vector<InferInput*>& inputs,
              const std::vector<const InferRequestedOutput*>& outputs = {},
              const Headers& headers = Headers(),
              grpc_compression_algorithm compression_algorithm = GRPC_COMPRESS_NONE);

  /// Begin an inference. When this succeeds, the callback runs exactly once. The memory of the
  /// inputs must live until then.
  /// @param ctx_out receives a handle to cancel it, which the caller deletes.
  Error AsyncInfer(OnCompleteFn callback, const InferOptions& options,
                   const std::vector<InferInput*>& inputs,
                   const std::vector<const InferRequestedOutput*>& outputs = {},
                   const Headers& headers = Headers(),
                   grpc_compression_algorithm compression_algorithm = GRPC_COMPRESS_NONE,
                   CallContext** ctx_out = nullptr);

  /// Run inferences one after the other, up to the first that fails.
  /// @param options one for all, or one for each.
  /// @param outputs none, one for all, or one for each.
  Error InferMulti(std::vector<InferResult*>* results, const std::vector<InferOptions>& options,
                   const std::vector<std::vector<InferInput*>>& inputs,
                   const std::vector<std::vector<const InferRequestedOutput*>>& outputs = {},
                   const Headers& headers = Headers(),
                   grpc_compression_algorithm compression_algorithm = GRPC_COMPRESS_NONE);

  /// Begin several inferences. The callback runs once, with the results in the order of `inputs`.
  Error AsyncInferMulti(OnMultiCompleteFn callback, const std::vector<InferOptions>& options,
                        const std::vector<std::vector<InferInput*>>& inputs,
                        const std::vector<std::vector<const InferRequestedOutput*>>& outputs = {},
                        const Headers& headers = Headers(),
                        grpc_compression_algorithm compression_algorithm = GRPC_COMPRESS_NONE,
                        std::vector<CallContext*>* ctxs_out = nullptr);

  /// Open a stream and return at once. The callback runs for each response, in order, on a thread
  /// of the stream. When the stream ends otherwise than by StopStream(), one last result has the
  /// error "Stream has been closed: <reason>".
  /// @param enable_stats count the requests; only for models that send one response to each.
  /// @param stream_timeout microseconds for the whole stream; 0 for no limit.
  Error StartStream(OnCompleteFn callback, bool enable_stats = true, uint32_t stream_timeout = 0,
                    const Headers& headers = Headers(),
                    grpc_compression_algorithm compression_algorithm = GRPC_COMPRESS_NONE);

  /// Close the stream: wait for the responses to all requests that were sent, until the server
  /// closes it. Does nothing when there is none.
  /// @param cancel_requests end the requests that are not answered instead. A last result then has
  /// the error "Locally cancelled by application!".
  Error StopStream(bool cancel_requests = false);

  /// Send a request on the stream. The memory of the inputs may change when this returns.
  Error AsyncStreamInfer(const InferOptions& options, const std::vector<InferInput*>& inputs,
                         const std::vector<const InferRequestedOutput*>& outputs = {});

 private:
  class Impl;
  InferenceServerGrpcClient(std::unique_ptr<Impl> impl, bool verbose);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace triton::client
