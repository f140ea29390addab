// A manifest from a file that nobody vouches for: another program, a bad disk or a foe may have
// written it.
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <simdjson.h>

#include "batch/manifest.h"

namespace tilewise::batch {
namespace {

using simdjson::dom::element;
using simdjson::dom::object;

constexpr int64_t kVersion = 1;
/// Of rows or tokens: sums over all parts of a file stay within 64 bits.
constexpr int64_t kMostCount = 1'000'000'000'000;
constexpr int64_t kMostBytes = 1'000'000'000'000'000;  // of a file
constexpr size_t kShownBytes = 40;

std::string shown(const element& value) {
  std::string text = simdjson::to_string(value);
  return text.size() > kShownBytes ? "a long value" : text;
}

/// Takes values out of one JSON object. The first problem is kept in `error`, and values are empty
/// from then on, so that a parser reads like the list of its fields. Keys that are not asked for
/// are ignored.
class Fields {
 public:
  Fields(const element& value, std::string where, Status& error)
      : where_(std::move(where)), error_(error) {
    if (value.get_object().get(object_) != simdjson::SUCCESS) fail("", "an object", shown(value));
  }

  std::optional<element> optional(std::string_view key) {
    element found;
    if (!error_.ok() || object_.at_key(key).get(found) != simdjson::SUCCESS) return std::nullopt;
    return found.is_null() ? std::nullopt : std::optional(found);
  }

  std::optional<element> required(std::string_view key) {
    const auto found = optional(key);
    if (!found) fail(key, "a value", "none");
    return found;
  }

  int64_t bytes(std::string_view key) { return count(key, 0, kMostBytes); }

  int64_t count(std::string_view key, int64_t least = 0, int64_t most = kMostCount) {
    int64_t number = 0;
    const auto found = required(key);
    if (!found) return 0;
    if (found->get_int64().get(number) == simdjson::SUCCESS && number >= least && number <= most) {
      return number;
    }
    fail(key, fmt::format("a whole number from {} to {}", least, most), shown(*found));
    return 0;
  }

  double number(std::string_view key) {
    double number = 0;
    const auto found = required(key);
    if (found && (found->get_double().get(number) != simdjson::SUCCESS || number < 0)) {
      fail(key, "a number that is not negative", shown(*found));
    }
    return number;
  }

  std::string text(std::string_view key) {
    std::string_view text;
    const auto found = required(key);
    if (found && found->get_string().get(text) != simdjson::SUCCESS) {
      fail(key, "a string", shown(*found));
    }
    return std::string(text);
  }

  /// `digits` lower-case hexadecimal digits.
  std::string hash(std::string_view key, size_t digits) {
    std::string hash = text(key);
    if (error_.ok() && (hash.size() != digits ||
                        hash.find_first_not_of("0123456789abcdef") != std::string::npos)) {
      fail(key, fmt::format("{} hexadecimal digits", digits), "other text");
    }
    return hash;
  }

  /// Calls read(element, its place) for each element of the array.
  template <class Read>
  void each(std::string_view key, Read&& read) {
    simdjson::dom::array items;
    const auto found = required(key);
    if (!found) return;
    if (found->get_array().get(items) != simdjson::SUCCESS) {
      return fail(key, "an array", shown(*found));
    }
    size_t index = 0;
    for (const element item : items) {
      if (!error_.ok()) return;
      read(item, fmt::format("{}[{}]", path(key), index++));
    }
  }

  std::string path(std::string_view key) const {
    return key.empty() || where_.empty() ? where_ + std::string(key)
                                         : fmt::format("{}.{}", where_, key);
  }

  void fail(std::string_view key, std::string expected, std::string found) {
    if (!error_.ok()) return;
    error_ = invalid_input({.what = "the manifest of a batch job is damaged",
                            .where = path(key),
                            .expected = std::move(expected),
                            .found = std::move(found),
                            .remedy = "Start the job anew with --overwrite"});
  }

