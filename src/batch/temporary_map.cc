#include "batch/temporary_map.h"

#include <cerrno>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

namespace tilewise::batch {
namespace {

Status cannot_use(const std::string& directory, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return io_error(
      {.what = full ? "there is no room for a temporary file" : "cannot use a temporary file",
       .where = directory,
       .found = errno_text(error),
       .remedy = full ? "Free some space, or name another directory with TMPDIR"
                      : "Name a directory that may be written to with TMPDIR"});
}

std::string default_directory() {
  const char* directory = std::getenv("TMPDIR");
  return directory != nullptr && *directory != '\0' ? directory : "/tmp";
}

/// Takes the room of [from, to) on disk; 0, or the errno of the failure.
int allocate(int file, size_t from, size_t to) {
  int error = 0;
  do {
    error = ::posix_fallocate(file, static_cast<off_t>(from), static_cast<off_t>(to - from));
  } while (error == EINTR);
  return error;
}

}  // namespace

Result<TemporaryMap> TemporaryMap::create(const std::string& directory) {
  const std::string folder = directory.empty() ? default_directory() : directory;
  std::string name = folder + "/tilewise-XXXXXX";
  Descriptor file(::mkostemp(name.data(), O_CLOEXEC));
  if (file.get() < 0) return cannot_use(folder, errno);
  ::unlink(name.c_str());
  return TemporaryMap(folder, std::move(file));
}

TemporaryMap::TemporaryMap(TemporaryMap&& other) noexcept
    : directory_(std::move(other.directory_)),
      file_(std::move(other.file_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

TemporaryMap& TemporaryMap::operator=(TemporaryMap&& other) noexcept {
  // The old mapping goes away with `other`.
  std::swap(directory_, other.directory_);
  std::swap(file_, other.file_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

TemporaryMap::~TemporaryMap() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

Status TemporaryMap::resize(size_t size) {
  if (size == size_) return {};
  if (size > size_) {
    const int error = allocate(file_.get(), size_, size);
    if (error != 0) return cannot_use(directory_, error);
  }
  TILEWISE_RETURN_IF_ERROR(map(size));
  // Only to give room back.
  [[maybe_unused]] const int ignored = ::ftruncate(file_.get(), static_cast<off_t>(size));
  return {};
}

// A new mapping before the old one goes, so that a failure changes nothing.
Status TemporaryMap::map(size_t size) {
  void* data = nullptr;
  if (size > 0) {
    data = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, file_.get(), 0);
    if (data == MAP_FAILED) return cannot_use(directory_, errno);
  }
  if (data_ != nullptr) ::munmap(data_, size_);
  data_ = static_cast<std::byte*>(data);
  size_ = size;
  return {};
}

void TemporaryMap::expect_random_reads() {
  // It is advice: what fails leaves the reading as it is.
  if (data_ != nullptr) ::madvise(data_, size_, MADV_RANDOM);
}

}  // namespace tilewise::batch
