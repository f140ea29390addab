#include "blocking/candidates.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <tuple>
#include <utility>

#include "base/clock.h"
#include "blocking/candidate_pairs.h"
#include "rows/writer.h"

namespace tilewise::blocking {
namespace {

constexpr size_t kWrittenAtOnce = size_t{64} << 10;

Status check(const Options& options) {
  const bool one = !options.catalogs.empty();
  const bool two = !options.left.empty() && !options.right.empty();
  if (one == two || (one && !(options.left.empty() && options.right.empty()))) {
    return invalid_argument({.what = "the catalogues do not fit together",
                             .expected = "one catalogue, or one on the left and one on the right"});
  }
  if (options.both_ways && one) {
    return invalid_argument({.what = "within one catalogue neighbours are taken both ways anyway",
                             .where = "--both-ways",
                             .remedy = "Leave it out"});
  }
  if (options.top >= 0 && options.largest_block >= 0) return {};
  return invalid_argument({.what = "a number of neighbours or records is negative"});
}

/// One run, step by step.
class Run {
 public:
  Run(engine::Engine& engine, const Options& options,
      const std::function<void(const Status&)>& on_rejected,
      const std::function<void(const Progress&)>& on_progress)
      : engine_(engine), options_(options), on_rejected_(on_rejected), on_progress_(on_progress) {}

  Result<Report> run(const std::function<Status(std::string_view)>& write) {
    if (!options_.matches.empty()) TILEWISE_RETURN_IF_ERROR(read_matches());
    TILEWISE_RETURN_IF_ERROR(read());
    TILEWISE_RETURN_IF_ERROR(search());
    add_keys();
    pairs_.merge();
    count_pairs();
    for (const rows::IdPair& match : matches_) count_match(match);
    TILEWISE_RETURN_IF_ERROR(write_pairs(write));
    report_.seconds = seconds_between(start_, clock_.now());
    return report_;
  }

 private:
  bool one_catalog() const { return !options_.catalogs.empty(); }
  const Catalog& left() const { return *left_; }
  const Catalog& right() const { return one_catalog() ? *left_ : *right_; }

  Status read() {
    begin_step();
    TILEWISE_RETURN_IF_ERROR(read_one(one_catalog() ? options_.catalogs : options_.left, left_));
    report_.left_records = static_cast<int64_t>(left_->ids.size());
    if (!one_catalog()) {
      TILEWISE_RETURN_IF_ERROR(read_one(options_.right, right_));
      report_.right_records = static_cast<int64_t>(right_->ids.size());
    }
    report_.read_seconds = seconds_between(step_start_, clock_.now());
    TILEWISE_RETURN_IF_ERROR(check_any_record());
    const auto n = static_cast<double>(report_.left_records);
    report_.possible_pairs =
        one_catalog() ? n * (n - 1) / 2 : n * static_cast<double>(report_.right_records);
    return check_memory();
  }

  Status read_one(const std::vector<std::string>& paths, std::optional<Catalog>& out) {
    const int64_t before = report_.left_records;
    const ReadWatch watch{.stop = options_.stop,
                          .on_rejected = on_rejected_,
                          .on_progress =
                              [&](int64_t rows, double fraction) {
                                on_progress_({Progress::Step::reading, before + rows, fraction,
                                              seconds_between(step_start_, clock_.now())});
                              },
                          .most_bytes = options_.memory_bytes};
    TILEWISE_ASSIGN_OR_RETURN(Catalog catalog, read_catalog(engine_, paths, options_.format,
                                                            options_.view, key_names_, watch));
    report_.rejected += catalog.rejected;
    report_.truncated += catalog.truncated;
    out.emplace(std::move(catalog));
    return {};
  }

  /// That all are rejected is a wrong name of a field, not a result.
  Status check_any_record() const {
    if (report_.left_records + report_.right_records > 0 || report_.rejected == 0) return {};
    return invalid_input({.what = "no record of the catalogue can be used",
                          .where = "--fields",
                          .expected = "records with an id and one of the fields",
                          .found = std::to_string(report_.rejected) + " rejected records",
                          .remedy = "Name fields that the records have"});
  }

  /// What the search will take is known before it begins.
  Status check_memory() const {
    const auto rows = static_cast<double>(report_.left_records + report_.right_records);
    const double top = std::min<double>(options_.top, rows);
    const auto row = static_cast<double>(left().vectors.bytes_a_row());
    const auto searched =
        static_cast<double>(one_catalog() || options_.both_ways ? rows : report_.left_records);
    constexpr double kLinkBytes = 160;
    const double bytes = rows * (2 * row + kLinkBytes) +
                         searched * top * (sizeof(Neighbour) + sizeof(CandidatePair));
    if (options_.memory_bytes <= 0 || bytes <= static_cast<double>(options_.memory_bytes))
      return {};
    return unavailable_machine(
        {.what = "the search needs more memory than it may use",
         .expected = "at most " + std::to_string(options_.memory_bytes) + " bytes",
         .found = std::to_string(static_cast<int64_t>(bytes)) + " bytes for " +
                  std::to_string(static_cast<int64_t>(rows)) + " records",
         .remedy = "Raise --memory, lower --top, or split the catalogue by a field that duplicates "
                   "share, such as the product type"});
  }

  Status search() {
    begin_step();
    if (options_.top > 0) {
      TILEWISE_RETURN_IF_ERROR(search_one_way(left().vectors, right().vectors, false));
      if (options_.both_ways) {
        TILEWISE_RETURN_IF_ERROR(search_one_way(right().vectors, left().vectors, true));
      }
    }
    report_.search_seconds = seconds_between(step_start_, clock_.now());
    return {};
  }

