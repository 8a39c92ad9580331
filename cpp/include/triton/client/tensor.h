// Inputs of an inference, and the outputs that are asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "triton/client/error.h"

namespace triton::client {

namespace internal {
struct TensorAccess;
}

/// A region of shared memory, and where in it a tensor lies.
struct SharedMemoryPlace {
  std::string region;
  size_t byte_size = 0;
  size_t offset = 0;
};

/// One input tensor. It may be used by several calls, also at once, as long as it is not changed.
class TRITON_CLIENT_API InferInput {
 public:
  /// Make an input that the caller deletes. Name, shape and datatype are checked when it is sent.
  static Error Create(InferInput** infer_input, const std::string& name,
                      const std::vector<int64_t>& dims, const std::string& datatype);

  /// Make an input that refers to `count` elements of the caller's memory, which must live until
  /// the call, or its callback, is over. The datatype follows from T.
  template <typename T>
  static std::unique_ptr<InferInput> Make(const std::string& name, const std::vector<int64_t>& dims,
                                          const T* data, size_t count);
  /// Make an input that owns its elements.
  template <typename T>
  static std::unique_ptr<InferInput> Make(const std::string& name, const std::vector<int64_t>& dims,
                                          std::vector<T>&& elements);

  const std::string& Name() const { return name_; }
  const std::string& Datatype() const { return datatype_; }
  const std::vector<int64_t>& Shape() const { return dims_; }
  Error SetShape(const std::vector<int64_t>& dims);

  /// Forget data and shared memory. Shape, datatype and the binary flag stay.
  Error Reset();

  /// Append bytes in the tensor's binary layout. The memory is referred to, not copied: it must
  /// live until the call, or its callback, is over.
  Error AppendRaw(const std::vector<uint8_t>& input);
  Error AppendRaw(const uint8_t* input, size_t input_byte_size);

  /// Append elements of a BYTES tensor. They are copied.
  Error AppendFromString(const std::vector<std::string>& input);

  /// Take the tensor from a registered region of shared memory.
  Error SetSharedMemory(const std::string& name, size_t byte_size, size_t offset = 0);
  bool IsSharedMemory() const { return shared_memory_; }
  Error SharedMemoryInfo(std::string* name, size_t* byte_size, size_t* offset) const;

  /// Get the first buffer; nullptr and 0 when there is none.
  Error RawData(const uint8_t** buf, size_t* byte_size);
  /// Get the size of all buffers.
  Error ByteSize(size_t* byte_size) const;

  /// Whether HTTP carries the tensor as binary data (the default) or as JSON.
  bool BinaryData() const { return binary_data_; }
  Error SetBinaryData(const bool binary_data);

 private:
#ifdef TRITON_INFERENCE_SERVER_CLIENT_CLASS
  friend class TRITON_INFERENCE_SERVER_CLIENT_CLASS;
#endif
  friend struct internal::TensorAccess;

  InferInput(const std::string& name, const std::vector<int64_t>& dims,
             const std::string& datatype);

  // Read the buffers one after the other, for programs that build requests themselves.
  Error PrepareForRequest();
  Error GetNext(uint8_t* buf, size_t size, size_t* input_bytes, bool* end_of_input);
  Error GetNext(const uint8_t** buf, size_t* input_bytes, bool* end_of_input);

  std::string name_;
  std::vector<int64_t> dims_;
  std::string datatype_;
  bool binary_data_ = true;
  bool shared_memory_ = false;
  SharedMemoryPlace place_;
  size_t byte_size_ = 0;
  std::vector<std::pair<const uint8_t*, size_t>> buffers_;
  std::list<std::string> packed_;     // what AppendFromString copied
  std::shared_ptr<const void> held_;  // what Make owns
  size_t next_buffer_ = 0;
  size_t next_byte_ = 0;
};

/// One output that is asked for.
class TRITON_CLIENT_API InferRequestedOutput {
 public:
  /// Make an output that the caller deletes.
  /// @param class_count ask for so many of the best classes instead of the tensor; 0 for the
  /// tensor.
  static Error Create(InferRequestedOutput** infer_output, const std::string& name,
                      const size_t class_count = 0, const std::string& datatype = "");

  const std::string& Name() const { return name_; }
  const std::string& Datatype() const { return datatype_; }
  size_t ClassificationCount() const { return class_count_; }

  /// Let the server write the tensor into a registered region of shared memory.
  Error SetSharedMemory(const std::string& region_name, const size_t byte_size,
                        const size_t offset = 0);
  Error UnsetSharedMemory();
  bool IsSharedMemory() const { return shared_memory_; }
  Error SharedMemoryInfo(std::string* name, size_t* byte_size, size_t* offset) const;

  /// Whether HTTP carries the tensor as binary data (the default) or as JSON.
  bool BinaryData() const { return binary_data_; }
  Error SetBinaryData(const bool binary_data);

 private:
#ifdef TRITON_INFERENCE_SERVER_CLIENT_CLASS
  friend class TRITON_INFERENCE_SERVER_CLIENT_CLASS;
#endif

  InferRequestedOutput(const std::string& name, size_t class_count, const std::string& datatype);

  std::string name_;
  size_t class_count_;
  std::string datatype_;
  bool binary_data_ = true;
  bool shared_memory_ = false;
  SharedMemoryPlace place_;
};

}  // namespace triton::client
