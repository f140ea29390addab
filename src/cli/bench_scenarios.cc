#include "cli/bench_scenarios.h"

#include <algorithm>
#include <array>
#include <barrier>
#include <cmath>
#include <random>

#include "base/clock.h"
#include "batch/job.h"
#include "kernels/int8_kernel_set.h"
#include "kernels/kernel_set.h"
#include "rows/writer.h"

namespace tilewise::cli {
namespace {

constexpr size_t kLeastPasses = 3;  // one has no spread
// Passes by stage, beside those that are timed as a whole.
constexpr int kLeastProfiledPasses = 3;
constexpr int kMostProfiledPasses = 50;

double now_seconds() {
  return std::chrono::duration<double>(SteadyClock().now().time_since_epoch()).count();
}

/// Calls `once` until `seconds` have passed, and at least so often; returns what each call took.
template <class Call>
std::vector<double> repeat(double seconds, Call once, size_t least = 1) {
  std::vector<double> taken;
  taken.reserve(1 << 16);
  const double start = now_seconds();
  double before = start;
  do {
    once();
    const double after = now_seconds();
    taken.push_back(after - before);
    before = after;
  } while (before - start < seconds || taken.size() < least);
  return taken;
}

/// The kernels of the heads: fp32 of the model's own level, or of the best where that level has
/// none.
const kernels::KernelSet& head_kernels(const kernels::KernelSet& set) {
  const auto same = kernels::choose_kernels(cpu_features(), model::Precision::fp32, set.isa);
  if (same.ok()) return **same;
  const auto best = kernels::choose_kernels(cpu_features(), model::Precision::fp32);
  return best.ok() ? **best : set;
}

/// Rows a second, from a run that ends after `seconds` or with the workload.
Result<double> warm_up(engine::Engine& engine, batch::Options job, double seconds) {
  const double end = now_seconds() + seconds;
  batch::Progress last;
  job.stop = [end] { return now_seconds() > end; };
  const Status status =
      batch::stream(
          engine, job, [](std::string_view) { return Status(); }, [](const Status&) {},
          [&](const batch::Progress& progress) { last = progress; })
          .status();
  if (!status.ok() && status.code() != StatusCode::interrupted) return status;
  return static_cast<double>(last.rows) / std::max(last.seconds, 1e-6);
}

/// Random ids of the vocabulary; the same for every run.
std::vector<int32_t> random_ids(size_t count, int32_t vocabulary) {
  std::mt19937 random(1);
  std::uniform_int_distribution<int32_t> any(0, vocabulary - 1);
  std::vector<int32_t> ids(count);
  for (int32_t& id : ids) id = any(random);
  return ids;
}

/// Each stage's median: an interruption in one pass does not count.
runtime::StageTimes median_of(const std::vector<runtime::StageTimes>& passes) {
  runtime::StageTimes median;
  std::vector<double> seconds(passes.size());
  for (const Stage& stage : kStages) {
    std::transform(passes.begin(), passes.end(), seconds.begin(),
                   [&](const runtime::StageTimes& pass) { return pass.*stage.seconds; });
    const auto middle = seconds.begin() + static_cast<std::ptrdiff_t>(seconds.size() / 2);
    std::nth_element(seconds.begin(), middle, seconds.end());
    median.*stage.seconds = *middle;
  }
  return median;
}

/// Depths and FLOPs of equal passes, each over sequences of so many tokens, from what the last of
/// them gave.
void add_forward_costs(const engine::Engine& engine, const BenchQuestion& question, int32_t tokens,
                       std::span<const runtime::TaskOutput> outputs, int64_t sequences,
                       Measurement& measured) {
  const artifact::Metadata& metadata = engine.metadata();
  const std::array<int32_t, 2> offsets = {0, tokens};
  Flops flops;
  double layers = 0;
  std::vector<float> depths(question.predict.full_depth ? 0 : outputs.size());  // none: all layers
  for (int64_t s = 0; s < sequences; ++s) {
    for (size_t t = 0; t < depths.size(); ++t) {
      // The last of a sequence's values, where its task has exits.
      const size_t width = outputs[t].values.size() / static_cast<size_t>(sequences);
      depths[t] = outputs[t].values[(static_cast<size_t>(s) + 1) * width - 1];
    }
    flops += count_flops(metadata, question, offsets, depths);
    layers += pass_depth(metadata, question, depths);
  }
  measured.flops = flops * static_cast<double>(measured.rows / sequences);
  if (engine.has_exits(question.set)) measured.depth = layers / static_cast<double>(sequences);
}

/// Profiles passes for about `seconds`.
runtime::StageTimes profile(engine::Worker& worker, const runtime::Batch& batch,
                            std::span<const runtime::TaskOutput> outputs, bool full_depth,
                            double seconds) {
  std::vector<runtime::StageTimes> passes;
  const double end = now_seconds() + seconds;
  while (passes.size() < kLeastProfiledPasses ||
         (passes.size() < kMostProfiledPasses && now_seconds() < end)) {
    worker.run_tokens(batch, outputs, {.full_depth = full_depth, .times = &passes.emplace_back()});
  }
  return median_of(passes);
}

}  // namespace

Flops measure_peaks(engine::Engine& engine, double seconds) {
  const int32_t replicas = engine.replicas();
  const kernels::KernelSet& backbone = engine.kernels();
  const kernels::KernelSet& heads = head_kernels(backbone);
  const kernels::Int8KernelSet* const int8 = engine.int8_kernels();
  // Every replica takes one of the jobs, and they run at the same time.
  std::barrier all_here(replicas);
  std::vector<Flops> peaks(replicas);
  std::vector<std::future<void>> pending;
  pending.reserve(peaks.size());
  for (Flops& one : peaks) {
    pending.push_back(engine.submit([&](engine::Worker&) {
      all_here.arrive_and_wait();
      one.of(backbone.precision) = kernels::measure_peak(backbone, seconds);
      if (&heads != &backbone) one.fp32 = kernels::measure_peak(heads, seconds);
      if (int8 != nullptr) one.int8 = int8->peak(seconds);
    }));
  }
  for (std::future<void>& done : pending) done.wait();
  Flops mean;
  for (const Flops& one : peaks) mean += one * (1.0 / replicas);
  return mean;
}

Result<Measurement> run_offline(engine::Engine& engine, const BenchQuestion& question,
                                const Workload& workload, const BenchTime& time) {
  batch::Options job{
      .inputs = {workload.file.path()}, .tasks = question.tasks, .predict = question.predict};
  TILEWISE_ASSIGN_OR_RETURN(const double rows_per_second,
                            warm_up(engine, job, time.warmup_seconds));
  const double pass_seconds = static_cast<double>(workload.rows) / rows_per_second;
  const auto passes = static_cast<int64_t>(std::max(1.0, std::ceil(time.seconds / pass_seconds)));
  job.inputs.assign(static_cast<size_t>(passes), workload.file.path());
  TILEWISE_ASSIGN_OR_RETURN(const batch::Progress progress,
                            batch::stream(
                                engine, job, [](std::string_view) { return Status(); },
                                [](const Status&) {}, [](const batch::Progress&) {}));
  Measurement measured;
  measured.rows = progress.rows;
  measured.tokens = progress.tokens;
  measured.seconds = progress.seconds;
  measured.flops = workload.flops * static_cast<double>(passes);
  if (engine.has_exits(question.set)) {
    measured.depth = workload.layers / static_cast<double>(workload.rows);
  }
  return measured;
}

Measurement run_single(engine::Engine& engine, const BenchQuestion& question,
                       const Workload& workload, const BenchTime& time) {
  Measurement measured;
  std::vector<const model::Task*> tasks;
  for (const int32_t index : question.set) tasks.push_back(&engine.metadata().tasks[index].task);
  const auto measure = [&](engine::Worker& worker) {
    std::vector<engine::Outcome> outcomes;
    std::string out;
    size_t next = 0;
    const auto answer_one = [&] {
      const model::Input* input = &workload.inputs[next++ % workload.inputs.size()];
      worker.predict({&input, 1}, question.set, question.predict, outcomes);
      out.clear();
      rows::append_prediction("1", tasks, outcomes.front().predictions, {}, out);
    };
    repeat(time.warmup_seconds, answer_one);
    next = 0;
    const int64_t tokens_before = worker.counters().tokens;
    measured.latencies = repeat(time.seconds, answer_one);
    measured.tokens = worker.counters().tokens - tokens_before;
  };
  engine.submit(measure).wait();
  measured.rows = static_cast<int64_t>(measured.latencies.size());
  double layers = 0;
  for (size_t i = 0; i < measured.latencies.size(); ++i) {
    const size_t row = i % workload.input_flops.size();
    measured.seconds += measured.latencies[i];
    measured.flops += workload.input_flops[row];
    layers += workload.input_depths[row];
  }
  if (engine.has_exits(question.set)) {
    measured.depth = layers / static_cast<double>(measured.rows);
  }
  return measured;
}

Result<Measurement> run_forward(engine::Engine& engine, const BenchQuestion& question,
                                int32_t tokens, int32_t sequences, const BenchTime& time) {
  const artifact::Metadata& metadata = engine.metadata();
  const auto total = static_cast<size_t>(tokens) * static_cast<size_t>(sequences);
  const std::vector<int32_t> ids = random_ids(total, metadata.spec.vocab_size);
  const std::vector<int32_t> types(total, 0);
  std::vector<int32_t> offsets;
  for (int32_t s = 0; s <= sequences; ++s) offsets.push_back(s * tokens);
  const runtime::Batch batch{ids, types, offsets};
  TILEWISE_RETURN_IF_ERROR(runtime::check_batch(metadata.spec, batch));

  std::vector<std::vector<float>> values;
  std::vector<runtime::TaskOutput> outputs;
  for (const int32_t index : question.set) {
    values.emplace_back(static_cast<size_t>(sequences) * engine.output_width({index}));
    outputs.push_back({index, values.back()});
  }
  Measurement measured;
  const auto measure = [&](engine::Worker& worker) {
    const bool full_depth = question.predict.full_depth;
    const auto pass = [&] { worker.run_tokens(batch, outputs, {.full_depth = full_depth}); };
    repeat(time.warmup_seconds, pass);
    measured.latencies = repeat(time.seconds, pass, kLeastPasses);
    measured.stages = profile(worker, batch, outputs, full_depth, time.seconds / 2);
  };
  engine.submit(measure).wait();
  const auto passes = static_cast<int64_t>(measured.latencies.size());
  measured.rows = passes * sequences;
  measured.tokens = passes * static_cast<int64_t>(total);
  for (const double taken : measured.latencies) measured.seconds += taken;
  add_forward_costs(engine, question, tokens, outputs, sequences, measured);
  return measured;
}

}  // namespace tilewise::cli
