// What the members of the public Model share.
#pragma once

#include <memory>
#include <string>

#include <tilewise/tilewise.h>

#include "base/status.h"
#include "engine/engine.h"
#include "model/task.h"

namespace tilewise {

struct Model::State {
  std::shared_ptr<engine::Engine> engine;
};

namespace api {

/// The index of a task. A name is one task here, never a list. Errors: not_found.
Result<int32_t> find_task(const artifact::Metadata& metadata, const std::string& name);

/// The same for a task that takes such inputs. Errors: also invalid_argument where it takes others.
Result<int32_t> find_task(const artifact::Metadata& metadata, const std::string& name,
                          model::InputKind input);

/// Floats of one answer of a task: TaskInfo::outputs.
int32_t outputs_of(const artifact::Metadata& metadata, int32_t task);

/// Errors: invalid_argument for an option that only pairs have.
Status check_single(const PredictOptions& options);

}  // namespace api
}  // namespace tilewise
