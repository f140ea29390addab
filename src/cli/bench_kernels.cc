#include "cli/bench_kernels.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "base/log.h"
#include "kernels/probes.h"
#include "runtime/kernel_choice.h"

namespace tilewise::cli {
namespace {

constexpr int kRepetitions = 9;

struct PassSize {
  int32_t sequences, tokens;
};
constexpr PassSize kPasses[] = {{1, 8}, {16, 12}, {16, 60}, {16, 128}};

/// Shares of the run's seconds.
constexpr double kPeakShare = 0.004;         // each set, before and after
constexpr double kBandwidthShare = 0.01;     // each level and operation
constexpr double kPassShare = 0.25;          // all passes of a model together
constexpr double kGroupPeakSeconds = 0.004;  // beside the kernels of one group

/// What is left of a run's seconds, shared out among the lines to come.
class Budget {
 public:
  explicit Budget(double seconds) : seconds_(seconds), start_(clock_.now()) {}
  double seconds() const { return seconds_; }
  double spent() const { return seconds_between(start_, clock_.now()); }
  /// For one of `lines` that are still to be measured, when `reserved` of the whole must remain.
  double next(int64_t lines, double reserved) const {
    constexpr double kLeast = 1e-3;
    const double left = seconds_ * (1 - reserved) - spent();
    return std::max(kLeast, left / static_cast<double>(std::max<int64_t>(lines, 1)));
  }

