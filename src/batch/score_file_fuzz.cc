// Bytes that nobody vouches for: they are refused, or every row of them can be read.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <span>
#include <vector>

#include <xxhash.h>

#include "batch/score_file.h"

namespace {

constexpr size_t kFooterBytes = 16;

void open(std::span<const std::byte> bytes) {
  const auto file = tilewise::batch::ScoreFile::open(bytes, "fuzz");
  if (!file.ok()) return;
  uint64_t sum = 0;
  for (uint64_t row = 0; row < file->rows(); ++row) {
    sum += file->key(row).low;
    for (const float value : file->values(row)) sum += value > 0 ? 1 : 0;
    const auto* end = reinterpret_cast<const std::byte*>(&file->values(row).back() + 1);
    if (end > bytes.data() + bytes.size() - kFooterBytes) std::abort();
  }
  volatile uint64_t used = sum;
  (void)used;
}

/// Gives the bytes the magic and the checksum that random changes never hit.
void seal(std::span<std::byte> bytes) {
  constexpr char kMagic[] = "\x89TWS\r\n\x1a\n";
  if (bytes.size() < 2 * kFooterBytes) return;
  std::memcpy(bytes.data(), kMagic, 8);
  const uint64_t checksum = XXH3_64bits(bytes.data(), bytes.size() - sizeof checksum);
  std::memcpy(&bytes.last(sizeof checksum).front(), &checksum, sizeof checksum);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::vector<uint32_t> words(size / sizeof(uint32_t) + 1);
  if (size > 0) std::memcpy(words.data(), data, size);
  const auto bytes = std::as_writable_bytes(std::span(words)).first(size);
  open(bytes);
  seal(bytes);
  open(bytes);
  return 0;
}
