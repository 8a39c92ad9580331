// POSIX shared memory.
#pragma once

#include <cstddef>
#include <string>

#include "triton/client/error.h"

namespace triton::client {

/// Open a shared memory object, make it if it is not there, and give it a size.
/// @param shm_fd receives a descriptor for CloseSharedMemory.
TRITON_CLIENT_API Error CreateSharedMemoryRegion(std::string shm_key, size_t byte_size,
                                                 int* shm_fd);
/// Map a part of an object for reading and writing. The offset is a multiple of the page size.
TRITON_CLIENT_API Error MapSharedMemory(int shm_fd, size_t offset, size_t byte_size,
                                        void** shm_addr);
TRITON_CLIENT_API Error CloseSharedMemory(int shm_fd);
/// Remove an object's name. Its memory is freed when nobody has it mapped any more.
TRITON_CLIENT_API Error UnlinkSharedMemoryRegion(std::string shm_key);
TRITON_CLIENT_API Error UnmapSharedMemory(void* shm_addr, size_t byte_size);

/// Shared memory of this process: made, mapped, and removed when this object ends.
class TRITON_CLIENT_API SharedMemoryRegion {
 public:
  SharedMemoryRegion() = default;
  ~SharedMemoryRegion();
  SharedMemoryRegion(SharedMemoryRegion&& other) noexcept;
  SharedMemoryRegion& operator=(SharedMemoryRegion&& other) noexcept;
  SharedMemoryRegion(const SharedMemoryRegion&) = delete;
  SharedMemoryRegion& operator=(const SharedMemoryRegion&) = delete;

  /// Make a region.
  /// @param key its name for other processes; begins with a slash.
  static Error Create(SharedMemoryRegion* region, const std::string& key, size_t byte_size);

  const std::string& Key() const { return key_; }
  size_t ByteSize() const { return byte_size_; }
  void* Data() const { return data_; }

 private:
  std::string key_;
  size_t byte_size_ = 0;
  void* data_ = nullptr;
};

}  // namespace triton::client
