// tilewise bench --kernels: the roofline of one core, and every kernel of a model beside it.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "cli/bench_cases.h"
#include "cli/bench_report.h"
#include "cli/bench_roofline.h"
#include "cli/flags.h"
#include "cli/session.h"

namespace tilewise::cli {

struct KernelBenchOptions {
  ModelFlags model = {};  ///< no path: the shapes of MiniLM-L6-H384 and BERT-base
  std::string task = {};  ///< whose head the passes run; empty: the first
  double seconds = 30;    ///< of the whole run, about
  std::string only = {};  ///< only kernels whose name (CaseInfo::name) holds this; empty: all
  bool json = false;
};

/// Seconds of a call: several repetitions, each the mean over its calls.
struct Timing {
  double median = 0, least = 0, most = 0;
};

/// A kernel that was checked and measured.
struct KernelLine {
  std::string model = {};  ///< "MiniLM-L6-H384", or the path
  CaseInfo info = {};
  Timing seconds = {};
  double peak = 0;  ///< OP/s just before and just after, the better; 0 where none applies

  /// NaN where none applies.
  double share_of_peak() const;
};

/// Whole passes of a model over equal sequences.
struct PassLine {
  int32_t sequences = 0;
  int32_t tokens = 0;       ///< of each
  BenchReport report = {};  ///< scenario "forward"
};

struct KernelBenchReport {
  std::string cpu = {};
  double seconds = 0;                ///< that the run took
  std::optional<double> clock = {};  ///< Hz
  std::vector<PeakLine> peaks = {};
  std::vector<BandwidthLine> bandwidths = {};
  std::vector<KernelLine> kernels = {};
  std::vector<PassLine> passes = {};
};

/// Measures on this thread, pinned to the first core that the process may use, and prints. Errors:
/// those of opening the model; internal when a kernel gives a wrong result.
Result<int> run_kernel_bench(const KernelBenchOptions& options, Session& session);

/// Calls `run` for about `seconds`, in nine repetitions or, where one call takes long, in fewer.
Timing time_calls(const std::function<void()>& run, double seconds);

/// One object on one line: docs/BENCH.md.
std::string to_json(const KernelBenchReport& report);
std::string describe(const KernelBenchReport& report);

}  // namespace tilewise::cli
