// The timed part of `tilewise bench`.
#pragma once

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

/// FLOP/s of one core, measured on all replicas at once, mean over them.
struct Peaks {
  double backbone = 0;  ///< of the instruction that the model's precision runs on
  double heads = 0;     ///< fp32
};

Peaks measure_peaks(engine::Engine& engine);

/// What was measured.
struct Measurement {
  int64_t rows = 0;
  int64_t tokens = 0;
  double seconds = 0;
  Flops flops;
  std::vector<double> latencies;              ///< seconds, one a row or pass; empty for offline
  std::optional<runtime::StageTimes> stages;  ///< of one pass, in seconds; only for forward
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
