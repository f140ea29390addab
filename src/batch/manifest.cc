#include "batch/manifest.h"

#include <algorithm>

#include <fmt/format.h>

#include "base/mapped_file.h"
#include "rows/json_writer.h"
#include "rows/repair.h"

namespace tilewise::batch {
namespace {

using rows::JsonWriter;

/// Names of files need not be UTF-8, JSON must.
std::string text(const std::string& name) { return rows::replace_invalid_utf8(name); }

bool is_before(const PartRecord& part, int64_t index) { return part.input.index < index; }

void write_file(const char* name, const FileRecord& file, JsonWriter& json) {
  json.key(name).begin_object();
  json.key("bytes").integer(file.bytes).key("xxh3").string(file.hash).end_object();
}

void write_part(const PartRecord& part, JsonWriter& json) {
  json.begin_object().key("part").integer(part.input.index);
  json.key("input_rows").integer(part.input.rows).key("input_xxh3").string(part.input.hash);
  json.key("rows").integer(part.rows).key("rejected").integer(part.rejected);
  json.key("tokens").integer(part.tokens).key("reused").integer(part.reused);
  if (!part.depths.empty()) {
    // All digits: they are added up when the job goes on.
    json.key("layers").begin_object();
    for (const TaskDepth& depth : part.depths) {
      json.key(depth.task).json(fmt::format("{}", depth.layers));
    }
    json.end_object();
  }
  write_file("answers", part.answers, json);
  if (part.rejections) write_file("rejections", *part.rejections, json);
  if (part.scores) write_file("scores", *part.scores, json);
  json.end_object();
}

void write_inputs(const char* name, const std::vector<rows::ReadInput>& inputs, JsonWriter& json) {
  json.key(name).begin_array();
  for (const rows::ReadInput& input : inputs) {
    json.begin_object().key("path").string(text(input.path)).key("bytes").integer(input.bytes);
    json.key("sha256").string(input.sha256).end_object();
  }
  json.end_array();
}

void write_totals(const Manifest& manifest, JsonWriter& json) {
  PartRecord total;
  for (const PartRecord& part : manifest.parts) {
    total.rows += part.rows;
    total.rejected += part.rejected;
    total.tokens += part.tokens;
    total.reused += part.reused;
    add_depths(part.depths, total.depths);
  }
  json.key("rows").integer(total.rows).key("rejected").integer(total.rejected);
  json.key("tokens").integer(total.tokens).key("reused").integer(total.reused);
  write_depth(mean_depths(total.depths, total.rows - total.rejected), json);
  json.key("seconds").number(manifest.seconds);
  json.key("rows_per_s").number(static_cast<double>(total.rows) / manifest.seconds);
  if (!manifest.price) return;
  const double cost = manifest.seconds / 3600 * *manifest.price;
  json.key("usd_per_hour").number(*manifest.price).key("usd").number(cost);
  json.key("usd_per_million").number(cost / static_cast<double>(total.rows - total.rejected) * 1e6);
}

}  // namespace

const PartRecord* Manifest::find(int64_t part) const {
  const auto found = std::lower_bound(parts.begin(), parts.end(), part, is_before);
  return found != parts.end() && found->input.index == part ? &*found : nullptr;
}

void Manifest::set(PartRecord part) {
  const auto place = std::lower_bound(parts.begin(), parts.end(), part.input.index, is_before);
  if (place != parts.end() && place->input.index == part.input.index) {
    *place = std::move(part);
  } else {
    parts.insert(place, std::move(part));
  }
}

std::string to_json(const Manifest& manifest) {
  JsonWriter json;
  json.begin_object().key("version").integer(1);
  json.key("status").string(manifest.complete ? "complete" : "running");
  json.key("settings").begin_object();
  for (const Setting& setting : manifest.settings.values()) {
    json.key(setting.name).json(setting.value);
  }
  json.end_object();
  write_totals(manifest, json);
  if (manifest.complete) write_inputs("inputs", manifest.inputs, json);
  if (manifest.catalogs) {
    json.key("catalogs").begin_object().key("records").integer(manifest.catalogs->records);
    json.key("rejected").integer(manifest.catalogs->rejected);
    write_inputs("files", manifest.catalogs->files, json);
    json.end_object();
  }
  if (!manifest.since.empty()) json.key("since").string(text(manifest.since));
  json.key("parts").begin_array();
  for (const PartRecord& part : manifest.parts) write_part(part, json);
  json.end_array().end_object();
  return json.text() + "\n";
}

Result<std::optional<Manifest>> read_manifest(const std::string& directory) {
  const std::string path = directory + "/" + kManifestName;
  const auto text = read_file(path);
  if (text.status().code() == StatusCode::not_found) return std::optional<Manifest>();
  if (!text.ok()) return text.status();
  TILEWISE_ASSIGN_OR_RETURN(Manifest manifest, parse_manifest(*text, path));
  return std::optional<Manifest>(std::move(manifest));
}

}  // namespace tilewise::batch
