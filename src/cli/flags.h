// Flags that several verbs share, and what they mean.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include <CLI/App.hpp>

#include "base/isa.h"
#include "base/status.h"
#include "engine/engine.h"
#include "rows/writer.h"

namespace tilewise::cli {

/// --isa.
struct IsaFlag {
  std::string name;

  void add_to(CLI::App& verb);
  /// The level asked for, here or by TILEWISE_ISA. Errors: invalid_argument.
  Result<std::optional<Isa>> forced() const;
};

/// MODEL, --isa, --replicas, --cores-per-replica, --verify.
struct ModelFlags {
  std::string path;
  IsaFlag isa;
  int32_t replicas = 0;
  int32_t cores_per_replica = 1;
  bool verify = false;

  void add_to(CLI::App& verb);
  /// Opens the model; `default_replicas` (0: as many as there are cores for) is used where
  /// --replicas was not given.
  Result<std::shared_ptr<engine::Engine>> open(int32_t default_replicas = 0) const;
};

/// --task, --top, --logits, --threshold, --both-orders, --full-depth. What was given and does not
/// apply to any of the tasks is refused rather than ignored.
struct TaskFlags {
  std::string names;
  std::optional<int32_t> top;
  std::optional<float> threshold;
  bool both_orders = false;
  bool full_depth = false;
  bool logits = false;

  void add_to(CLI::App& verb);
  void add_full_depth_to(CLI::App& verb);  ///< alone
  /// The tasks asked for; the only one of the model where none was. Errors: invalid_argument,
  /// not_found.
  Result<std::string> resolve(const engine::Engine& engine) const;
  /// Call with what resolve() returned.
  Result<engine::PredictOptions> predict_options(const engine::Engine& engine,
                                                 const std::string& resolved) const;
  rows::OutputOptions output_options() const { return {.logits = logits}; }
};

/// --max-rejected N|all.
struct RejectionFlag {
  std::string most = "all";

  void add_to(CLI::App& verb);
  Status check() const;
  /// 0, or 1 with an error message when more rows than allowed were rejected.
  int exit_code(int64_t rejected) const;
};

}  // namespace tilewise::cli