 private:
  object object_;
  std::string where_;
  Status& error_;
};

Settings read_settings(const element& value, const std::string& where, Status& error) {
  std::vector<Setting> settings;
  object entries;
  if (value.get_object().get(entries) == simdjson::SUCCESS) {
    for (const auto entry : entries) {
      settings.push_back({std::string(entry.key), simdjson::to_string(entry.value)});
    }
  } else {
    Fields(value, where, error).fail("", "an object", shown(value));
  }
  return Settings(std::move(settings));
}

std::optional<FileRecord> read_file_record(Fields& in, std::string_view key, Status& error) {
  const auto value = in.optional(key);
  if (!value) return std::nullopt;
  Fields file(*value, in.path(key), error);
  FileRecord record;
  record.bytes = file.bytes("bytes");
  record.hash = file.hash("xxh3", 32);
  return record;
}

Depths read_depths(Fields& in, std::string_view key, Status& error) {
  Depths depths;
  const auto value = in.optional(key);
  if (!value) return depths;
  Fields tasks(*value, in.path(key), error);
  object entries;
  if (value->get_object().get(entries) != simdjson::SUCCESS) return depths;
  for (const auto entry : entries) {
    depths.push_back({.task = std::string(entry.key), .layers = tasks.number(entry.key)});
  }
  return depths;
}

PartRecord read_part(const element& value, std::string where, Status& error) {
  Fields in(value, std::move(where), error);
  PartRecord part;
  part.input.index = in.count("part");
  part.input.rows = in.count("input_rows", 1);
  part.input.hash = in.hash("input_xxh3", 32);
  part.rows = in.count("rows");
  part.rejected = in.count("rejected");
  part.tokens = in.count("tokens");
  part.reused = in.count("reused");
  part.depths = read_depths(in, "layers", error);
  in.required("answers");
  part.answers = read_file_record(in, "answers", error).value_or(FileRecord{});
  part.rejections = read_file_record(in, "rejections", error);
  part.scores = read_file_record(in, "scores", error);
  if (part.rows > part.input.rows) in.fail("rows", "at most input_rows", "more");
  if (part.rejected > part.rows) in.fail("rejected", "at most rows", "more");
  return part;
}

std::vector<rows::ReadInput> read_inputs(Fields& in, std::string_view key, Status& error) {
  std::vector<rows::ReadInput> inputs;
  in.each(key, [&](const element& item, std::string where) {
    Fields input(item, std::move(where), error);
    rows::ReadInput& record = inputs.emplace_back();
    record.path = input.text("path");
    record.bytes = input.bytes("bytes");
    record.sha256 = input.hash("sha256", 64);
  });
  return inputs;
}

CatalogInfo read_catalogs(const element& value, Status& error) {
  Fields in(value, "catalogs", error);
  CatalogInfo catalogs;
  catalogs.records = in.count("records");
  catalogs.rejected = in.count("rejected");
  catalogs.files = read_inputs(in, "files", error);
  return catalogs;
}

void read_parts(Fields& in, std::vector<PartRecord>& parts, Status& error) {
  in.each("parts", [&](const element& item, std::string where) {
    PartRecord part = read_part(item, where, error);
    if (!parts.empty() && part.input.index <= parts.back().input.index) {
      in.fail("parts", "parts by rising number", where + " out of order");
    }
    parts.push_back(std::move(part));
  });
}

Status check_version(Fields& in) {
  const int64_t version = in.count("version", 1);
  if (version <= kVersion) return {};
  return unsupported({.what = "the manifest was written by a newer version of tilewise",
                      .expected = "version " + std::to_string(kVersion),
                      .found = std::to_string(version),
                      .remedy = "Use that version, or start the job anew with --overwrite"});
}

Manifest read_root(const element& root, Status& error) {
  Manifest manifest;
  Fields in(root, "", error);
  if (const Status version = check_version(in); error.ok()) error = version;
  const std::string status = in.text("status");
  if (status != "complete" && status != "running") in.fail("status", "complete or running", status);
  manifest.complete = status == "complete";
  if (const auto settings = in.required("settings")) {
    manifest.settings = read_settings(*settings, "settings", error);
  }
  manifest.seconds = in.number("seconds");
  if (in.optional("usd_per_hour")) manifest.price = in.number("usd_per_hour");
  if (manifest.complete) manifest.inputs = read_inputs(in, "inputs", error);
  if (const auto catalogs = in.optional("catalogs")) {
    manifest.catalogs = read_catalogs(*catalogs, error);
  }
  if (in.optional("since")) manifest.since = in.text("since");
  read_parts(in, manifest.parts, error);
  return manifest;
}

/// The file's name before the place in it.
Status in_file(const Status& error, const std::string& path) {
  Problem problem = error.problem();
  problem.where = path + (problem.where.empty() ? "" : ", " + problem.where);
  return {error.code(), std::move(problem)};
}

}  // namespace

Result<Manifest> parse_manifest(std::string_view json, const std::string& where) {
  simdjson::dom::parser parser;
  element root;
  Status error;
  if (const auto code = parser.parse(json.data(), json.size()).get(root)) {
    error = invalid_input({.what = "the manifest of a batch job is damaged",
                           .expected = "JSON",
                           .found = simdjson::error_message(code),
                           .remedy = "Start the job anew with --overwrite"});
    return in_file(error, where);
  }
  Manifest manifest = read_root(root, error);
  if (!error.ok()) return in_file(error, where);
  return manifest;
}

}  // namespace tilewise::batch
