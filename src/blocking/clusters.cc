#include "blocking/clusters.h"

#include <algorithm>
#include <bit>
#include <functional>
#include <string>
#include <tuple>
#include <unordered_map>
#include <utility>

#include <simdjson.h>

#include "base/clock.h"
#include "rows/writer.h"

namespace tilewise::blocking {
namespace {

constexpr size_t kLinesAtOnce = 1024;
constexpr size_t kWrittenAtOnce = size_t{64} << 10;
constexpr size_t kReported = 10;
constexpr int64_t kSmallestLoose = 3;  // a pair is always dense

// With two catalogues the side stands before an id, so that left records come first.
constexpr char kLeft = '<', kRight = '>';
static_assert(kLeft < kRight);

/// Calls take(line) for every line of the files. It may end it with an error.
template <class Take>
Status for_each_line(std::vector<rows::InputFile> files, const std::function<bool()>& stop,
                     Take&& take) {
  TILEWISE_ASSIGN_OR_RETURN(rows::LineReader reader,
                            rows::LineReader::open(std::move(files), stop, rows::Hashing::none));
  rows::LineReader::Chunk chunk;
  while (!reader.at_end()) {
    TILEWISE_RETURN_IF_ERROR(reader.next(kLinesAtOnce, chunk));
    for (const rows::LineReader::Line& line : chunk.lines) TILEWISE_RETURN_IF_ERROR(take(line));
  }
  return {};
}

/// Whether no other pair can have the id that this one has by default: "LEFT~RIGHT" can be cut at
/// one place only.
bool is_unmistakable(const rows::IdPair& pair, std::string_view id) {
  return id.size() == pair.left.size() + 1 + pair.right.size() && id.starts_with(pair.left) &&
         id.ends_with(pair.right) && std::count(id.begin(), id.end(), '~') == 1;
}

/// The id pairs of a job, in their order, beside its answers, of which some may be missing. Answers
/// have nothing but the pair's id: where different pairs share one, all of them must be answered.
/// Memory: some 60 bytes for each id that is not LEFT~RIGHT with one "~".
class PairCursor {
 public:
  static Result<PairCursor> open(const std::vector<std::string>& paths,
                                 const std::function<bool()>& stop) {
    TILEWISE_ASSIGN_OR_RETURN(rows::LineReader reader,
                              rows::LineReader::open(paths, stop, rows::Hashing::none));
    return PairCursor(std::move(reader));
  }

  /// Goes on to the next pair of this id.
  Status find(const std::string& id, ScoredPair& out) {
    while (true) {
      TILEWISE_ASSIGN_OR_RETURN(const bool is_there, next());
      if (!is_there) break;
      if (id_ != id) continue;
      if (known_ != nullptr) --known_->unanswered;
      out.left = pair_.left;
      out.right = pair_.right;
      return {};
    }
    return invalid_input({.what = "the pairs are not those that were scored, in the same order",
                          .where = "--pairs",
                          .expected = "one with the id " + id,
                          .found = "none after that of the last answer"});
  }

  /// After the last answer. Errors: invalid_input where an answer may have been given to another
  /// pair than its own.
  Status finish() {
    while (true) {
      TILEWISE_ASSIGN_OR_RETURN(const bool is_there, next());
      if (!is_there) break;
    }
    for (const auto& [hash, known] : known_ids_) {
      if (!known.is_shared || known.unanswered == 0) continue;
      return invalid_input(
          {.what = "different pairs have one id, and not all of them are answered",
           .where = "--pairs",
           .expected = "an answer to each pair with the id " + known.id,
           .found = std::to_string(known.unanswered) + " without one",
           .remedy = "Give the pairs an \"id\" of their own and score them again"});
    }
    return {};
  }

 private:
  explicit PairCursor(rows::LineReader reader) : reader_(std::move(reader)) {}

  /// The next pair that can be read; false at the end.
  Result<bool> next() {
    while (next_ < chunk_.lines.size() || !reader_.at_end()) {
      if (next_ == chunk_.lines.size()) {
        next_ = 0;
        TILEWISE_RETURN_IF_ERROR(reader_.next(kLinesAtOnce, chunk_));
        continue;
      }
      const rows::LineReader::Line& line = chunk_.lines[next_++];
      if (!parser_.parse_id_pair(line, pair_).ok()) continue;
      id_ = plain_id();
      remember();
      return true;
    }
    return false;
  }

  struct KnownId {
    std::string id = {};     // where it is shared
    size_t records = 0;      // hash of those of the first pair
    bool is_shared = false;  // by pairs of other records
    int64_t unanswered = 0;
  };

  void remember() {
    known_ = nullptr;
    if (is_unmistakable(pair_, id_)) return;
    const size_t records = std::hash<std::string>()(pair_.left + '\0' + pair_.right);
    const auto [known, is_new] = known_ids_.try_emplace(std::hash<std::string>()(id_));
    known_ = &known->second;
    if (is_new) known_->records = records;
    if (!known_->is_shared && known_->records != records) {
      known_->is_shared = true;
      known_->id = id_;
    }
    ++known_->unanswered;
  }

