#include "base/open_regular.h"

#include <cerrno>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tilewise {
namespace {

Status cannot_open(const std::string& path, int error) {
  if (error == ENOENT || error == ENOTDIR) {
    return not_found({.what = "no such file",
                      .where = path,
                      .expected = "an existing file",
                      .found = errno_text(error),
                      .remedy = "Check the path for a typing error"});
  }
  return io_error({.what = "cannot open the file",
                   .where = path,
                   .expected = "a readable file",
                   .found = errno_text(error),
                   .remedy = "Check the permissions of the file and of the folders above it"});
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  return "a device";
}

}  // namespace

Descriptor::~Descriptor() {
  if (value_ >= 0) ::close(value_);
}

Result<OpenedFile> open_regular(const std::string& path) {
  // O_NONBLOCK: opening a pipe must not wait for a writer. It changes nothing for regular files.
  Descriptor descriptor(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (descriptor.get() < 0) return cannot_open(path, errno);
  struct stat info = {};
  if (::fstat(descriptor.get(), &info) != 0) return cannot_open(path, errno);
  if (!S_ISREG(info.st_mode)) {
    return io_error({.what = "cannot read it as a file",
                     .where = path,
                     .expected = "a regular file",
                     .found = kind_of(info.st_mode),
                     .remedy = "Give the path of a file"});
  }
  return OpenedFile{std::move(descriptor), static_cast<size_t>(info.st_size)};
}

}  // namespace tilewise