 private:
  SteadyClock clock_;
  double seconds_;
  Time start_;
};

/// Some of a model's kernels.
struct Plan {
  std::string model;
  CaseGroup group;
  std::vector<bool> wanted;  ///< of the group's cases, at least one
  int64_t lines() const { return std::count(wanted.begin(), wanted.end(), true); }
};

/// The kernels that a model of this shape and precision runs with, those that are wanted.
Status append(std::vector<Plan>& plans, const EncoderShape& shape, model::Precision precision,
              const KernelBenchOptions& options) {
  TILEWISE_ASSIGN_OR_RETURN(const std::optional<Isa> forced, options.model.isa.forced());
  TILEWISE_ASSIGN_OR_RETURN(const runtime::KernelChoice chosen,
                            runtime::choose_kernels(cpu_features(), precision, forced));
  for (CaseGroup& group : kernel_cases(shape, *chosen.backbone, chosen.int8)) {
    Plan plan{.model = shape.name, .group = std::move(group), .wanted = {}};
    for (const CaseInfo& info : plan.group.infos) {
      plan.wanted.push_back(info.name().find(options.only) != std::string::npos);
    }
    if (plan.lines() > 0) plans.push_back(std::move(plan));
  }
  return {};
}

/// What to measure: the model's shapes in its precision, or the well-known ones in all of them.
Result<std::vector<Plan>> make_plans(const KernelBenchOptions& options,
                                     const artifact::Metadata* metadata) {
  std::vector<Plan> plans;
  if (metadata != nullptr) {
    TILEWISE_RETURN_IF_ERROR(
        append(plans, shape_of(*metadata, options.model.path), metadata->precision, options));
  } else {
    for (const EncoderShape& shape : well_known_shapes()) {
      EncoderShape plain = shape;
      plain.int8_parts.clear();
      TILEWISE_RETURN_IF_ERROR(append(plans, plain, model::Precision::fp32, options));
      TILEWISE_RETURN_IF_ERROR(append(plans, shape, model::Precision::int8, options));
    }
  }
  if (!plans.empty()) return plans;
  return invalid_argument({.what = "no kernel has this in its name",
                           .where = "--only",
                           .expected = "a part of a name such as \"linear+gelu ffn_up bf16 on "
                                       "avx2, rows 16, k 384, n 1536\"",
                           .found = options.only});
}

/// Of the instruction that the case is built on; 0 for those that memory bounds.
double peak_now(const std::vector<PeakLine>& peaks, const CaseInfo& info) {
  if (info.flops == 0) return 0;
  for (const PeakLine& line : peaks) {
    if (line.precision == info.precision && line.isa == info.isa && line.skipped.empty()) {
      return line.probe(kGroupPeakSeconds);
    }
  }
  return 0;
}

Result<KernelLine> measure(const KernelCase& one, const std::string& model, double seconds) {
  TILEWISE_RETURN_IF_ERROR(check(one));
  one.begin_pass();
  const Timing timing = time_calls(one.run, seconds);
  one.end_pass();
  return KernelLine{.model = model, .info = one.info, .seconds = timing};
}

/// The wanted cases of a group between two looks at the peak.
Status measure_group(const Plan& plan, int64_t lines_left, double reserved, const Budget& budget,
                     KernelBenchReport& report) {
  const std::vector<KernelCase> cases = plan.group.make();
  const CaseInfo& any = plan.group.infos.front();
  const double before = peak_now(report.peaks, any);
  const size_t first = report.kernels.size();
  for (size_t i = 0; i < cases.size(); ++i) {
    if (!plan.wanted[i]) continue;
    TILEWISE_ASSIGN_OR_RETURN(KernelLine line,
                              measure(cases[i], plan.model, budget.next(lines_left--, reserved)));
    report.kernels.push_back(std::move(line));
  }
  const double peak = std::max(before, peak_now(report.peaks, any));
  for (size_t i = first; i < report.kernels.size(); ++i) report.kernels[i].peak = peak;
  return {};
}

Status measure_kernels(const std::vector<Plan>& plans, double reserved, const Budget& budget,
                       KernelBenchReport& report) {
  int64_t lines = 0;
  for (const Plan& plan : plans) lines += plan.lines();
  for (const Plan& plan : plans) {
    TILEWISE_RETURN_IF_ERROR(measure_group(plan, lines, reserved, budget, report));
    lines -= plan.lines();
  }
  return {};
}

/// Whole passes of the model, by stage.
Status measure_passes(engine::Engine& engine, const KernelBenchOptions& options,
                      const Budget& budget, KernelBenchReport& report) {
  const artifact::Metadata& metadata = engine.metadata();
  BenchQuestion question;
  question.tasks = options.task.empty() ? metadata.tasks.front().task.name : options.task;
  TILEWISE_ASSIGN_OR_RETURN(question.set, engine.find_tasks(question.tasks));
  question.predict.full_depth = true;  // all of the model, whatever the random tokens are
  const double seconds = kPassShare * budget.seconds() / std::size(kPasses) / 2;
  for (const PassSize& size : kPasses) {
    if (size.tokens > metadata.spec.max_positions) continue;
    PassLine line{.sequences = size.sequences, .tokens = size.tokens};
    BenchReport& pass = line.report;
    Flops peaks = measure_peaks(engine, seconds / 10);
    TILEWISE_ASSIGN_OR_RETURN(pass.measured,
                              run_forward(engine, question, size.tokens, size.sequences,
                                          {.seconds = seconds, .warmup_seconds = seconds / 4}));
    peaks += measure_peaks(engine, seconds / 10);
    pass.peaks = peaks * 0.5;
    pass.scenario = "forward";
    pass.task = question.tasks;
    pass.precision = name_of(metadata.precision);
    pass.isa = engine.isa();
    pass.replicas = 1;
    report.passes.push_back(std::move(line));
  }
  return {};
}

/// Where no topology can be read, sizes are unknown and nothing is pinned.
Topology pin_to_first_core() {
  const auto topology = read_topology();
  if (!topology.ok()) {
    log_warn("cannot read the caches' sizes, and no core is pinned: " +
             topology.status().message());
    return {};
  }
  if (!topology->cores.empty()) {
    const Status pinned = pin_current_thread(topology->cores.front().cpu);
    if (!pinned.ok()) log_warn(pinned.message());
  }
  return *topology;
}

void measure_roofline(const Topology& topology, double seconds, KernelBenchReport& report) {
  report.clock = kernels::measure_clock(kPeakShare * seconds);
  report.peaks = list_peaks(cpu_features());
  measure_peaks(report.peaks, kPeakShare * seconds, &PeakLine::before);
  report.bandwidths = list_bandwidths(topology, free_memory_bytes(topology));
  constexpr double kSecondsForMemory = 3;
  for (BandwidthLine& line : report.bandwidths) {
    if (line.level != "memory" || seconds >= kSecondsForMemory) continue;
    line.skipped = "filling so large a buffer needs --seconds 3 or more";
  }
  measure_bandwidths(report.bandwidths, kBandwidthShare * seconds);
}

}  // namespace

double KernelLine::share_of_peak() const {
  if (!(peak > 0 && info.flops > 0)) return std::numeric_limits<double>::quiet_NaN();
  return info.flops / seconds.median / peak;
}

Timing time_calls(const std::function<void()>& run, double seconds) {
  const SteadyClock clock;
  const Time start = clock.now();
  run();  // what the caches hold from now on is what the kernel needs
  const double once = std::max(seconds_between(start, clock.now()), 1e-9);
  const auto calls = static_cast<int64_t>(std::max(1.0, seconds / kRepetitions / once));
  std::vector<double> taken;
  do {
    const Time before = clock.now();
    for (int64_t i = 0; i < calls; ++i) run();
    taken.push_back(seconds_between(before, clock.now()) / static_cast<double>(calls));
  } while (taken.size() < kRepetitions && seconds_between(start, clock.now()) < 2 * seconds);
  const Quartiles spread = quartiles(taken);
  return {.median = spread.median, .least = spread.least, .most = spread.most};
}

Result<int> run_kernel_bench(const KernelBenchOptions& options, Session& session) {
  const Budget budget(options.seconds);
  std::shared_ptr<engine::Engine> engine;
  if (!options.model.path.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(engine, options.model.open(1));
  }
  TILEWISE_ASSIGN_OR_RETURN(const std::vector<Plan> plans,
                            make_plans(options, engine == nullptr ? nullptr : &engine->metadata()));
  const Topology topology = pin_to_first_core();
  KernelBenchReport report;
  report.cpu = cpu_features().name;
  measure_roofline(topology, options.seconds, report);
  const double reserved = engine != nullptr ? kPassShare : 0;
  TILEWISE_RETURN_IF_ERROR(measure_kernels(plans, reserved, budget, report));
  if (engine != nullptr) {
    TILEWISE_RETURN_IF_ERROR(measure_passes(*engine, options, budget, report));
  }
  measure_peaks(report.peaks, kPeakShare * options.seconds, &PeakLine::after);
  report.seconds = budget.spent();
  TILEWISE_RETURN_IF_ERROR(session.out.write(options.json ? to_json(report) : describe(report)));
  return 0;
}

}  // namespace tilewise::cli