  /// The pair's id, which is JSON, as text.
  std::string plain_id() {
    std::string_view text;
    if (id_parser_.parse(pair_.id).get(text) == simdjson::SUCCESS) return std::string(text);
    return pair_.id;
  }

  rows::LineReader reader_;
  rows::LineReader::Chunk chunk_;
  size_t next_ = 0;
  rows::RowParser parser_;
  simdjson::dom::parser id_parser_;
  rows::IdPair pair_;
  std::string id_;                                 // of `pair_`
  std::unordered_map<size_t, KnownId> known_ids_;  // by the hash of the id
  KnownId* known_ = nullptr;                       // that of `pair_`, where it is one of them
};

/// The row as a pair with a verdict. `cursor` may be null.
Status resolve(const ScoredRow& row, const ScoredOptions& options, PairCursor* cursor,
               ScoredPair& pair) {
  if (row.left && row.right) {
    pair.left = *row.left;
    pair.right = *row.right;
  } else if (cursor != nullptr) {
    TILEWISE_RETURN_IF_ERROR(cursor->find(row.id, pair));
  } else {
    TILEWISE_RETURN_IF_ERROR(split_id(row.id, pair));
  }
  if (options.threshold ? !row.score : !row.labelled) {
    return invalid_input({.what = "the row does not say whether the records match",
                          .expected = options.threshold ? "\"score\"" : "\"label\"",
                          .remedy = options.threshold ? "" : "Give a --threshold on the score"});
  }
  pair.score = static_cast<float>(row.score.value_or(1));
  pair.matched = options.threshold ? *row.score >= *options.threshold : *row.labelled;
  return {};
}

/// One run, step by step.
class Run {
 public:
  Run(const ClusterOptions& options, const std::function<void(const Status&)>& on_rejected)
      : options_(options), on_rejected_(on_rejected) {}

  Result<ClusterReport> run(const std::function<Status(std::string_view)>& write) {
    for (const std::string& path : options_.scored) TILEWISE_RETURN_IF_ERROR(read_scored(path));
    if (!options_.catalogs.empty()) TILEWISE_RETURN_IF_ERROR(read_catalog());
    const std::vector<Group> groups = joiner_.groups(options_.catalogs.empty() ? 2 : 1);
    for (const Group& group : groups) count(group);
    report_outliers(groups);
    TILEWISE_RETURN_IF_ERROR(write_groups(groups, write));
    report_.seconds = seconds_between(start_, SteadyClock().now());
    return report_;
  }

 private:
  Status read_scored(const std::string& path) {
    TILEWISE_ASSIGN_OR_RETURN(std::vector<rows::InputFile> files, list_scored(path));
    std::optional<PairCursor> cursor;
    if (!options_.pairs.empty()) {
      TILEWISE_ASSIGN_OR_RETURN(PairCursor opened, PairCursor::open(options_.pairs, options_.stop));
      cursor.emplace(std::move(opened));
    }
    ScoredRowParser parser(options_.answers.task);
    ScoredRow row;
    ScoredPair pair;
    const auto take = [&](const rows::LineReader::Line& line) {
      ++report_.rows;
      Status status = parser.parse(line, row);
      if (status.ok()) {
        status = at_line(resolve(row, options_.answers, cursor ? &*cursor : nullptr, pair), line);
        if (!status.ok() && cursor) return status;
      }
      if (status.ok()) {
        add(pair);
      } else {
        ++report_.rejected;
        on_rejected_(status);
      }
      return Status();
    };
    TILEWISE_RETURN_IF_ERROR(for_each_line(std::move(files), options_.stop, take));
    return cursor ? cursor->finish() : Status();
  }

  static Status at_line(const Status& status, const rows::LineReader::Line& line) {
    if (status.ok()) return status;
    Problem problem = status.problem();
    problem.where =
        rows::describe(line.position) + (problem.where.empty() ? "" : ", " + problem.where);
    return {status.code(), std::move(problem)};
  }

  void add(const ScoredPair& pair) {
    if (!pair.matched) return;
    ++report_.matches;
    if (!options_.two_catalogs) return joiner_.add_match(pair.left, pair.right, pair.score);
    joiner_.add_match(kLeft + pair.left, kRight + pair.right, pair.score);
  }

  Status read_catalog() {
    TILEWISE_ASSIGN_OR_RETURN(std::vector<rows::InputFile> files,
                              rows::list_inputs(options_.catalogs));
    rows::RowParser parser;
    rows::CatalogRecord record;
    return for_each_line(std::move(files), options_.stop, [&](const rows::LineReader::Line& line) {
      const Status status = parser.parse_record(line, record);
      if (status.ok()) {
        joiner_.add_record(record.id);
      } else {
        ++report_.rejected;
        on_rejected_(status);
      }
      return Status();
    });
  }

