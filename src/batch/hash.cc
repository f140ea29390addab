#include "batch/hash.h"

#include <cerrno>
#include <new>
#include <vector>

#include <fmt/format.h>
#include <unistd.h>
#include <xxhash.h>

#include "base/open_regular.h"

namespace tilewise::batch {
namespace {

constexpr size_t kBlockBytes = size_t{256} << 10;

}  // namespace

void Hash::Free::operator()(XXH3_state_s* state) const { XXH3_freeState(state); }

Hash::Hash() : state_(XXH3_createState()) {
  if (!state_) throw std::bad_alloc();
  reset();
}

void Hash::append(std::string_view bytes) {
  XXH3_128bits_update(state_.get(), bytes.data(), bytes.size());
}

std::string Hash::hex() const {
  const XXH128_hash_t hash = XXH3_128bits_digest(state_.get());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

void Hash::reset() { XXH3_128bits_reset(state_.get()); }

Result<FileRecord> record_of(const std::string& path) {
  TILEWISE_ASSIGN_OR_RETURN(const OpenedFile file, open_regular(path));
  Hash hash;
  FileRecord record;
  std::vector<char> block(kBlockBytes);
  for (;;) {
    const ssize_t count = ::read(file.descriptor.get(), block.data(), block.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) {
      return io_error({.what = "cannot read the file", .where = path, .found = errno_text(errno)});
    }
    if (count == 0) break;
    hash.append({block.data(), static_cast<size_t>(count)});
    record.bytes += count;
  }
  record.hash = hash.hex();
  return record;
}

}  // namespace tilewise::batch
