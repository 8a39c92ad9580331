// The client for the v2 protocol over HTTP.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "triton/client/client.h"
#include "triton/client/cuda_ipc.h"
#include "triton/client/options.h"
#include "triton/client/result.h"
#include "triton/client/tensor.h"

namespace triton::client {

/// Headers of a request: names and values.
typedef std::map<std::string, std::string> Headers;
/// Parameters of a URL's query, not encoded.
typedef std::map<std::string, std::string> Parameters;

/// How to use TLS. It takes effect for URLs that begin with https://.
struct HttpSslOptions {
  enum CERTTYPE { CERT_PEM = 0, CERT_DER = 1 };
  enum KEYTYPE { KEY_PEM = 0, KEY_DER = 1 };
  explicit HttpSslOptions() {}
  /// 1: the server's certificate must be signed by an authority that is trusted.
  long verify_peer = 1;
  /// 2: it must be for the host of the URL; 0: it need not.
  long verify_host = 2;
  /// The file of the authorities' certificates; empty for those of the system.
  std::string ca_info;
  /// The files of the client's certificate and private key; empty for none.
  CERTTYPE cert_type = CERT_PEM;
  std::string cert;
  KEYTYPE key_type = KEY_PEM;
  std::string key;
};

/// A client over HTTP/1.1. All methods may be called from several threads at once; each thread
/// has a connection of its own, which is kept open.
///
/// When the client is destroyed, calls that are not over end: their callbacks run with an error
/// of code CANCELLED before the destructor returns. A callback that refers to variables which end
/// before the client must have run before they do. A client may be destroyed in a callback; the
/// callbacks that are left then run soon after.
class TRITON_CLIENT_API InferenceServerHttpClient : public InferenceServerClient {
 public:
  enum class CompressionType { NONE, DEFLATE, GZIP };

  ~InferenceServerHttpClient() override;

  /// Make a client. It connects when it is used.
  /// @param server_url [http://|https://]host:port[/base]
  static Error Create(std::unique_ptr<InferenceServerHttpClient>* client,
                      const std::string& server_url, bool verbose = false,
                      const HttpSslOptions& ssl_options = HttpSslOptions());

  /// Limit the calls that have no `client_timeout_` of their own: all requests other than
  /// inferences, and inferences where it is 0. Calls under way keep theirs.
  /// @param timeout_us microseconds for the whole call, rounded up to milliseconds; 0, as at the
  /// start, for no limit.
  void SetClientTimeout(uint64_t timeout_us);
  /// Limit how long a call waits for its connection: name, TCP and TLS. At the start it is 60 s.
  /// @param timeout_us microseconds, rounded up to milliseconds; 0 for 60 s.
  void SetConnectTimeout(uint64_t timeout_us);
  /// Refuse larger responses.
  /// @param byte_size the largest body, also after decompression; 0, as at the start, for no limit
  /// of what is received as it is, and 256 MiB for what is decompressed.
  void SetMaxResponseSize(uint64_t byte_size);

  /// Write the body of an inference request without sending it.
  /// @param header_length receives the length of its JSON, for Inference-Header-Content-Length.
  static Error GenerateRequestBody(std::vector<char>* request_body, size_t* header_length,
                                   const InferOptions& options,
                                   const std::vector<InferInput*>& inputs,
                                   const std::vector<const InferRequestedOutput*>& outputs = {});

  /// Read the body of an inference response. Whether it could be read is its RequestStatus().
  /// @param header_length the length of its JSON; 0 when all is JSON.
  static Error ParseResponseBody(InferResult** result, const std::vector<char>& response_body,
                                 const size_t header_length = 0);

  /// Each method below receives the server's JSON as it came, sends `headers`, and appends
  /// `query_params` to the URL. An empty version stands for the one that the server chooses.

  /// A server that can't be reached is an error; one that answers "no" is not.
  Error IsServerLive(bool* live, const Headers& headers = Headers(),
                     const Parameters& query_params = Parameters());
  Error IsServerReady(bool* ready, const Headers& headers = Headers(),
                      const Parameters& query_params = Parameters());
  Error IsModelReady(bool* ready, const std::string& model_name,
                     const std::string& model_version = "", const Headers& headers = Headers(),
                     const Parameters& query_params = Parameters());

  Error ServerMetadata(std::string* server_metadata, const Headers& headers = Headers(),
                       const Parameters& query_params = Parameters());
  Error ModelMetadata(std::string* model_metadata, const std::string& model_name,
                      const std::string& model_version = "", const Headers& headers = Headers(),
                      const Parameters& query_params = Parameters());
  Error ModelConfig(std::string* model_config, const std::string& model_name,
                    const std::string& model_version = "", const Headers& headers = Headers(),
                    const Parameters& query_params = Parameters());

