#include "cli/precision_report.h"

#include <algorithm>

#include <fmt/format.h>

#include "artifact/schema.h"

namespace tilewise::cli {
namespace {

using artifact::LinearPrecision;
using artifact::Metadata;
using model::Precision;

std::string percent(float share) { return fmt::format("{:.2f} %", 100 * double{share}); }

std::string describe_input(const LinearPrecision& linear) {
  if (linear.precision != Precision::int8) return "";
  std::string text = linear.input_floor ? fmt::format("from {}", *linear.input_floor) : "around 0";
  return linear.is_smoothed ? text + ", smoothed" : text;
}

std::string describe_totals(const Metadata& metadata) {
  const auto layers =
      std::ranges::count(metadata.linears, Precision::int8, &LinearPrecision::precision);
  std::string text = fmt::format("{} of {} linear layers, {:.1f} % of their arithmetic", layers,
                                 metadata.linears.size(), 100 * artifact::int8_share(metadata));
  if (metadata.calibration.empty()) text += "; not calibrated, so errors are not known";
  return text;
}

}  // namespace

std::vector<std::string> describe_int8(const Metadata& metadata) {
  if (metadata.precision != Precision::int8) return {};
  std::vector<std::string> lines = {describe_totals(metadata)};
  size_t width = 0;
  for (const LinearPrecision& linear : metadata.linears) {
    width = std::max(width, linear.layer.size());
  }
  const bool is_measured = !metadata.calibration.empty();
  lines.push_back(fmt::format("{:<{}}  {:<7}  {:<20}{}", "layer", width, "runs in", "input",
                              is_measured ? "error in int8" : ""));
  for (const LinearPrecision& linear : metadata.linears) {
    std::string line =
        fmt::format("{:<{}}  {:<7}  {:<20}{}", linear.layer, width, name_of(linear.precision),
                    describe_input(linear), linear.error ? percent(*linear.error) : "");
    line.erase(line.find_last_not_of(' ') + 1);
    lines.push_back(std::move(line));
  }
  for (const artifact::CalibrationRows& rows : metadata.calibration) {
    lines.push_back(fmt::format("calibrated with {} {} of {}: error of its outputs {}", rows.rows,
                                rows.rows == 1 ? "row" : "rows", rows.task, percent(rows.error)));
    if (rows.sha256) lines.push_back(fmt::format("  rows from sha256 {}", *rows.sha256));
  }
  return lines;
}

void write_int8(const Metadata& metadata, rows::JsonWriter& json) {
  const auto number = [&](const std::optional<float>& value) {
    value ? json.float32(*value) : json.null();
  };
  json.key("int8_share");
  metadata.precision == Precision::int8
      ? json.float32(static_cast<float>(artifact::int8_share(metadata)))
      : json.null();
  json.key("linears").begin_array();
  for (const LinearPrecision& linear : metadata.linears) {
    json.begin_object().key("layer").string(linear.layer);
    json.key("precision").string(name_of(linear.precision));
    json.key("smoothed").boolean(linear.is_smoothed).key("input_floor");
    number(linear.input_floor);
    json.key("error");
    number(linear.error);
    json.end_object();
  }
  json.end_array().key("calibration").begin_array();
  for (const artifact::CalibrationRows& rows : metadata.calibration) {
    json.begin_object().key("task").string(rows.task).key("rows").integer(rows.rows);
    json.key("sha256");
    rows.sha256 ? json.string(*rows.sha256) : json.null();
    json.key("error").float32(rows.error).end_object();
  }
  json.end_array();
}

}  // namespace tilewise::cli
