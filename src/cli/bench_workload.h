// The rows of a benchmark, checked and counted before anything is timed.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "engine/engine.h"
#include "model/row.h"
#include "runtime/flops.h"

namespace tilewise::cli {

/// What is asked of each row.
struct BenchQuestion {
  std::string tasks;  ///< "a,b"
  engine::TaskSet set;
  engine::PredictOptions predict;
};

using runtime::Flops;

/// In the order in which reports name them.
inline constexpr std::array kPrecisions = {model::Precision::int8, model::Precision::bf16,
                                           model::Precision::fp32};

/// Layers that an input went through, whose answers took `depths`, one a task of the question
/// (none: all layers): those of the deepest, and all of them where a task has no exits.
float pass_depth(const artifact::Metadata& metadata, const BenchQuestion& question,
                 std::span<const float> depths);

/// FLOPs of a pass over sequences of these offsets, each of this depth, with the heads and exits
/// that the question asked on the way.
Flops count_flops(const artifact::Metadata& metadata, const BenchQuestion& question,
                  std::span<const int32_t> offsets, std::span<const float> depths);

/// A file that lives in memory, so that no disk is measured. Move-only.
class MemoryFile {
 public:
  static Result<MemoryFile> create();
  MemoryFile(MemoryFile&& other) noexcept;
  MemoryFile& operator=(MemoryFile&&) = delete;
  ~MemoryFile();

  Status append(std::string_view bytes);
  /// Opens like any file, from its start, as often as wanted, as long as this object lives.
  std::string path() const;

 private:
  explicit MemoryFile(int descriptor) : descriptor_(descriptor) {}
  int descriptor_;
};

struct Workload {
  MemoryFile file;  ///< the rows that can be answered, as JSON lines
  int64_t rows = 0;
  Flops flops = {};                        ///< of all rows together
  double layers = 0;                       ///< that all rows together go through
  std::vector<model::Input> inputs = {};   ///< the rows, and
  std::vector<Flops> input_flops = {};     ///< what each costs, and
  std::vector<int32_t> input_tokens = {};  ///< its length, and
  std::vector<float> input_depths = {};    ///< its layers: all four only when asked for
};

/// Reads the first `limit` rows (0: all) of `paths`, and answers them once where it takes that to
/// know how deep they go. Rows that cannot be answered are warned of and left out. Errors: those of
/// reading; invalid_input when no row is left.
Result<Workload> load_workload(engine::Engine& engine, const BenchQuestion& question,
                               const std::vector<std::string>& paths, int64_t limit,
                               bool keep_inputs);

}  // namespace tilewise::cli
