#include "base/mapped_file.h"

#include <algorithm>
#include <cerrno>
#include <utility>

#include <sys/mman.h>
#include <unistd.h>

#include "base/open_regular.h"

namespace tilewise {
namespace {

Status cannot_read(const std::string& path, int error) {
  return io_error({.what = "cannot read the file",
                   .where = path,
                   .found = errno_text(error),
                   .remedy = "Check the disk and the file system it lies on"});
}

Status too_large(const std::string& path, size_t max_bytes) {
  return invalid_input({.what = "the file is too large",
                        .where = path,
                        .expected = "at most " + std::to_string(max_bytes) + " bytes",
                        .found = "more",
                        .remedy = "Check that this is the right file"});
}

}  // namespace

Result<MappedFile> MappedFile::open(const std::string& path) {
  TILEWISE_ASSIGN_OR_RETURN(const OpenedFile file, open_regular(path));
  if (file.size == 0) return MappedFile(path, nullptr, 0);
  void* address = ::mmap(nullptr, file.size, PROT_READ, MAP_SHARED, file.descriptor.get(), 0);
  if (address == MAP_FAILED) return cannot_read(path, errno);
  return MappedFile(path, static_cast<const std::byte*>(address), file.size);
}

MappedFile::MappedFile(MappedFile&& other) noexcept
    : path_(std::move(other.path_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  // The old mapping goes away with `other`.
  std::swap(path_, other.path_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

void MappedFile::release(std::span<const std::byte> part) const {
  const auto page = static_cast<size_t>(::sysconf(_SC_PAGESIZE));
  const size_t first = (static_cast<size_t>(part.data() - data_) + page - 1) / page * page;
  const size_t last = static_cast<size_t>(part.data() + part.size() - data_) / page * page;
  if (last <= first) return;
  // It is advice: what fails leaves the pages where they are.
  ::madvise(const_cast<std::byte*>(data_) + first, last - first, MADV_DONTNEED);
}

Result<std::string> read_file(const std::string& path, size_t max_bytes) {
  TILEWISE_ASSIGN_OR_RETURN(const OpenedFile file, open_regular(path));
  if (file.size > max_bytes) return too_large(path, max_bytes);
  // The size is only a hint: files of /proc say 0, and a file may grow while it is read.
  std::string text;
  size_t filled = 0;
  for (;;) {
    if (filled == text.size()) text.resize(std::max({filled * 2, file.size + 1, size_t{4096}}));
    const ssize_t count = ::read(file.descriptor.get(), text.data() + filled, text.size() - filled);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return cannot_read(path, errno);
    if (count == 0) break;
    filled += static_cast<size_t>(count);
    if (filled > max_bytes) return too_large(path, max_bytes);
  }
  text.resize(filled);
  text.shrink_to_fit();
  return text;
}

}  // namespace tilewise
