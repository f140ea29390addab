#include "batch/question.h"

#include <xxhash.h>

namespace tilewise::batch {

Result<Question> Question::create(const engine::Engine& engine, const Options& options) {
  TILEWISE_ASSIGN_OR_RETURN(engine::TaskSet set, engine.find_tasks(options.tasks));
  std::vector<const model::Task*> tasks;
  for (const int32_t index : set) tasks.push_back(&engine.metadata().tasks[index].task);
  rows::ResultWriter writer(tasks, options.format, options.predict.top);
  const size_t width = engine.output_width(set);
  return Question{.set = std::move(set),
                  .tasks = std::move(tasks),
                  .predict = options.predict,
                  .writer = std::move(writer),
                  .width = width,
                  .shard = options.shard};
}

bool Question::is_mine(std::string_view key) const {
  if (shard.count == 1) return true;
  return XXH3_64bits(key.data(), key.size()) % static_cast<uint64_t>(shard.count) ==
         static_cast<uint64_t>(shard.index);
}

}  // namespace tilewise::batch
