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

/// The index of a task that takes such inputs. A name is one task here, never a list. Errors:
/// not_found; invalid_argument where the task takes others.
Result<int32_t> find_task(const artifact::Metadata& metadata, const std::string& name,
                          model::InputKind input);

/// Errors: invalid_argument for an option that only pairs have.
Status check_single(const PredictOptions& options);

}  // namespace api
}  // namespace tilewise
