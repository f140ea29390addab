#include "base/output_file.h"

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <random>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

namespace tilewise {
namespace {

constexpr size_t kBufferSize = size_t{256} << 10;

Status cannot_write(const std::string& path, int error) {
  const bool full = error == ENOSPC || error == EDQUOT || error == EFBIG;
  return io_error({.what = "cannot write the file",
                   .where = path,
                   .found = errno_text(error),
                   .remedy = full ? "Free some space, or write elsewhere"
                                  : "Check that the folder exists and that you may write to it"});
}

Status already_closed(const std::string& path) {
  return internal_error(
      {.what = "the output was used after it had failed or was committed", .where = path});
}

// Renaming over a device or a directory would destroy it, or fail only after all the work.
Status check_replaceable(const std::string& path) {
  struct stat info = {};
  if (::stat(path.c_str(), &info) != 0 || S_ISREG(info.st_mode)) return {};
  return io_error({.what = "cannot write the file",
                   .where = path,
                   .expected = "the name of a new file, or of a regular file to replace",
                   .found = S_ISDIR(info.st_mode) ? "a directory" : "a device, pipe or socket",
                   .remedy = "Give another path"});
}

std::string random_suffix() {
  constexpr char kLetters[] = "abcdefghijklmnopqrstuvwxyz0123456789";
  std::random_device device;
  std::uniform_int_distribution<size_t> letter(0, sizeof(kLetters) - 2);
  std::string suffix = ".tmp-";
  for (int i = 0; i < 6; ++i) suffix += kLetters[letter(device)];
  return suffix;
}

// Writes everything; 0, or the errno of the failure.
int write_fully(int descriptor, const char* data, size_t size) {
  while (size > 0) {
    const ssize_t count = ::write(descriptor, data, size);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return errno;
    data += count;
    size -= static_cast<size_t>(count);
  }
  return 0;
}

// Makes the new name itself survive a crash. Some file systems cannot sync a directory: nothing is
// lost by that.
int sync_directory_of(const std::string& path) {
  std::string directory = std::filesystem::path(path).parent_path().string();
  if (directory.empty()) directory = ".";
  const int descriptor = ::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (descriptor < 0) return 0;
  const int error = ::fsync(descriptor) == 0 ? 0 : errno;
  ::close(descriptor);
  return error == EINVAL || error == ENOTSUP ? 0 : error;
}

}  // namespace

Result<OutputFile> OutputFile::create(const std::string& path) {
  TILEWISE_RETURN_IF_ERROR(check_replaceable(path));
  constexpr int kAttempts = 100;
  for (int attempt = 0; attempt < kAttempts; ++attempt) {
    std::string temporary = path + random_suffix();
    // 0666 less the umask, as for any new file (mkstemp would give 0600).
    const int descriptor = ::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    if (descriptor >= 0) return OutputFile(path, std::move(temporary), descriptor);
    if (errno != EEXIST) return cannot_write(path, errno);
  }
  return cannot_write(path, EEXIST);
}

OutputFile::OutputFile(std::string path, std::string temporary, int descriptor)
    : path_(std::move(path)), temporary_(std::move(temporary)), descriptor_(descriptor) {}

OutputFile::OutputFile(OutputFile&& other) noexcept
    : path_(std::move(other.path_)),
      temporary_(std::move(other.temporary_)),
      descriptor_(std::exchange(other.descriptor_, -1)),
      buffer_(std::move(other.buffer_)),
      size_(std::exchange(other.size_, 0)) {}

OutputFile::~OutputFile() { abandon(); }

void OutputFile::abandon() {
  if (descriptor_ < 0) return;
  ::close(std::exchange(descriptor_, -1));
  ::unlink(temporary_.c_str());
}

Status OutputFile::fail(int error) {
  abandon();
  return cannot_write(path_, error);
}

Status OutputFile::write(std::span<const std::byte> bytes) {
  return write(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

Status OutputFile::write(std::string_view text) {
  if (descriptor_ < 0) return already_closed(path_);
  size_ += text.size();
  if (buffer_.size() + text.size() > kBufferSize) TILEWISE_RETURN_IF_ERROR(flush());
  if (text.size() < kBufferSize) {
    buffer_.append(text);
    return {};
  }
  const int error = write_fully(descriptor_, text.data(), text.size());
  return error == 0 ? Status() : fail(error);
}

Status OutputFile::flush() {
  const int error = write_fully(descriptor_, buffer_.data(), buffer_.size());
  buffer_.clear();
  return error == 0 ? Status() : fail(error);
}

Status OutputFile::commit() {
  if (descriptor_ < 0) return already_closed(path_);
  TILEWISE_RETURN_IF_ERROR(flush());
  if (::fsync(descriptor_) != 0 && errno != EINVAL) return fail(errno);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) return fail(errno);
  // From here on the temporary name is gone; a late error of close() (network file systems) is
  // still reported.
  const int close_error = ::close(std::exchange(descriptor_, -1)) == 0 ? 0 : errno;
  const int sync_error = sync_directory_of(path_);
  if (close_error != 0) return cannot_write(path_, close_error);
  if (sync_error != 0) return cannot_write(path_, sync_error);
  return {};
}

}  // namespace tilewise
