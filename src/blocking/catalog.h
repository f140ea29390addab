// Records of files -> ids, embeddings and keys in memory.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "blocking/id_index.h"
#include "blocking/key_blocks.h"
#include "blocking/vectors.h"
#include "engine/engine.h"
#include "rows/reader.h"

namespace tilewise::blocking {

/// What of a record counts.
struct RecordView {
  std::string task = {};                 ///< an embedding of the model; "": its only one
  std::vector<std::string> fields = {};  ///< whose values, joined by spaces, are embedded; empty:
                                         ///< the task's template
  std::vector<std::string> number_fields = {};    ///< in which model numbers are looked for
  std::vector<std::string> agreeing_fields = {};  ///< that must not differ for a pair of a key
};

/// What is asked and told while records are read.
struct ReadWatch {
  std::function<bool()> stop = {};
  std::function<void(const Status&)> on_rejected = {};
  std::function<void(int64_t rows, double fraction)> on_progress = {};
  /// Bytes that the catalogue's vectors, ids and keys may take; 0: any number.
  int64_t most_bytes = 0;
};

/// Immutable once it is read.
struct Catalog {
  IdIndex ids;
  Vectors vectors;  ///< one an id
  RecordKeys keys;  ///< one an id
  int64_t rows = 0;
  int64_t rejected = 0;
  int64_t truncated = 0;
};

/// The index of the task in the model's metadata. Errors: not_found, invalid_argument where it is
/// no embedding of texts or there are several.
Result<int32_t> find_embedding(const engine::Engine& engine, const std::string& task);

/// Reads and embeds the records of `paths` on all replicas. A record is rejected when it cannot be
/// parsed, when its id came before or when it has no text in any of the fields. `key_names` numbers
/// the keys and may be shared by several catalogues. Errors: those of find_embedding and of the
/// reader, interrupted, unavailable_machine when the records need more than `most_bytes`.
Result<Catalog> read_catalog(engine::Engine& engine, const std::vector<std::string>& paths,
                             std::optional<rows::Format> format, const RecordView& view,
                             IdIndex& key_names, const ReadWatch& watch);

}  // namespace tilewise::blocking
