// For new code: typed tensors that own or borrow, views, futures. A thin front of the classes
// beside it; whatever can fail returns an Error.
#pragma once

#include <cstdint>
#include <cstring>
#include <future>
#include <memory>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "triton/client/client.h"
#include "triton/client/options.h"
#include "triton/client/result.h"
#include "triton/client/tensor.h"

namespace triton::client {

/// The datatype of the elements of a C++ type. FP16 and BF16 are `Float16` and `BFloat16`.
struct Float16 {
  uint16_t bits;
};
struct BFloat16 {
  uint16_t bits;
};

template <typename T>
struct DatatypeName {};
// clang-format off
template <> struct DatatypeName<bool> { static constexpr char value[] = "BOOL"; };
template <> struct DatatypeName<uint8_t> { static constexpr char value[] = "UINT8"; };
template <> struct DatatypeName<uint16_t> { static constexpr char value[] = "UINT16"; };
template <> struct DatatypeName<uint32_t> { static constexpr char value[] = "UINT32"; };
template <> struct DatatypeName<uint64_t> { static constexpr char value[] = "UINT64"; };
template <> struct DatatypeName<int8_t> { static constexpr char value[] = "INT8"; };
template <> struct DatatypeName<int16_t> { static constexpr char value[] = "INT16"; };
template <> struct DatatypeName<int32_t> { static constexpr char value[] = "INT32"; };
template <> struct DatatypeName<int64_t> { static constexpr char value[] = "INT64"; };
template <> struct DatatypeName<float> { static constexpr char value[] = "FP32"; };
template <> struct DatatypeName<double> { static constexpr char value[] = "FP64"; };
template <> struct DatatypeName<Float16> { static constexpr char value[] = "FP16"; };
template <> struct DatatypeName<BFloat16> { static constexpr char value[] = "BF16"; };
// clang-format on

static_assert(sizeof(bool) == 1, "BOOL tensors have one byte for each element");

/// The elements of an output. They belong to the result and live as long as it does, except where
/// their place in the answer is not aligned: then the view holds a copy.
template <typename T>
class TensorView {
 public:
  const T* data() const { return data_; }
  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  const T& operator[](size_t i) const { return data_[i]; }
  const T* begin() const { return data_; }
  const T* end() const { return data_ + size_; }

 private:
  friend class InferResult;
  const T* data_ = nullptr;
  size_t size_ = 0;
  std::shared_ptr<T[]> copy_;
};

template <typename T>
Error InferResult::As(const std::string& output_name, TensorView<T>* view) const {
  if (view == nullptr) return Error(ErrorCode::INVALID_ARGUMENT, "'view' is null");
  *view = TensorView<T>();
  std::string datatype;
  if (Error err = Datatype(output_name, &datatype); !err.IsOk()) return err;
  if (datatype != DatatypeName<T>::value) {
    return Error(ErrorCode::INVALID_ARGUMENT,
                 "output '" + output_name + "' is " + datatype + ", not " + DatatypeName<T>::value);
  }
  const uint8_t* bytes = nullptr;
  size_t byte_size = 0;
  if (Error err = RawData(output_name, &bytes, &byte_size); !err.IsOk()) return err;
  view->size_ = byte_size / sizeof(T);
  if (byte_size == 0) return Error::Success;
  if (reinterpret_cast<uintptr_t>(bytes) % alignof(T) == 0) {
    view->data_ = reinterpret_cast<const T*>(bytes);
  } else {
    view->copy_.reset(new T[view->size_]);
    std::memcpy(view->copy_.get(), bytes, view->size_ * sizeof(T));
    view->data_ = view->copy_.get();
  }
  return Error::Success;
}

namespace internal {
/// Make an input of bytes that `held` keeps, if it is not null.
TRITON_CLIENT_API std::unique_ptr<InferInput> MakeInput(const std::string& name,
                                                        const std::vector<int64_t>& dims,
                                                        const char* datatype, const void* data,
                                                        size_t byte_size,
                                                        std::shared_ptr<const void> held);
/// Make an input of BYTES, which are copied.
TRITON_CLIENT_API std::unique_ptr<InferInput> MakeStrings(const std::string& name,
                                                          const std::vector<int64_t>& dims,
                                                          const std::vector<std::string>& elements);
}  // namespace internal

template <typename T>
std::unique_ptr<InferInput> InferInput::Make(const std::string& name,
                                             const std::vector<int64_t>& dims, const T* data,
                                             size_t count) {
  return internal::MakeInput(name, dims, DatatypeName<T>::value, data, count * sizeof(T), nullptr);
}

template <typename T>
std::unique_ptr<InferInput> InferInput::Make(const std::string& name,
                                             const std::vector<int64_t>& dims,
                                             std::vector<T>&& elements) {
  if constexpr (std::is_same_v<T, std::string>) {
    return internal::MakeStrings(name, dims, elements);
  } else {
    static_assert(!std::is_same_v<T, bool>, "std::vector<bool> is packed: use uint8_t* or bool*");
    auto held = std::make_shared<const std::vector<T>>(std::move(elements));
    return internal::MakeInput(name, dims, DatatypeName<T>::value, held->data(),
                               held->size() * sizeof(T), held);
  }
}

/// How an inference ended: a result, or an error and perhaps a result.
struct InferOutcome {
  Error error;
  std::unique_ptr<InferResult> result;
};

using InferFuture = std::future<InferOutcome>;

/// Run an inference and return how it ended.
template <typename Client>
InferOutcome InferSync(Client& client, const InferOptions& options,
                       const std::vector<InferInput*>& inputs,
                       const std::vector<const InferRequestedOutput*>& outputs = {}) {
  InferResult* result = nullptr;
  InferOutcome outcome;
  outcome.error = client.Infer(&result, options, inputs, outputs);
  outcome.result.reset(result);
  return outcome;
}

/// Begin an inference. The inputs' memory must live until the future is ready.
template <typename Client>
InferFuture InferAsync(Client& client, const InferOptions& options,
                       const std::vector<InferInput*>& inputs,
                       const std::vector<const InferRequestedOutput*>& outputs = {}) {
  auto promise = std::make_shared<std::promise<InferOutcome>>();
  InferFuture future = promise->get_future();
  const Error err = client.AsyncInfer(
      [promise](InferResult* result) {
        InferOutcome outcome;
        outcome.error = result->RequestStatus();
        outcome.result.reset(result);
        promise->set_value(std::move(outcome));
      },
      options, inputs, outputs);
  if (!err.IsOk()) promise->set_value({err, nullptr});
  return future;
}

}  // namespace triton::client