  /// The neighbours of `from` in `to`; `swapped`: `from` is the right catalogue.
  Status search_one_way(const Vectors& from, const Vectors& to, bool swapped) {
    const bool exact =
        options_.search == Search::exact ||
        (options_.search == Search::automatic && exact_is_better(from.size(), to.size()));
    report_.exact = report_.exact && exact;
    const auto on_progress = [&](size_t done) {
      on_progress_({Progress::Step::searching, static_cast<int64_t>(done),
                    static_cast<double>(done) / static_cast<double>(from.size()),
                    seconds_between(step_start_, clock_.now())});
    };
    const auto top = static_cast<int32_t>(
        std::min(static_cast<size_t>(options_.top), std::max<size_t>(1, to.size())));
    const SearchOptions how{.top = top,
                            .same = one_catalog(),
                            .watch = {.stop = options_.stop, .on_progress = on_progress}};
    TILEWISE_ASSIGN_OR_RETURN(
        const NeighbourTable table,
        exact ? search_exact(engine_, from, to, how) : search_hnsw(engine_, from, to, how));
    pairs_.reserve(table.size() * static_cast<size_t>(top));
    for (uint32_t i = 0; i < table.size(); ++i) {
      for (const Neighbour& neighbour : table.of(i)) {
        uint32_t a = i, b = neighbour.index;
        if (swapped || (one_catalog() && b < a)) std::swap(a, b);
        pairs_.add({a, b, neighbour.similarity, CandidatePair::kNoKey});
      }
    }
    return {};
  }

  void add_keys() {
    if (options_.view.number_fields.empty()) return;
    const RecordKeys* others = one_catalog() ? nullptr : &right().keys;
    for (const KeyPair& pair :
         pairs_of_keys(left().keys, others, options_.largest_block, report_.keys)) {
      pairs_.add({pair.left, pair.right, CandidatePair::kNoSimilarity, pair.key});
    }
  }

  void count_pairs() {
    report_.pairs = static_cast<int64_t>(pairs_.all().size());
    for (const CandidatePair& pair : pairs_.all()) {
      report_.neighbour_pairs += pair.has_similarity() ? 1 : 0;
      report_.key_pairs += pair.has_key() ? 1 : 0;
    }
  }

  /// Before there is any work to lose.
  Status read_matches() {
    TILEWISE_ASSIGN_OR_RETURN(
        rows::LineReader reader,
        rows::LineReader::open(std::vector{options_.matches}, options_.stop, rows::Hashing::none));
    rows::RowParser parser;
    rows::LineReader::Chunk chunk;
    while (!reader.at_end()) {
      TILEWISE_RETURN_IF_ERROR(reader.next(1024, chunk));
      for (const rows::LineReader::Line& line : chunk.lines) {
        TILEWISE_RETURN_IF_ERROR(parser.parse_id_pair(line, matches_.emplace_back()));
      }
    }
    return {};
  }

  void count_match(const rows::IdPair& match) {
    auto a = left().ids.find(match.left);
    auto b = right().ids.find(match.right);
    if (!a || !b) {  // two catalogues: named the other way round, perhaps
      a = left().ids.find(match.right);
      b = right().ids.find(match.left);
    }
    if (!a || !b) {
      ++report_.unknown_matches;
      return;
    }
    ++report_.matches;
    if (one_catalog() && *b < *a) std::swap(a, b);
    report_.found_matches += pairs_.has(*a, *b) ? 1 : 0;
  }

  Status write_pairs(const std::function<Status(std::string_view)>& write) const {
    std::string lines;
    for (const CandidatePair& pair : pairs_.all()) {
      append_line(pair, lines);
      if (lines.size() < kWrittenAtOnce) continue;
      if (options_.stop && options_.stop()) return interrupted({.what = "stopped while writing"});
      TILEWISE_RETURN_IF_ERROR(write(lines));
      lines.clear();
    }
    return write(lines);
  }

  void append_line(const CandidatePair& pair, std::string& out) const {
    out += "{\"left_id\":";
    rows::append_json_string(left().ids.text(pair.left), out);
    out += ",\"right_id\":";
    rows::append_json_string(right().ids.text(pair.right), out);
    if (pair.has_similarity()) {
      out += ",\"similarity\":";
      rows::append_float(pair.similarity, out);
    }
    if (pair.has_key()) {
      out += ",\"key\":";
      rows::append_json_string(key_names_.text(pair.key), out);
    }
    out += "}\n";
  }

  void begin_step() { step_start_ = clock_.now(); }

  engine::Engine& engine_;
  const Options& options_;
  const std::function<void(const Status&)>& on_rejected_;
  const std::function<void(const Progress&)>& on_progress_;
  SteadyClock clock_;
  Time start_ = clock_.now(), step_start_ = start_;
  IdIndex key_names_;
  std::optional<Catalog> left_, right_;
  std::vector<rows::IdPair> matches_;
  CandidatePairs pairs_;
  Report report_;
};

}  // namespace

double Report::recall() const {
  if (matches == 0) return std::numeric_limits<double>::quiet_NaN();
  return static_cast<double>(found_matches) / static_cast<double>(matches);
}

Result<Report> find_candidates(engine::Engine& engine, const Options& options,
                               const std::function<Status(std::string_view)>& write,
                               const std::function<void(const Status&)>& on_rejected,
                               const std::function<void(const Progress&)>& on_progress) {
  TILEWISE_RETURN_IF_ERROR(check(options));
  return Run(engine, options, on_rejected, on_progress).run(write);
}

}  // namespace tilewise::blocking