  Error ModelRepositoryIndex(std::string* repository_index, const Headers& headers = Headers(),
                             const Parameters& query_params = Parameters());
  /// Load or reload a model.
  /// @param config its configuration as JSON, instead of the one in the repository.
  /// @param files the contents of its files by "file:<path>", instead of those in the repository.
  Error LoadModel(const std::string& model_name, const Headers& headers = Headers(),
                  const Parameters& query_params = Parameters(),
                  const std::string& config = std::string(),
                  const std::map<std::string, std::vector<char>>& files = {});
  Error UnloadModel(const std::string& model_name, const Headers& headers = Headers(),
                    const Parameters& query_params = Parameters());
  /// An empty name stands for all models.
  Error ModelInferenceStatistics(std::string* infer_stat, const std::string& model_name = "",
                                 const std::string& model_version = "",
                                 const Headers& headers = Headers(),
                                 const Parameters& query_params = Parameters());

  /// Change trace settings, of the server or of one model. An empty list clears a setting.
  Error UpdateTraceSettings(std::string* response, const std::string& model_name = "",
                            const std::map<std::string, std::vector<std::string>>& settings = {},
                            const Headers& headers = Headers(),
                            const Parameters& query_params = Parameters());
  Error GetTraceSettings(std::string* settings, const std::string& model_name = "",
                         const Headers& headers = Headers(),
                         const Parameters& query_params = Parameters());

  /// An empty name stands for all regions.
  Error SystemSharedMemoryStatus(std::string* status, const std::string& region_name = "",
                                 const Headers& headers = Headers(),
                                 const Parameters& query_params = Parameters());
  Error RegisterSystemSharedMemory(const std::string& name, const std::string& key,
                                   const size_t byte_size, const size_t offset = 0,
                                   const Headers& headers = Headers(),
                                   const Parameters& query_params = Parameters());
  Error UnregisterSystemSharedMemory(const std::string& name = "",
                                     const Headers& headers = Headers(),
                                     const Parameters& query_params = Parameters());
  Error CudaSharedMemoryStatus(std::string* status, const std::string& region_name = "",
                               const Headers& headers = Headers(),
                               const Parameters& query_params = Parameters());
  Error RegisterCudaSharedMemory(const std::string& name, const cudaIpcMemHandle_t& cuda_shm_handle,
                                 const size_t device_id, const size_t byte_size,
                                 const Headers& headers = Headers(),
                                 const Parameters& query_params = Parameters());
  Error UnregisterCudaSharedMemory(const std::string& name = "", const Headers& headers = Headers(),
                                   const Parameters& query_params = Parameters());

  /// Run an inference and wait for its end.
  /// @param result receives a result that the caller deletes, or nullptr when there was no answer.
  /// @param outputs those to return; empty for all.
  Error Infer(InferResult** result, const InferOptions& options,
              const std::vector<InferInput*>& inputs,
              const std::vector<const InferRequestedOutput*>& outputs = {},
              const Headers& headers = Headers(), const Parameters& query_params = Parameters(),
              const CompressionType request_compression_algorithm = CompressionType::NONE,
              const CompressionType response_compression_algorithm = CompressionType::NONE);

  /// Begin an inference. When this succeeds, the callback runs exactly once. The memory of the
  /// inputs must live until then.
  /// @param ctx_out receives a handle to cancel it, which the caller deletes.
  Error AsyncInfer(OnCompleteFn callback, const InferOptions& options,
                   const std::vector<InferInput*>& inputs,
                   const std::vector<const InferRequestedOutput*>& outputs = {},
                   const Headers& headers = Headers(),
                   const Parameters& query_params = Parameters(),
                   const CompressionType request_compression_algorithm = CompressionType::NONE,
                   const CompressionType response_compression_algorithm = CompressionType::NONE,
                   CallContext** ctx_out = nullptr);

  /// Run inferences one after the other, up to the first that fails.
  /// @param options one for all, or one for each.
  /// @param outputs none, one for all, or one for each.
  Error InferMulti(std::vector<InferResult*>* results, const std::vector<InferOptions>& options,
                   const std::vector<std::vector<InferInput*>>& inputs,
                   const std::vector<std::vector<const InferRequestedOutput*>>& outputs = {},
                   const Headers& headers = Headers(),
                   const Parameters& query_params = Parameters(),
                   const CompressionType request_compression_algorithm = CompressionType::NONE,
                   const CompressionType response_compression_algorithm = CompressionType::NONE);

  /// Begin several inferences. The callback runs once, with the results in the order of `inputs`.
  Error AsyncInferMulti(
      OnMultiCompleteFn callback, const std::vector<InferOptions>& options,
      const std::vector<std::vector<InferInput*>>& inputs,
      const std::vector<std::vector<const InferRequestedOutput*>>& outputs = {},
      const Headers& headers = Headers(), const Parameters& query_params = Parameters(),
      const CompressionType request_compression_algorithm = CompressionType::NONE,
      const CompressionType response_compression_algorithm = CompressionType::NONE,
      std::vector<CallContext*>* ctxs_out = nullptr);

 private:
  class Impl;
  InferenceServerHttpClient(const std::string& url, bool verbose,
                            const HttpSslOptions& ssl_options);
  const std::unique_ptr<Impl> impl_;
};

}  // namespace triton::client
