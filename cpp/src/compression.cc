// Compression of request bodies. curl undoes that of answers.
#include "compression.h"

#include <algorithm>
#include <array>
#include <climits>

#ifdef TRITON_ENABLE_ZLIB
#include <zlib.h>
#endif

namespace triton::client::internal {

using CompressionType = InferenceServerHttpClient::CompressionType;

const char* CodingName(CompressionType type) {
  switch (type) {
    case CompressionType::DEFLATE:
      return "deflate";
    case CompressionType::GZIP:
      return "gzip";
    case CompressionType::NONE:
      break;
  }
  return nullptr;
}

Error CheckCoding(CompressionType type) {
  if (type == CompressionType::NONE) return Error::Success;
  if (CodingName(type) == nullptr) {
    return Invalid("compression " + std::to_string(static_cast<int>(type)) +
                   " is unknown: use NONE, DEFLATE or GZIP");
  }
#ifndef TRITON_ENABLE_ZLIB
  return Error(ErrorCode::UNIMPLEMENTED,
               "this library was built without zlib and can't compress: build it with "
               "TRITON_ENABLE_ZLIB=ON");
#else
  return Error::Success;
#endif
}

#ifdef TRITON_ENABLE_ZLIB
namespace {

// A stream of zlib that is ended in any case.
class Deflater {
 public:
  explicit Deflater(CompressionType type) {
    // "deflate" is the zlib format of RFC 1950; 16 more stands for gzip.
    const int window_bits = type == CompressionType::GZIP ? 15 | 16 : 15;
    ready_ = deflateInit2(&stream_, Z_DEFAULT_COMPRESSION, Z_DEFLATED, window_bits, 8,
                          Z_DEFAULT_STRATEGY) == Z_OK;
  }
  ~Deflater() {
    if (ready_) deflateEnd(&stream_);
  }
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  bool Add(const uint8_t* data, size_t size, bool last) {
    if (!ready_) return false;
    do {
      const size_t count = std::min<size_t>(size, UINT_MAX);
      stream_.next_in = const_cast<uint8_t*>(data);  // zlib does not write there
      stream_.avail_in = static_cast<uInt>(count);
      data += count;
      size -= count;
      if (!Run(last && size == 0 ? Z_FINISH : Z_NO_FLUSH)) return false;
    } while (size > 0);
    return true;
  }
  std::string& out() { return out_; }

 private:
  bool Run(int flush) {
    for (;;) {
      stream_.next_out = piece_.data();
      stream_.avail_out = static_cast<uInt>(piece_.size());
      const int result = deflate(&stream_, flush);
      if (result == Z_STREAM_ERROR) return false;
      out_.append(reinterpret_cast<const char*>(piece_.data()), piece_.size() - stream_.avail_out);
      if (stream_.avail_out > 0) return flush != Z_FINISH || result == Z_STREAM_END;
    }
  }

  z_stream stream_{};
  bool ready_ = false;
  std::array<uint8_t, 32768> piece_;
  std::string out_;
};

}  // namespace

Error Compress(CompressionType type, RestBody* body) {
  Deflater deflater(type);
  const auto* head = reinterpret_cast<const uint8_t*>(body->head.data());
  bool done = deflater.Add(head, body->head.size(), body->tensors.empty());
  for (size_t i = 0; done && i < body->tensors.size(); ++i) {
    const auto [data, size] = body->tensors[i];
    done = deflater.Add(data, size, i + 1 == body->tensors.size());
  }
  if (!done) return Error(ErrorCode::INTERNAL, "zlib can't compress the request");
  body->head = std::move(deflater.out());
  body->tensors.clear();
  body->byte_size = body->head.size();
  return Error::Success;
}
#else
Error Compress(CompressionType type, RestBody*) { return CheckCoding(type); }
#endif

}  // namespace triton::client::internal
