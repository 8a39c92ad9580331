// POSIX shared memory.
#include "triton/client/shm.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>
#include <limits>
#include <system_error>
#include <utility>

namespace triton::client {
namespace {

Error Invalid(const std::string& message) { return Error(ErrorCode::INVALID_ARGUMENT, message); }

Error Failure(const std::string& what, int number) {
  ErrorCode code = ErrorCode::INTERNAL;
  if (number == EINVAL || number == ENAMETOOLONG || number == EBADF) {
    code = ErrorCode::INVALID_ARGUMENT;
  } else if (number == ENOENT) {
    code = ErrorCode::NOT_FOUND;
  } else if (number == EACCES || number == EPERM) {
    code = ErrorCode::PERMISSION_DENIED;
  } else if (number == ENOSPC || number == ENOMEM || number == EMFILE) {
    code = ErrorCode::RESOURCE_EXHAUSTED;
  }
  return Error(code, what + ": " + std::generic_category().message(number));
}

Error CheckKey(const std::string& key) {
  if (key.empty() || key.find('\0') != std::string::npos) {
    return Invalid("'" + key + "' is no key of shared memory: use a name such as /input");
  }
  return Error::Success;
}

}  // namespace

Error CreateSharedMemoryRegion(std::string shm_key, size_t byte_size, int* shm_fd) {
  if (shm_fd == nullptr) return Invalid("'shm_fd' is null");
  *shm_fd = -1;
  if (Error err = CheckKey(shm_key); !err.IsOk()) return err;
  if (byte_size > static_cast<size_t>(std::numeric_limits<off_t>::max())) {
    return Invalid("'byte_size' " + std::to_string(byte_size) + " is too large");
  }
  const int fd = shm_open(shm_key.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR);
  if (fd < 0) return Failure("unable to open shared memory '" + shm_key + "'", errno);
  int result;
  do {
    result = ftruncate(fd, static_cast<off_t>(byte_size));
  } while (result != 0 && errno == EINTR);
  // Memory that is not there is an error now, rather than a signal when it is touched.
  if (result == 0 && byte_size > 0) {
    const int failure = posix_fallocate(fd, 0, static_cast<off_t>(byte_size));
    if (failure != 0 && failure != EOPNOTSUPP && failure != EINVAL && failure != EINTR) {
      errno = failure;
      result = -1;
    }
  }
  if (result != 0) {
    const int number = errno;
    close(fd);
    return Failure("unable to give shared memory '" + shm_key + "' a size of " +
                       std::to_string(byte_size) + " bytes",
                   number);
  }
  *shm_fd = fd;
  return Error::Success;
}

Error MapSharedMemory(int shm_fd, size_t offset, size_t byte_size, void** shm_addr) {
  if (shm_addr == nullptr) return Invalid("'shm_addr' is null");
  *shm_addr = nullptr;
  struct stat status;
  if (fstat(shm_fd, &status) != 0) return Failure("unable to map shared memory", errno);
  // What lies behind the end of the object can be mapped, and kills the process when touched.
  const auto size = static_cast<uint64_t>(status.st_size);
  if (offset > size || byte_size > size - offset) {
    return Error(ErrorCode::OUT_OF_RANGE, "unable to map " + std::to_string(byte_size) +
                                              " bytes at offset " + std::to_string(offset) +
                                              " of shared memory of " + std::to_string(size) +
                                              " bytes");
  }
  void* const address = mmap(nullptr, byte_size, PROT_READ | PROT_WRITE, MAP_SHARED, shm_fd,
                             static_cast<off_t>(offset));
  if (address == MAP_FAILED) {
    return Failure("unable to map " + std::to_string(byte_size) + " bytes at offset " +
                       std::to_string(offset) + " of shared memory",
                   errno);
  }
  *shm_addr = address;
  return Error::Success;
}

Error CloseSharedMemory(int shm_fd) {
  // EINTR: Linux has closed the descriptor all the same.
  if (close(shm_fd) != 0 && errno != EINTR) {
    return Failure("unable to close descriptor " + std::to_string(shm_fd) + " of shared memory",
                   errno);
  }
  return Error::Success;
}

Error UnlinkSharedMemoryRegion(std::string shm_key) {
  if (Error err = CheckKey(shm_key); !err.IsOk()) return err;
  if (shm_unlink(shm_key.c_str()) != 0) {
    return Failure("unable to unlink shared memory '" + shm_key + "'", errno);
  }
  return Error::Success;
}

Error UnmapSharedMemory(void* shm_addr, size_t byte_size) {
  if (munmap(shm_addr, byte_size) != 0) return Failure("unable to unmap shared memory", errno);
  return Error::Success;
}

Error SharedMemoryRegion::Create(SharedMemoryRegion* region, const std::string& key,
                                 size_t byte_size) {
  if (region == nullptr) return Invalid("'region' is null");
  int fd = -1;
  if (Error err = CreateSharedMemoryRegion(key, byte_size, &fd); !err.IsOk()) return err;
  void* data = nullptr;
  Error err = MapSharedMemory(fd, 0, byte_size, &data);
  CloseSharedMemory(fd);  // the mapping keeps the object
  if (!err.IsOk()) {
    UnlinkSharedMemoryRegion(key);
    return err;
  }
  SharedMemoryRegion made;
  made.key_ = key;
  made.byte_size_ = byte_size;
  made.data_ = data;
  *region = std::move(made);
  return Error::Success;
}

SharedMemoryRegion::~SharedMemoryRegion() {
  if (data_ == nullptr) return;
  UnmapSharedMemory(data_, byte_size_);
  UnlinkSharedMemoryRegion(key_);
}

SharedMemoryRegion::SharedMemoryRegion(SharedMemoryRegion&& other) noexcept
    : key_(std::move(other.key_)),
      byte_size_(std::exchange(other.byte_size_, 0)),
      data_(std::exchange(other.data_, nullptr)) {}

SharedMemoryRegion& SharedMemoryRegion::operator=(SharedMemoryRegion&& other) noexcept {
  std::swap(key_, other.key_);
  std::swap(byte_size_, other.byte_size_);
  std::swap(data_, other.data_);
  return *this;
}

}  // namespace triton::client
