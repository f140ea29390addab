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

/// FLOPs of a pass over sequences of these offsets with the question's heads.
Flops count_flops(const artifact::Metadata& metadata, const BenchQuestion& question,
                  std::span<const int32_t> offsets);

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
  std::vector<model::Input> inputs = {};   ///< the rows, and
  std::vector<Flops> input_flops = {};     ///< what each costs, and
  std::vector<int32_t> input_tokens = {};  ///< its length: all three only when asked for
};

/// Reads the first `limit` rows (0: all) of `paths`. Rows that cannot be answered are warned of and
/// left out. Errors: those of reading; invalid_input when no row is left.
Result<Workload> load_workload(const engine::Engine& engine, const BenchQuestion& question,
                               const std::vector<std::string>& paths, int64_t limit,
                               bool keep_inputs);

}  // namespace tilewise::cli
