// Memory for the body of an answer: not initialised, grown once when its length is known.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

namespace triton::client::internal {

class Body {
 public:
  // What a peer announces is not believed beyond this: more is only allocated when it comes.
  static constexpr uint64_t kMostAnnounced = uint64_t{1} << 30;

  const uint8_t* data() const { return memory_.get() + start_; }
  size_t size() const { return size_; }
  std::string_view text() const { return {reinterpret_cast<const char*>(data()), size_}; }

  void Clear() {
    size_ = 0;
    start_ = 0;
  }

  /// Place the body so that the byte at `offset` is aligned for any element. Before the first byte.
  void Align(uint64_t offset) {
    if (size_ == 0) start_ = static_cast<size_t>((kAlignment - offset % kAlignment) % kAlignment);
  }

  /// Make room for an announced size. False when there is no memory.
  bool Announce(uint64_t size) {
    return Grow(static_cast<size_t>(size < kMostAnnounced ? size : kMostAnnounced));
  }

  bool Append(const void* data, size_t count) {
    if (count == 0) return true;
    if (count > capacity_ - start_ - size_ || capacity_ < start_) {
      if (count > SIZE_MAX / 2 - size_ - kAlignment) return false;
      const size_t twice = size_ > SIZE_MAX / 4 ? size_ + count : size_ * 2;
      if (!Grow(size_ + count > twice ? size_ + count : twice)) return false;
    }
    std::memcpy(memory_.get() + start_ + size_, data, count);
    size_ += count;
    return true;
  }

 private:
  static constexpr size_t kAlignment = 64;
  struct Free {
    void operator()(uint8_t* memory) const { std::free(memory); }
  };

  bool Grow(size_t size) {
    const size_t wanted = size + kAlignment;
    if (wanted <= capacity_) return true;
    // realloc keeps no alignment beyond malloc's 16 bytes, which is enough for every element.
    auto* grown = static_cast<uint8_t*>(std::realloc(memory_.get(), wanted));
    if (grown == nullptr) return false;
    (void)memory_.release();  // NOLINT(bugprone-unused-return-value): realloc has freed it
    memory_.reset(grown);
    capacity_ = wanted;
    return true;
  }

  std::unique_ptr<uint8_t, Free> memory_;
  size_t capacity_ = 0;
  size_t start_ = 0;
  size_t size_ = 0;
};

}  // namespace triton::client::internal
