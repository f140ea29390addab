// The timed part of `tilewise bench`.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "base/status.h"
#include "cli/bench_workload.h"
#include "engine/engine.h"
#include "runtime/replica.h"

namespace tilewise::cli {

/// How long to measure.
struct BenchTime {
  double seconds = 5;
  double warmup_seconds = 1;
};

/// FLOP/s of one core in each precision that the model uses, by the instruction that it runs on,
/// measured for about `seconds` each on all replicas at once, mean over them; 0 where the model
/// does not use it.
Flops measure_peaks(engine::Engine& engine, double seconds = 0.1);

/// The stages of a pass, in order, as reports call them.
struct Stage {
  const char* name;
  double runtime::StageTimes::* seconds;
};
inline constexpr auto kStages = std::to_array<Stage>({
    {"embed", &runtime::StageTimes::embed},
    {"qkv", &runtime::StageTimes::qkv},
    {"attention", &runtime::StageTimes::attention},
    {"attention_output", &runtime::StageTimes::attention_output},
    {"norm", &runtime::StageTimes::norm},
    {"ffn_up", &runtime::StageTimes::ffn_up},
    {"ffn_down", &runtime::StageTimes::ffn_down},
    {"exits", &runtime::StageTimes::exits},
    {"heads", &runtime::StageTimes::heads},
});

/// What was measured.
struct Measurement {
  int64_t rows = 0;
  int64_t tokens = 0;
  double seconds = 0;
  Flops flops = {};
  /// Layers that a row went through on average, where the tasks have exits.
  std::optional<double> depth = {};
  std::vector<double> latencies = {};  ///< seconds, one a row or pass; empty for offline
  /// Of one pass, in seconds, the median of each stage by itself; only for forward, whose
  /// latencies are those of equal passes.
  std::optional<runtime::StageTimes> stages = {};
};

/// Text in, results out, in arrival order, on all replicas: whole passes of `batch::stream` over
/// the workload.
Result<Measurement> run_offline(engine::Engine& engine, const BenchQuestion& question,
                                const Workload& workload, const BenchTime& time);

/// One input at a time on one replica, text in, result out; timed on the replica's own thread.
Measurement run_single(engine::Engine& engine, const BenchQuestion& question,
                       const Workload& workload, const BenchTime& time);

/// Passes over `sequences` sequences of `tokens` random token ids, ids in, logits out, on one
/// replica. Errors: invalid_argument for a length that the model does not take.
Result<Measurement> run_forward(engine::Engine& engine, const BenchQuestion& question,
                                int32_t tokens, int32_t sequences, const BenchTime& time);

}  // namespace tilewise::cli
