#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "cli/bench_kernels.h"
#include "rows/json_writer.h"

namespace tilewise::cli {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double per_second(double amount, const KernelLine& line) {
  return amount > 0 ? amount / line.seconds.median : kNone;
}

double bytes_per_cycle(const BandwidthLine& line, const std::optional<double>& clock) {
  return clock ? line.bytes_per_second / *clock : kNone;
}

/// "bf16 amx", 20 wide
std::string runs_on(model::Precision precision, Isa isa) {
  return fmt::format("{:<5} {:<12}", name_of(precision), name_of(isa));
}

// ---------------------------------------------------------------------------------------------------------------------
// JSON

void write_peaks(const std::vector<PeakLine>& peaks, rows::JsonWriter& json) {
  json.key("peaks").begin_array();
  for (const PeakLine& line : peaks) {
    json.begin_object().key("precision").string(name_of(line.precision));
    json.key("isa").string(name_of(line.isa));
    if (line.skipped.empty()) {
      json.key("gflops").number(line.best() * 1e-9);
      json.key("gflops_before").number(line.before * 1e-9);
      json.key("gflops_after").number(line.after * 1e-9);
    } else {
      json.key("skipped").string(line.skipped);
    }
    json.end_object();
  }
  json.end_array();
}

void write_bandwidths(const KernelBenchReport& report, rows::JsonWriter& json) {
  json.key("bandwidths").begin_array();
  for (const BandwidthLine& line : report.bandwidths) {
    json.begin_object().key("level").string(line.level);
    json.key("operation").string(line.operation).key("isa").string(name_of(line.isa));
    json.key("buffer_bytes").integer(line.buffer_bytes);
    if (line.skipped.empty()) {
      json.key("gb_per_s").number(line.bytes_per_second * 1e-9);
      json.key("bytes_per_cycle").number(bytes_per_cycle(line, report.clock));
    } else {
      json.key("skipped").string(line.skipped);
    }
    json.end_object();
  }
  json.end_array();
}

void write_kernel(const KernelLine& line, rows::JsonWriter& json) {
  const CaseInfo& info = line.info;
  json.begin_object().key("model").string(line.model).key("kernel").string(info.kernel);
  if (!info.layer.empty()) json.key("layer").string(info.layer);
  json.key("precision").string(name_of(info.precision)).key("isa").string(name_of(info.isa));
  for (const Size& size : info.sizes) json.key(size.name).integer(size.value);
  json.key("us").number(line.seconds.median * 1e6);
  json.key("us_min").number(line.seconds.least * 1e6);
  json.key("us_max").number(line.seconds.most * 1e6);
  json.key("ns_per_row").number(line.seconds.median * 1e9 / static_cast<double>(info.rows));
  if (info.flops > 0) {
    json.key("gflops").number(per_second(info.flops, line) * 1e-9);
    json.key("peak_gflops").number(line.peak * 1e-9);
    json.key("share_of_peak").number(line.share_of_peak());
  } else {
    json.key("gb_per_s").number(per_second(info.bytes, line) * 1e-9);
  }
  json.key("checked").string(info.check).end_object();
}

void write_pass(const PassLine& line, rows::JsonWriter& json) {
  const BenchReport& report = line.report;
  const Quartiles pass = quartiles(report.measured.latencies);
  json.begin_object().key("sequences").integer(line.sequences);
  json.key("tokens").integer(line.tokens).key("task").string(report.task);
  json.key("precision").string(report.precision).key("isa").string(report.isa);
  json.key("passes").integer(static_cast<int64_t>(report.measured.latencies.size()));
  json.key("ms").number(pass.median * 1e3).key("ms_min").number(pass.least * 1e3);
  json.key("ms_p25").number(pass.lower * 1e3).key("ms_p75").number(pass.upper * 1e3);
  json.key("ms_max").number(pass.most * 1e3);
  json.key("tokens_per_s").number(line.sequences * line.tokens / pass.median);
  json.key("share_of_peak").number(report.median_share_of_peak());
  write_stages(*report.measured.stages, json.key("stages_ms"));
  json.end_object();
}

// ---------------------------------------------------------------------------------------------------------------------
// Text

void append_peaks(const std::vector<PeakLine>& peaks, std::string& text) {
  text += "\npeak of one core, GFLOP/s (2 a multiply-add), before and after all the rest\n";
  for (const PeakLine& line : peaks) {
    text += "  " + runs_on(line.precision, line.isa);
    if (!line.skipped.empty()) {
      text += " skipped: " + line.skipped + "\n";
    } else if (line.has_moved()) {
      text += fmt::format("{:9.1f}  (before {:.1f}, after {:.1f})\n", line.best() * 1e-9,
                          line.before * 1e-9, line.after * 1e-9);
    } else {
      text += fmt::format("{:9.1f}\n", line.best() * 1e-9);
    }
  }
}

void append_bandwidths(const KernelBenchReport& report, std::string& text) {
  text += "\nbandwidth of one core              buffer KB      GB/s  bytes a cycle\n";
  for (const BandwidthLine& line : report.bandwidths) {
    text += fmt::format("  {:<8}{:<7}{:<12}", line.level, line.operation, name_of(line.isa));
    if (!line.skipped.empty()) {
      text += "  skipped: " + line.skipped + "\n";
      continue;
    }
    text += fmt::format("{:15}{:10.1f}", line.buffer_bytes / 1024, line.bytes_per_second * 1e-9);
    const double cycle = bytes_per_cycle(line, report.clock);
    text += std::isnan(cycle) ? std::string("\n") : fmt::format("{:15.1f}\n", cycle);
  }
}

/// Blanks up to this column of the last line, one at least.
void pad_line(std::string& text, size_t column) {
  const size_t length = text.size() - (text.rfind('\n') + 1);
  text.append(length < column ? column - length : 1, ' ');
}

std::string sizes_text(const CaseInfo& info) {
  std::string text;
  for (const Size& size : info.sizes) {
    if (!text.empty()) text += " x ";
    text += std::to_string(size.value);
  }
  return text;
}

void append_kernel(const KernelLine& line, std::string& text) {
  const CaseInfo& info = line.info;
  text += fmt::format("  {:<12}{:<17}{}{:<18}", info.kernel, info.layer,
                      runs_on(info.precision, info.isa), sizes_text(info));
  text += fmt::format("{:10.1f} ({:.1f} .. {:.1f})", line.seconds.median * 1e6,
                      line.seconds.least * 1e6, line.seconds.most * 1e6);
  pad_line(text, 96);
  if (info.flops > 0) {
    text += fmt::format(" {:8.1f} GFLOP/s {:6.1f} %\n", per_second(info.flops, line) * 1e-9,
                        100 * line.share_of_peak());
  } else {
    text += fmt::format(" {:8.1f} GB/s    {:6.1f} ns a row\n", per_second(info.bytes, line) * 1e-9,
                        line.seconds.median * 1e9 / static_cast<double>(info.rows));
  }
}

void append_kernels(const std::vector<KernelLine>& lines, std::string& text) {
  std::string model;
  for (const KernelLine& line : lines) {
    if (line.model != model) {
      model = line.model;
      text += "\n" + model + ", weights warm: us a call, median (least .. most), share of peak\n";
    }
    append_kernel(line, text);
  }
}

void append_pass(const PassLine& line, std::string& text) {
  const BenchReport& report = line.report;
  const Quartiles pass = quartiles(report.measured.latencies);
  text += fmt::format("  {:>3} x {:<5}{:10.3f} ({:.3f} .. {:.3f})", line.sequences, line.tokens,
                      pass.median * 1e3, pass.least * 1e3, pass.most * 1e3);
  pad_line(text, 50);
  text += fmt::format("{:9.0f} tokens/s {:6.1f} %  ", line.sequences * line.tokens / pass.median,
                      100 * report.median_share_of_peak());
  double sum = 0;
  for (const Stage& stage : kStages) sum += (*report.measured.stages).*stage.seconds;
  for (const Stage& stage : kStages) {
    text +=
        fmt::format(" {} {:.0f}", stage.name, 100 * (*report.measured.stages).*stage.seconds / sum);
  }
  text += "\n";
}

}  // namespace

