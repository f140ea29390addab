// A catalogue on its way to pairs: each record is parsed, rendered and tokenized once, however many
// pairs name it.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"
#include "batch/mapped_index.h"
#include "batch/temporary_map.h"
#include "engine/engine.h"
#include "rows/inputs.h"
#include "rows/reader.h"

namespace tilewise::batch {

/// The token ids of records by their id, in unlinked temporary files: anonymous memory does not
/// grow with the catalogue, which may be larger than memory. Thread-safe after build().
class RecordStore {
 public:
  struct Options {
    std::vector<rows::InputFile> files;    ///< read one after the other: rows::list_inputs
    engine::TaskSet tasks;                 ///< pairs; they read a record alike
    std::string temporary_directory = {};  ///< default: $TMPDIR, or /tmp
    std::function<bool()> stop = {};       ///< true ends build() as interrupted
    rows::ReadLimits limits = {};          ///< a record with a longer line is rejected
  };
  struct Progress {
    int64_t records = 0;  ///< stored so far
    int64_t rejected = 0;
    double seconds = 0;
    double fraction = -1;  ///< of the input bytes read; negative where that is not known
  };

  /// Reads all catalogues one after the other and tokenizes on all replicas. A record that cannot
  /// be used is reported through `on_rejected`, in the order of the input, and is left out: a bad
  /// line, one without an id or without the fields of the tasks' template, one whose id an earlier
  /// record has. Both functions are called on the calling thread and may be empty. Errors: those of
  /// the reader; invalid_argument for tasks that read no pairs; io_error where the temporary
  /// directory has no room; interrupted.
  static Result<RecordStore> build(engine::Engine& engine, const Options& options,
                                   const std::function<void(const Status&)>& on_rejected = {},
                                   const std::function<void(const Progress&)>& on_progress = {});

  /// The encoded record for Worker::add_pair(); nullopt where no record has this id. Its ids lie in
  /// `memory` (overwritten), or in the store.
  std::optional<engine::Side> find(std::string_view id, std::vector<int32_t>& memory) const;

  int64_t records() const { return static_cast<int64_t>(index_.size()); }
  /// What was read, for the manifest.
  const std::vector<rows::ReadInput>& inputs() const { return inputs_; }
  /// XXH3-128 over the ids and token ids of all records in their order, in hexadecimal digits.
  const std::string& content_hash() const { return content_hash_; }
  /// Bytes of the temporary files.
  size_t bytes() const { return data_.bytes().size() + index_.bytes(); }

 private:
  friend class RecordStoreBuilder;
  RecordStore(TemporaryMap data, MappedIndex index, size_t token_bytes)
      : data_(std::move(data)), index_(std::move(index)), token_bytes_(token_bytes) {}
  std::optional<uint64_t> locate(std::string_view id, uint64_t hash) const;

  TemporaryMap data_;   // records end to end; see record_store.cc
  MappedIndex index_;   // hash of the id -> offset in data_
  size_t token_bytes_;  // of a token id: 2 or 4
  std::vector<rows::ReadInput> inputs_;
  std::string content_hash_;
};

}  // namespace tilewise::batch