  /// How many of the members are left ones; 0 with one catalogue.
  size_t left_members(const Group& group) const {
    if (!options_.two_catalogs) return 0;
    return static_cast<size_t>(
        std::count_if(group.members.begin(), group.members.end(),
                      [&](uint32_t member) { return joiner_.id(member).front() == kLeft; }));
  }

  double density(const Group& group) const {
    const auto members = static_cast<int64_t>(group.members.size());
    const auto left = static_cast<int64_t>(left_members(group));
    return group.density(options_.two_catalogs ? left * (members - left)
                                               : members * (members - 1) / 2);
  }

  std::string_view id(uint32_t member) const {
    return joiner_.id(member).substr(options_.two_catalogs ? 1 : 0);
  }

  GroupSummary summary(const Group& group) const {
    return {.id = std::string(id(group.members.front())),
            .size = static_cast<int64_t>(group.members.size()),
            .density = density(group),
            .weakest = group.weakest};
  }

  void count(const Group& group) {
    const size_t size = group.members.size();
    if (size == 1) {
      ++report_.singles;
      return;
    }
    ++report_.groups;
    report_.records += static_cast<int64_t>(size);
    const auto bucket = static_cast<size_t>(std::bit_width(size - 1) - 1);
    if (report_.sizes.size() <= bucket) report_.sizes.resize(bucket + 1);
    ++report_.sizes[bucket];
  }

  void report_outliers(const std::vector<Group>& groups) {
    std::vector<GroupSummary> summaries;
    for (const Group& group : groups) {
      if (group.members.size() >= 2) summaries.push_back(summary(group));
    }
    std::sort(summaries.begin(), summaries.end(), [](const auto& a, const auto& b) {
      return std::tie(b.size, a.id) < std::tie(a.size, b.id);
    });
    report_.largest.assign(
        summaries.begin(),
        summaries.begin() + static_cast<std::ptrdiff_t>(std::min(kReported, summaries.size())));
    std::erase_if(summaries, [](const GroupSummary& group) {
      return group.size < kSmallestLoose || group.density >= kLooseDensity;
    });
    report_.loose = static_cast<int64_t>(summaries.size());
    std::sort(summaries.begin(), summaries.end(), [](const auto& a, const auto& b) {
      return std::tie(a.density, a.id) < std::tie(b.density, b.id);
    });
    summaries.resize(std::min(kReported, summaries.size()));
    report_.loosest = std::move(summaries);
  }

  Status write_groups(const std::vector<Group>& groups,
                      const std::function<Status(std::string_view)>& write) const {
    std::string lines;
    for (const Group& group : groups) {
      append_line(group, lines);
      if (lines.size() < kWrittenAtOnce) continue;
      if (options_.stop && options_.stop()) return interrupted({.what = "stopped while writing"});
      TILEWISE_RETURN_IF_ERROR(write(lines));
      lines.clear();
    }
    return write(lines);
  }

  void append_line(const Group& group, std::string& out) const {
    const std::span<const uint32_t> members = group.members;
    out += "{\"id\":";
    rows::append_json_string(id(members.front()), out);
    if (options_.two_catalogs) {
      const size_t left = left_members(group);
      append_ids("left", members.first(left), out);
      append_ids("right", members.subspan(left), out);
    } else {
      append_ids("members", members, out);
    }
    if (members.size() > 1) {
      out += ",\"weakest\":";
      rows::append_float(group.weakest, out);
      out += ",\"density\":";
      rows::append_float(static_cast<float>(density(group)), out);
    }
    out += "}\n";
  }

  void append_ids(const char* name, std::span<const uint32_t> members, std::string& out) const {
    out.append(",\"").append(name).append("\":");
    char separator = '[';
    for (const uint32_t member : members) {
      out += separator;
      rows::append_json_string(id(member), out);
      separator = ',';
    }
    out += ']';
  }

  const ClusterOptions& options_;
  const std::function<void(const Status&)>& on_rejected_;
  Time start_ = SteadyClock().now();
  Joiner joiner_;
  ClusterReport report_;
};

Status check(const ClusterOptions& options) {
  if (!options.two_catalogs || options.catalogs.empty()) return {};
  return invalid_argument({.what = "records without a match can be listed of one catalogue only",
                           .where = "--catalog",
                           .remedy = "Leave out --catalog or --two-catalogs"});
}

}  // namespace

Result<ClusterReport> find_clusters(const ClusterOptions& options,
                                    const std::function<Status(std::string_view)>& write,
                                    const std::function<void(const Status&)>& on_rejected) {
  TILEWISE_RETURN_IF_ERROR(check(options));
  return Run(options, on_rejected).run(write);
}

}  // namespace tilewise::blocking
