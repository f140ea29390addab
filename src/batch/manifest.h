// DIR/_manifest.json: what a job has done so far, and from what.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "batch/depth.h"
#include "batch/hash.h"
#include "batch/settings.h"
#include "rows/reader.h"

namespace tilewise::batch {

/// The input rows of one part.
struct PartInput {
  int64_t index = 0;  ///< of the part
  int64_t rows = 0;
  /// XXH3-128 over the rows as they were read, each with a line feed behind it, and what else their
  /// answers depend on: see PartReader.
  std::string hash;

  bool operator==(const PartInput&) const = default;
};

/// A part that is whole. What the rows were answered with lies in its files.
struct PartRecord {
  PartInput input;
  int64_t rows = 0;      ///< of this job's shard: answered or rejected
  int64_t rejected = 0;  ///< of them
  int64_t tokens = 0;
  int64_t reused = 0;  ///< answers that a previous run gave
  Depths depths = {};  ///< of the tasks with exits
  FileRecord answers = {};
  std::optional<FileRecord> rejections = {};  ///< where rows were rejected
  std::optional<FileRecord> scores = {};      ///< where scores are written

  bool operator==(const PartRecord&) const = default;
};

/// Catalogues of records.
struct CatalogInfo {
  int64_t records = 0;
  int64_t rejected = 0;
  std::vector<rows::ReadInput> files;
};

struct Manifest {
  bool complete = false;
  Settings settings;
  std::vector<rows::ReadInput> inputs;  ///< of a complete job
  std::optional<CatalogInfo> catalogs;
  std::string since;              ///< directory of the previous run; empty: none
  double seconds = 0;             ///< over all runs of the job
  std::optional<double> price;    ///< USD an hour
  std::vector<PartRecord> parts;  ///< by rising index; a part that is missing is not whole

  /// Null where this part is not there.
  const PartRecord* find(int64_t part) const;
  /// Puts the record in its place.
  void set(PartRecord part);
};

inline constexpr const char* kManifestName = "_manifest.json";

/// What was counted over all parts stands there too, for people; parse_manifest() does not need it.
std::string to_json(const Manifest& manifest);

/// Errors: invalid_input (what is broken, where), unsupported (of a newer version). `where`: the
/// file, for messages. Nobody vouches for the text.
Result<Manifest> parse_manifest(std::string_view json, const std::string& where);

/// That of a job's output directory; nullopt where there is none. Errors: those of parse_manifest,
/// io_error.
Result<std::optional<Manifest>> read_manifest(const std::string& directory);

}  // namespace tilewise::batch
