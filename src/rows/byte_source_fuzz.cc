// Any bytes as a file, perhaps compressed: an error or text, and the same whatever the size of the
// buffer.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include <sys/mman.h>
#include <unistd.h>

#include "rows/byte_source.h"

namespace {

using tilewise::rows::ByteSource;
using tilewise::rows::Hashing;

constexpr size_t kMostText = size_t{4} << 20;  // what is small may stand for very much

/// The text, or what went wrong: how far it was read by then depends on the buffer.
std::string read(const std::string& path, size_t buffer_bytes) {
  auto source = ByteSource::open(path, Hashing::none);
  if (!source.ok()) std::abort();
  std::vector<char> buffer(buffer_bytes);
  std::string text;
  while (!source->at_end() && text.size() < kMostText) {
    const auto count = source->read(buffer);
    if (!count.ok()) return "refused: " + count.status().problem().what;
    text.append(buffer.data(), *count);
  }
  return text.substr(0, kMostText);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int file = memfd_create("fuzz", MFD_CLOEXEC);
  if (file < 0 || ::write(file, data, size) != static_cast<ssize_t>(size)) std::abort();
  const std::string path = "/proc/self/fd/" + std::to_string(file);
  const std::string text = read(path, size_t{128} << 10);
  if (text.size() < kMostText && read(path, 1024) != text) std::abort();
  ::close(file);
  return 0;
}
