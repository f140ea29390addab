// Which outputs a call asks for, before there are any numbers.
#pragma once

#include <string_view>
#include <vector>

#include "artifact/metadata.h"
#include "base/status.h"
#include "engine/loaded_model.h"
#include "server/kserve/infer.h"

namespace tilewise::server::kserve {

enum class OutputKind : uint8_t { logits, scores, label, depth, embedding };

std::string_view name_of(OutputKind kind);

/// What a task gives, in the order of a response that names no outputs.
std::span<const OutputKind> outputs_of(const model::Task& task);

/// "logits", or "TASK.logits" where there are several tasks.
std::string output_name(const artifact::Metadata& metadata, const engine::TaskSet& tasks,
                        size_t task, OutputKind kind);

struct WantedOutput {
  size_t task = 0;  ///< index into the call's tasks
  OutputKind kind = OutputKind::logits;
};

/// Errors: invalid_argument naming the outputs that there are.
Result<WantedOutput> find_output(std::string_view name, const artifact::Metadata& metadata,
                                 const engine::TaskSet& tasks);

/// Whether collect() can give all that the call asks for.
Status check_outputs(const InferCall& call, const artifact::Metadata& metadata,
                     const engine::TaskSet& tasks);

}  // namespace tilewise::server::kserve
