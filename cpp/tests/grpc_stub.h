// A server of gRPC whose every message the test decides.
#pragma once

#include <grpcpp/generic/async_generic_service.h>
#include <grpcpp/grpcpp.h>

#include <atomic>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "grpc_service.pb.h"

namespace grpc_stub {

enum class Then { ANSWER, FAIL, STALL };

// What to do with a request: fill the answer, or the status.
using Handle = std::function<Then(const std::string& method, const std::string& request,
                                  std::string* answer, grpc::Status* status)>;

inline std::string Bytes(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  buffer.Dump(&slices);
  std::string bytes;
  for (const auto& slice : slices) {
    bytes.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  }
  return bytes;
}

// A server of gRPC whose messages the test decides.
class Server : private grpc::CallbackGenericService {
 public:
  /// @param port where it listens; 0: where it likes.
  explicit Server(Handle handle, int port = 0) : handle_(std::move(handle)) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort("127.0.0.1:" + std::to_string(port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.SetMaxReceiveMessageSize(-1);
    builder.RegisterCallbackGenericService(this);
    server_ = builder.BuildAndStart();
  }
  ~Server() override { server_->Shutdown(std::chrono::system_clock::now()); }

  std::string Url() const { return "127.0.0.1:" + std::to_string(port_); }

 private:
  class Call : public grpc::ServerGenericBidiReactor {
   public:
    Call(std::string method, const Handle* handle) : method_(std::move(method)), handle_(handle) {
      StartRead(&request_);
    }
    void OnReadDone(bool ok) override {
      if (!ok) {
        FinishOnce(grpc::Status::OK);
        return;
      }
      std::string answer;
      grpc::Status status;
      switch ((*handle_)(method_, Bytes(request_), &answer, &status)) {
        case Then::ANSWER: {
          const grpc::Slice slice(answer);
          answer_ = grpc::ByteBuffer(&slice, 1);
          StartWrite(&answer_);
          break;
        }
        case Then::FAIL:
          FinishOnce(status);
          break;
        case Then::STALL:
          break;
      }
    }
    void OnWriteDone(bool ok) override {
      if (ok) StartRead(&request_);
    }
    void OnCancel() override { FinishOnce(grpc::Status::CANCELLED); }
    void OnDone() override { delete this; }

   private:
    void FinishOnce(const grpc::Status& status) {
      if (!finished_.exchange(true)) Finish(status);
    }
    const std::string method_;
    const Handle* handle_;
    grpc::ByteBuffer request_;
    grpc::ByteBuffer answer_;
    std::atomic<bool> finished_{false};
  };

  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Call(context->method(), &handle_);
  }

  const Handle handle_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

// Answer with the first input, and the id.
inline std::string Identity(const std::string& request_bytes, bool stream = false) {
  inference::ModelInferRequest request;
  request.ParseFromString(request_bytes);
  inference::ModelInferResponse response;
  response.set_model_name(request.model_name());
  response.set_id(request.id());
  auto* output = response.add_outputs();
  output->set_name("B");
  output->set_datatype("UINT8");
  output->add_shape(static_cast<int64_t>(request.raw_input_contents(0).size()));
  *response.add_raw_output_contents() = request.raw_input_contents(0);
  if (!stream) return response.SerializeAsString();
  inference::ModelStreamInferResponse wrapped;
  *wrapped.mutable_infer_response() = response;
  return wrapped.SerializeAsString();
}

inline Then AnswerIdentity(const std::string& method, const std::string& request,
                           std::string* answer, grpc::Status*) {
  *answer = Identity(request, method.find("Stream") != std::string::npos);
  return Then::ANSWER;
}

inline Then Stall(const std::string&, const std::string&, std::string*, grpc::Status*) {
  return Then::STALL;
}

}  // namespace grpc_stub
