// A catalogue -> the pairs of records that are worth scoring.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "blocking/catalog.h"
#include "blocking/neighbours.h"
#include "engine/engine.h"

namespace tilewise::blocking {

enum class Search : uint8_t {
  automatic,  ///< exact unless that takes too long
  exact,
  hnsw,
};

struct Options {
  std::vector<std::string> catalogs = {};  ///< files, directories or globs; or one for each side:
  std::vector<std::string> left = {}, right = {};
  std::optional<rows::Format> format = {};  ///< else by the files' extensions
  RecordView view = {};
  int32_t top = 20;        ///< neighbours of each record, or of each record on the left
  bool both_ways = false;  ///< two catalogues: also of each record on the right
  Search search = Search::automatic;
  int64_t largest_block = 50;  ///< records that may share a key; more make no pairs
  std::string matches = {};    ///< id pairs of known duplicates, to measure the recall; "": none
  int64_t memory_bytes = 0;    ///< that may be used for all of it; 0: any number
  std::function<bool()> stop = {};
};

/// What was done, and what it took.
struct Report {
  int64_t left_records = 0, right_records = 0;  ///< right: 0 where there is one catalogue
  int64_t rejected = 0, truncated = 0;          ///< of all records
  bool exact = true;                            ///< how neighbours were searched
  int64_t pairs = 0;
  int64_t neighbour_pairs = 0, key_pairs = 0;  ///< of them; a pair may be both
  KeyReport keys = {};
  double possible_pairs = 0;
  int64_t matches = 0;          ///< known duplicates whose records are both there
  int64_t unknown_matches = 0;  ///< those of which a record is not
  int64_t found_matches = 0;    ///< those of `matches` that are among the pairs
  double read_seconds = 0, search_seconds = 0, seconds = 0;

  /// Share of all possible pairs that need not be scored.
  double reduction_ratio() const { return possible_pairs > 0 ? 1 - pairs / possible_pairs : 0; }
  /// NaN where there are no matches.
  double recall() const;
};

/// How far it is.
struct Progress {
  enum class Step : uint8_t { reading, searching } step;
  int64_t done = 0;      ///< records
  double fraction = -1;  ///< of the step; negative where that is not known
  double seconds = 0;    ///< since the start of the step
};

/// Gives `write` lines of {"left_id","right_id","similarity"?,"key"?}: `similarity` (cosine) for
/// neighbours, `key` for pairs that share a model number. Each pair comes once, none is of a record
/// with itself; within one catalogue `left_id` is the record that was read first. They are sorted
/// by the place of their left and then of their right record in the input. Nothing depends on the
/// number of replicas. A rejected record is reported through `on_rejected`, in order. Errors: those
/// of read_catalog and `write`, invalid_argument (options that do not fit together), interrupted.
Result<Report> find_candidates(engine::Engine& engine, const Options& options,
                               const std::function<Status(std::string_view)>& write,
                               const std::function<void(const Status&)>& on_rejected,
                               const std::function<void(const Progress&)>& on_progress);

}  // namespace tilewise::blocking