std::string to_json(const KernelBenchReport& report) {
  rows::JsonWriter json;
  json.begin_object().key("cpu").string(report.cpu);
  json.key("clock_ghz").number(report.clock ? *report.clock * 1e-9 : kNone);
  json.key("seconds").number(report.seconds);
  write_peaks(report.peaks, json);
  write_bandwidths(report, json);
  json.key("kernels").begin_array();
  for (const KernelLine& line : report.kernels) write_kernel(line, json);
  json.end_array().key("passes").begin_array();
  for (const PassLine& line : report.passes) write_pass(line, json);
  json.end_array().end_object();
  return json.text() + "\n";
}

std::string describe(const KernelBenchReport& report) {
  std::string text = report.cpu;
  if (report.clock) text += fmt::format(", {:.2f} GHz measured", *report.clock * 1e-9);
  text += fmt::format(", {:.0f} s\n", report.seconds);
  append_peaks(report.peaks, text);
  append_bandwidths(report, text);
  append_kernels(report.kernels, text);
  if (!report.kernels.empty()) {
    text +=
        "\nShapes: rows x K x N; attention: sequences x tokens x heads x head size; else rows x "
        "columns.\nEvery result was compared with fp64 loops before it was timed: linear and "
        "quantize "
        "in their first,\nmiddle and last row, the others in the first and the last. Shares "
        "are of the peak just before and\nafter.\n";
  }
  if (report.passes.empty()) return text;
  const BenchReport& first = report.passes.front().report;
  text += fmt::format(
      "\nwhole passes, {} on {}: ms, median (least .. most), share of peak, % of "
      "the time by stage\n",
      first.precision, first.isa);
  for (const PassLine& line : report.passes) append_pass(line, text);
  return text;
}

}  // namespace tilewise::cli
