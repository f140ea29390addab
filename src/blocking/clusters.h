// Scored pairs -> groups of records that are the same thing.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "blocking/id_index.h"
#include "blocking/scored_pairs.h"

namespace tilewise::blocking {

/// Records that matched pairs join, directly or through others.
struct Group {
  std::vector<uint32_t> members = {};  ///< numbers of records, in the order of their ids (bytes)
  int64_t matches = 0;            ///< distinct pairs of members that matched
  float weakest = 0;  ///< the highest score that, as a threshold, would leave it whole; 0 where it
                      ///< has one member

  /// `matches` over all pairs that there could be: 1 where everything matches everything, low where
  /// a chain of matches joins what does not belong together. 1 for a single record.
  double density(int64_t possible_pairs) const {
    return possible_pairs > 0 ? static_cast<double>(matches) / static_cast<double>(possible_pairs)
                              : 1;
  }
};

/// Joins records by their matches. Takes 12 bytes a match, and about 40 beside its id for each
/// record that is part of one. Not thread-safe; throws std::bad_alloc.
class Joiner {
 public:
  /// The record of this id, which becomes a group of its own unless it is matched.
  uint32_t add_record(std::string_view id) { return ids_.add(id).index; }

  /// A record that matches itself is nothing new.
  void add_match(std::string_view left, std::string_view right, float score);

  /// All groups of at least `smallest` members, sorted by the id of their first member. Their order
  /// and content do not depend on the order of the calls before.
  std::vector<Group> groups(size_t smallest);

  std::string_view id(uint32_t record) const { return ids_.text(record); }
  size_t records() const { return ids_.size(); }

 private:
  struct Match {
    uint32_t a, b;  // a < b
    float score;
  };
  void drop_repeated();

  IdIndex ids_;
  std::vector<Match> matches_;
};

struct ClusterOptions {
  std::vector<std::string> scored = {};  ///< directories of batch output, files or globs
  ScoredOptions answers = {};
  /// The id pairs that each of `scored` is the answers to, in the same order: where ids do not
  /// tell.
  std::vector<std::string> pairs = {};
  /// Records that shall be in a group even if nothing matches them.
  std::vector<std::string> catalogs = {};
  /// An id on the left and the same on the right are two records.
  bool two_catalogs = false;
  std::function<bool()> stop = {};
};

/// A group for the report.
struct GroupSummary {
  std::string id;
  int64_t size = 0;
  double density = 0;
  float weakest = 0;
};

struct ClusterReport {
  int64_t rows = 0, rejected = 0;
  int64_t matches = 0;  ///< rows
  int64_t records = 0;  ///< in groups of two or more
  int64_t groups = 0;   ///< of two or more
  int64_t singles = 0;
  std::vector<int64_t> sizes;         ///< groups of 2, 3-4, 5-8, 9-16... members
  std::vector<GroupSummary> largest;  ///< up to ten, largest first
  std::vector<GroupSummary> loosest;  ///< up to ten of three or more members that are not dense
  int64_t loose = 0;                  ///< how many there are of those
  double seconds = 0;
};

/// Groups under this density are reported as loose.
inline constexpr double kLooseDensity = 0.5;

/// Gives `write` lines of {"id","members":[...],"weakest","density"}, or with two catalogues
/// {"id","left":[...],"right":[...],...}; `id` is that of the first member. A row that cannot be
/// used is reported through `on_rejected`. Errors: those of the readers and of `write`;
/// invalid_input (pairs that are not those that were scored), interrupted.
Result<ClusterReport> find_clusters(const ClusterOptions& options,
                                    const std::function<Status(std::string_view)>& write,
                                    const std::function<void(const Status&)>& on_rejected);

}  // namespace tilewise::blocking
