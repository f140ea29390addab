// Which task answers a request of a protocol that knows one model a server (TEI, OpenAI,
// SageMaker).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/repository.h"
#include "model/task.h"

namespace tilewise::server {

/// What an endpoint can answer with.
enum class Purpose : uint8_t {
  predict,  ///< anything with a head; by itself it takes a classifier before a regression
  rerank,   ///< pairs with one score
  embed,    ///< embeddings
  anything,
};

struct Wanted {
  Purpose purpose = Purpose::anything;
  std::optional<model::InputKind> input = {};  ///< which shape the request has, where that is known

  /// Whether a task that the request names will do; of its input the engine judges.
  bool takes(const model::Task& task) const;
  /// Whether a task will do that nobody has named.
  bool suits(const model::Task& task) const;
};

/// The only one that suits. Allocates nothing. Errors: invalid_argument naming the choices, or what
/// is served when there is none.
Result<const engine::TaskEntry*> choose_only(std::span<const engine::TaskEntry> candidates,
                                             const Wanted& wanted);

/// The task `asked` for; where that is empty the server's default, if it suits; else the only one
/// that suits. A name that stands for a whole model means the only one of its tasks that suits.
/// Errors: those of Repository::find; unsupported for a task that cannot answer this;
/// invalid_argument naming the choices.
Result<engine::Target> choose_task(const engine::Repository& repository, std::string_view asked,
                                   std::string_view default_task, const Wanted& wanted);

/// All tasks of "a,b", which must be of one model and read their input alike. Errors: as above.
Result<engine::Target> choose_tasks(const engine::Repository& repository, std::string_view asked);

/// "NAME.TASK" for tasks[0] of a target.
std::string name_of(const engine::Target& target);

const model::Task& task_of(const engine::Target& target);

}  // namespace tilewise::server
