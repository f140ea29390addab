// How a job stays within the memory that it was given.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/status.h"
#include "rows/reader.h"

namespace tilewise::batch {

/// Anonymous memory of this process, resident now, in bytes: what counts against its limit. Mapped
/// files (the model, catalogues, score files) are the page cache's and go when others need room.
/// 0 where the system does not say.
int64_t anonymous_bytes();

/// The longest line that a job takes, in bytes. It depends on `limit` (bytes; 0: the default) and
/// on nothing else, since which rows are rejected must not depend on the machine: 64 KB to 1 MB,
/// 250 KB by default.
size_t longest_line(int64_t limit);

/// What reading may take of the limit: lines of that length, which must fit with their copies on
/// the way beside the bytes that are `in_use` and what a job needs in any case, and of the rest
/// windows of zstd. The default limit grows with the replicas. Errors: invalid_argument saying how
/// much is needed.
Result<rows::ReadLimits> share_memory(int64_t limit, int64_t in_use, int32_t replicas);

}  // namespace tilewise::batch
