// What `tilewise eval` says: a table for people, one JSON object for programs.
#pragma once

#include <string>

#include "engine/engine.h"
#include "eval/evaluation.h"
#include "model/task.h"

namespace tilewise::cli {

/// With line ends; the labels that are answered worst, too.
std::string describe(const eval::Report& report, const model::Task& task);

/// One line. Shares are from 0 to 1; what is not defined on these rows is null.
std::string to_json(const eval::Report& report, const model::Task& task,
                    const engine::Engine& engine);

}  // namespace tilewise::cli
