#include "batch/memory.h"

#include <algorithm>
#include <fstream>
#include <string>

#include <fmt/format.h>

#include "batch/pipeline.h"

namespace tilewise::batch {
namespace {

/// Reader, writers and compressors, with zstd's usual window; and each chunk on the way, with rows
/// of usual length.
constexpr int64_t kJobBytes = 16 << 20;
constexpr int64_t kUsualWindow = 2 << 20;
constexpr int64_t kChunkBytes = 3 << 20;

/// Copies of a long line: in the reader while its buffer grows, in each chunk that waits, and in
/// one that is being parsed (the padded line, its structure, its texts, the rendered text, its
/// words and tokens).
constexpr int64_t kReaderCopies = 4;
constexpr int64_t kParsedCopies = 20;

constexpr int64_t kDefaultLimit = 512'000'000;
constexpr int64_t kLeastLine = 64 << 10;
constexpr int64_t kMostLine = 1 << 20;
constexpr int64_t kLinesInLimit = 2048;  // so many of the longest lines are as much as the limit

std::string megabytes(int64_t bytes) { return fmt::format("{}M", (bytes + 999'999) / 1'000'000); }

int64_t needed(int64_t limit, int64_t in_use, int32_t replicas) {
  const int64_t chunks = chunks_of(replicas);
  const int64_t copies = kReaderCopies + chunks + replicas * kParsedCopies;
  return in_use + kJobBytes + chunks * kChunkBytes +
         copies * static_cast<int64_t>(longest_line(limit));
}

/// The least limit that is enough: with it the longest line grows, but only so far.
int64_t least_limit(int64_t in_use, int32_t replicas) {
  int64_t limit = 0;
  for (int64_t next = 1; next > limit;) {
    limit = next;
    next = needed(limit, in_use, replicas);
  }
  return limit;
}

}  // namespace

int64_t anonymous_bytes() {
  std::ifstream status("/proc/self/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with("RssAnon:")) return std::stoll(line.substr(8)) * 1024;
  }
  return 0;
}

size_t longest_line(int64_t limit) {
  const int64_t bytes = (limit > 0 ? limit : kDefaultLimit) / kLinesInLimit;
  return static_cast<size_t>(std::clamp(bytes, kLeastLine, kMostLine));
}

Result<rows::ReadLimits> share_memory(int64_t limit, int64_t in_use, int32_t replicas) {
  rows::ReadLimits limits{.line_bytes = longest_line(limit)};
  if (limit == 0) return limits;
  const int64_t spare = limit - needed(limit, in_use, replicas);
  if (spare >= 0) {
    limits.window_bytes = std::min(limits.window_bytes, static_cast<size_t>(spare + kUsualWindow));
    return limits;
  }
  return invalid_argument({.what = "the job does not fit into the memory that it may use",
                           .where = "--memory",
                           .expected = "at least " + megabytes(least_limit(in_use, replicas)),
                           .found = megabytes(limit),
                           .remedy = "Allow more, or take fewer --replicas"});
}

}  // namespace tilewise::batch
