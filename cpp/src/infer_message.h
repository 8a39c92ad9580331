// The messages of an inference over gRPC, without copies of tensors. No I/O.
#pragma once

#include <grpcpp/support/byte_buffer.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "outputs.h"
#include "tensors.h"

namespace triton::client::internal {

/// Memory of the caller that gRPC may still read. gRPC keeps it after a deadline or a cancellation
/// until the connection has no use for it.
class Loan {
 public:
  /// Make a slice of the caller's memory that is returned when gRPC lets go of it.
  static grpc::Slice Lend(const std::shared_ptr<Loan>& loan, const uint8_t* data, size_t size);

  /// Wait until all is returned.
  /// @return false when it took longer.
  bool WaitFor(std::chrono::milliseconds patience);
  void Wait();

 private:
  static void Return(void* loan);

  std::mutex mutex_;
  std::condition_variable returned_;
  size_t lent_ = 0;
};

/// Check a request and write its message.
/// @param loan receives what is lent; null when all was small enough to be copied.
Error BuildInferMessage(grpc::ByteBuffer* message, std::shared_ptr<Loan>* loan,
                        const InferOptions& options, const std::vector<InferInput*>& inputs,
                        const std::vector<const InferRequestedOutput*>& outputs);

/// Make the result of a ModelInferResponse. One that can't be read has that error as its status.
InferResult* MakeInferResult(const grpc::ByteBuffer& message);

/// Make the result of a ModelStreamInferResponse.
InferResult* MakeStreamResult(const grpc::ByteBuffer& message);

/// Make the result of a request that got no answer.
InferResult* MakeErrorResult(const Error& error);

}  // namespace triton::client::internal
