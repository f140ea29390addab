#include "cli/bench_report.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "cli/json.h"

namespace tilewise::cli {
namespace {

struct Percentiles {
  double p50, p90, p99, max;
};

/// Nearest rank, in milliseconds; NaN where nothing was timed.
Percentiles percentiles(std::vector<double> seconds) {
  if (seconds.empty()) {
    constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
    return {kNone, kNone, kNone, kNone};
  }
  std::sort(seconds.begin(), seconds.end());
  const auto at = [&](double share) {
    const auto rank = static_cast<size_t>(std::ceil(share * static_cast<double>(seconds.size())));
    return seconds[std::max<size_t>(rank, 1) - 1] * 1e3;
  };
  return {at(0.5), at(0.9), at(0.99), at(1)};
}

double per_second(int64_t count, const Measurement& measured) {
  return static_cast<double>(count) / measured.seconds;
}

struct Stage {
  const char* name;
  double seconds;
};

std::array<Stage, 8> stages_of(const runtime::StageTimes& times) {
  return {Stage{"embed", times.embed},    {"qkv", times.qkv},
          {"attention", times.attention}, {"attention_output", times.attention_output},
          {"norm", times.norm},           {"ffn_up", times.ffn_up},
          {"ffn_down", times.ffn_down},   {"heads", times.heads}};
}

}  // namespace

double BenchReport::share_of_peak() const {
  if (!(peaks.backbone > 0 && peaks.heads > 0)) return std::numeric_limits<double>::quiet_NaN();
  const double core_seconds =
      measured.flops.backbone / peaks.backbone + measured.flops.heads / peaks.heads;
  return core_seconds / (measured.seconds * replicas);
}

std::string to_json(const BenchReport& report) {
  const Measurement& measured = report.measured;
  const Percentiles latency = percentiles(measured.latencies);
  JsonWriter json;
  json.begin_object().key("scenario").string(report.scenario).key("task").string(report.task);
  json.key("precision")
      .string(report.precision)
      .key("isa")
      .string(report.isa)
      .key("cpu")
      .string(report.cpu);
  json.key("replicas").integer(report.replicas).key("rows").integer(measured.rows);
  json.key("tokens").integer(measured.tokens).key("seconds").number(measured.seconds);
  json.key("rows_per_s").number(per_second(measured.rows, measured));
  json.key("tokens_per_s").number(per_second(measured.tokens, measured));
  json.key("latency_ms")
      .begin_object()
      .key("p50")
      .number(latency.p50)
      .key("p90")
      .number(latency.p90);
  json.key("p99").number(latency.p99).key("max").number(latency.max).end_object();
  json.key("share_of_peak").number(report.share_of_peak());
  json.key("peaks").begin_object().key(report.precision).number(report.peaks.backbone * 1e-9);
  if (report.precision != "fp32") json.key("fp32").number(report.peaks.heads * 1e-9);
  json.end_object().key("load_ms").number(report.load_ms).key("rss_mb").number(report.rss_mb);
  if (measured.stages) {
    json.key("stages_ms").begin_object();
    for (const Stage& stage : stages_of(*measured.stages))
      json.key(stage.name).number(stage.seconds * 1e3);
    json.end_object();
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
  line("runs with", fmt::format("{}, {}, {} {}", report.precision, report.isa, report.replicas,
                                report.replicas == 1 ? "replica" : "replicas"));
  line("processor", report.cpu);
  line("measured", fmt::format("{} rows, {} tokens, {:.2f} s", measured.rows, measured.tokens,
                               measured.seconds));
  line("rows/s", fmt::format("{:.1f}", per_second(measured.rows, measured)));
  line("tokens/s", fmt::format("{:.0f}", per_second(measured.tokens, measured)));
  if (!measured.latencies.empty()) {
    const Percentiles latency = percentiles(measured.latencies);
    line("latency ms", fmt::format("p50 {:.3f}, p90 {:.3f}, p99 {:.3f}, max {:.3f}", latency.p50,
                                   latency.p90, latency.p99, latency.max));
  }
  line("share of peak", fmt::format("{:.1f} % of {:.0f} GFLOP/s a core (heads: {:.0f})",
                                    100 * report.share_of_peak(), report.peaks.backbone * 1e-9,
                                    report.peaks.heads * 1e-9));
  line("load ms", fmt::format("{:.1f}", report.load_ms));
  line("memory MB", fmt::format("{:.0f}", report.rss_mb));
  if (!measured.stages) return text;
  double sum = 0;
  for (const Stage& stage : stages_of(*measured.stages)) sum += stage.seconds;
  text += "\nstage, us a pass\n";
  for (const Stage& stage : stages_of(*measured.stages)) {
    text += fmt::format("  {:<18}{:9.1f}  {:5.1f} %\n", stage.name, stage.seconds * 1e6,
                        100 * stage.seconds / sum);
  }
  return text;
}

}  // namespace tilewise::cli
