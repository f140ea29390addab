#include "cli/bench_report.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "rows/json_writer.h"

namespace tilewise::cli {
namespace {

struct Percentiles {
  double p50, p90, p99, max;
};

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

/// The value of the nearest rank.
double at(const std::vector<double>& sorted, double share) {
  if (sorted.empty()) return kNone;
  const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(sorted.size())));
  return sorted[std::max<size_t>(rank, 1) - 1];
}

/// In milliseconds; NaN where nothing was timed.
Percentiles percentiles(std::vector<double> seconds) {
  std::sort(seconds.begin(), seconds.end());
  return {at(seconds, 0.5) * 1e3, at(seconds, 0.9) * 1e3, at(seconds, 0.99) * 1e3,
          at(seconds, 1) * 1e3};
}

double per_second(int64_t count, const Measurement& measured) {
  return static_cast<double>(count) / measured.seconds;
}

/// "bf16 3200, fp32 170"
std::string peaks_text(const Flops& peaks) {
  std::string text;
  for (const model::Precision precision : kPrecisions) {
    if (!(peaks.of(precision) > 0)) continue;
    if (!text.empty()) text += ", ";
    text += fmt::format("{} {:.0f}", name_of(precision), peaks.of(precision) * 1e-9);
  }
  return text;
}

void append_stages(const runtime::StageTimes& stages, std::string& text) {
  double sum = 0;
  for (const Stage& stage : kStages) sum += stages.*stage.seconds;
  text += "\nstage, us a pass\n";
  for (const Stage& stage : kStages) {
    const double seconds = stages.*stage.seconds;
    text +=
        fmt::format("  {:<18}{:9.1f}  {:5.1f} %\n", stage.name, seconds * 1e6, 100 * seconds / sum);
  }
}

}  // namespace

double core_seconds(const Flops& flops, const Flops& peaks) {
  double seconds = 0;
  for (const model::Precision precision : kPrecisions) {
    if (flops.of(precision) == 0) continue;
    if (!(peaks.of(precision) > 0)) return kNone;
    seconds += flops.of(precision) / peaks.of(precision);
  }
  return seconds;
}

Quartiles quartiles(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  return {at(values, 0), at(values, 0.25), at(values, 0.5), at(values, 0.75), at(values, 1)};
}

double BenchReport::share_of_peak() const {
  return core_seconds(measured.flops, peaks) / (measured.seconds * replicas * cores_per_replica);
}

double BenchReport::median_share_of_peak() const {
  const double passes = static_cast<double>(measured.latencies.size());
  const double median = quartiles(measured.latencies).median;
  return core_seconds(measured.flops, peaks) / passes / (median * replicas * cores_per_replica);
}

void write_stages(const runtime::StageTimes& stages, rows::JsonWriter& json) {
  json.begin_object();
  for (const Stage& stage : kStages) json.key(stage.name).number(stages.*stage.seconds * 1e3);
  json.end_object();
}

void write_common(const BenchReport& report, rows::JsonWriter& json) {
  const Measurement& measured = report.measured;
  const Percentiles latency = percentiles(measured.latencies);
  const auto text = [&](const char* key, const std::string& value) {
    json.key(key);
    value.empty() ? json.null() : json.string(value);
  };
  const auto count = [&](const char* key, int64_t value) {
    json.key(key);
    value == 0 ? json.null() : json.integer(value);
  };
  text("scenario", report.scenario);
  text("task", report.task);
  text("precision", report.precision);
  text("isa", report.isa);
  text("cpu", report.cpu);
  count("replicas", report.replicas);
  json.key("cores_per_replica").integer(report.cores_per_replica);
  json.key("rows").integer(measured.rows);
  if (measured.depth) {
    json.key("depth").begin_object().key("mean").number(*measured.depth);
    json.key("layers").integer(report.layers).end_object();
  }
  json.key("tokens").integer(measured.tokens).key("seconds").number(measured.seconds);
  json.key("rows_per_s").number(per_second(measured.rows, measured));
  json.key("tokens_per_s").number(per_second(measured.tokens, measured));
  json.key("latency_ms").begin_object();
  json.key("p50").number(latency.p50).key("p90").number(latency.p90);
  json.key("p99").number(latency.p99).key("max").number(latency.max).end_object();
  json.key("share_of_peak").number(report.share_of_peak());
  json.key("peaks").begin_object();
  for (const model::Precision precision : kPrecisions) {
    if (!(report.peaks.of(precision) > 0)) continue;
    json.key(name_of(precision)).number(report.peaks.of(precision) * 1e-9);
  }
  json.end_object().key("load_ms").number(report.load_ms).key("rss_mb").number(report.rss_mb);
}

std::string to_json(const BenchReport& report) {
  const Measurement& measured = report.measured;
  rows::JsonWriter json;
  json.begin_object();
  write_common(report, json);
  if (measured.stages) {
    const Quartiles pass = quartiles(measured.latencies);
    json.key("spread_ms").begin_object().key("min").number(pass.least * 1e3);
    json.key("p25").number(pass.lower * 1e3).key("p75").number(pass.upper * 1e3).end_object();
    json.key("share_of_peak_p50").number(report.median_share_of_peak());
    write_stages(*measured.stages, json.key("stages_ms"));
  }
  json.end_object();
  return json.text() + "\n";
}

std::string describe(const BenchReport& report) {
  const Measurement& measured = report.measured;
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{:<16}{}\n", name, value);
  };
  line("scenario", report.scenario);
  line("task", report.task);
  const std::string cores =
      report.cores_per_replica == 1 ? "" : fmt::format(" of {} cores", report.cores_per_replica);
  line("runs with", fmt::format("{}, {}, {} {}{}", report.precision, report.isa, report.replicas,
                                report.replicas == 1 ? "replica" : "replicas", cores));
  line("processor", report.cpu);
  line("measured", fmt::format("{} rows, {} tokens, {:.2f} s", measured.rows, measured.tokens,
                               measured.seconds));
  if (measured.depth)
    line("depth", fmt::format("{:.2f} of {} layers", *measured.depth, report.layers));
  line("rows/s", fmt::format("{:.1f}", per_second(measured.rows, measured)));
  line("tokens/s", fmt::format("{:.0f}", per_second(measured.tokens, measured)));
  if (!measured.latencies.empty()) {
    const Percentiles latency = percentiles(measured.latencies);
    line("latency ms", fmt::format("p50 {:.3f}, p90 {:.3f}, p99 {:.3f}, max {:.3f}", latency.p50,
                                   latency.p90, latency.p99, latency.max));
  }
  if (measured.stages) {
    const Quartiles pass = quartiles(measured.latencies);
    line("spread ms", fmt::format("min {:.3f}, middle half {:.3f} to {:.3f}", pass.least * 1e3,
                                  pass.lower * 1e3, pass.upper * 1e3));
    line("share of peak",
         fmt::format("{:.1f} % by the median pass, {:.1f} % by the mean",
                     100 * report.median_share_of_peak(), 100 * report.share_of_peak()));
  } else {
    line("share of peak", fmt::format("{:.1f} %", 100 * report.share_of_peak()));
  }
  line("peaks", fmt::format("{} GFLOP/s a core", peaks_text(report.peaks)));
  line("load ms", fmt::format("{:.1f}", report.load_ms));
  line("memory MB", fmt::format("{:.0f}", report.rss_mb));
  if (measured.stages) append_stages(*measured.stages, text);
  return text;
}

}  // namespace tilewise::cli
