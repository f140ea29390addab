// What is served, for people and pages that let one choose: GET /v1/tasks.
#pragma once

#include <string>

#include "server/app.h"

namespace tilewise::server::operation {

/// {"version","isa","replicas","cores_per_replica","deadline_ms","ready","models":[{"name",
/// "version","ready","reason"|"precision","tasks":[{"name":"NAME.TASK","task","kind","input",
/// "labels","max_tokens","fields","threshold","out_of_scope"}]}]}. `threshold` is a probability,
/// null where the kind of task has none; `fields` are those of the records that it takes.
std::string tasks_json(const App& app);

/// What the kernels of the models run with, "amx"; what this processor offers while there are none.
std::string isa_of(const App& app);

}  // namespace tilewise::server::operation
