#include "cli/flags.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "cli/session.h"

namespace tilewise::cli {
namespace {

/// Whether any task of the set is of one of these kinds.
bool any_task(const engine::Engine& engine, const engine::TaskSet& set,
              std::initializer_list<model::TaskKind> kinds) {
  for (const int32_t index : set) {
    for (const model::TaskKind kind : kinds) {
      if (engine.metadata().tasks[index].task.kind == kind) return true;
    }
  }
  return false;
}

Status does_not_apply(const char* flag, const char* expected, const std::string& tasks) {
  return invalid_argument({.what = std::string(flag) + " has no meaning for this task",
                           .expected = expected,
                           .found = "--task " + tasks,
                           .remedy = std::string("Leave ") + flag + " out"});
}

/// The number, all of the text; nullopt for "all".
Result<std::optional<int64_t>> parse_most(const std::string& text) {
  if (text == "all") return std::optional<int64_t>();
  int64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error == std::errc() && end == text.data() + text.size() && number >= 0) {
    return std::optional<int64_t>(number);
  }
  return invalid_argument({.what = "--max-rejected is no number of rows",
                           .expected = "a whole number from 0, or all",
                           .found = text});
}

}  // namespace

void IsaFlag::add_to(CLI::App& verb) {
  verb.add_option("--isa", name,
                  "Instruction-set level, at most: " + isa_names() +
                      " (default: the best of this machine, or TILEWISE_ISA)")
      ->type_name("LEVEL");
}

Result<std::optional<Isa>> IsaFlag::forced() const {
  if (name.empty()) return engine::forced_isa({});
  if (const auto isa = parse_isa(name)) return isa;
  return invalid_argument({.what = "unknown instruction set",
                           .where = "--isa",
                           .expected = isa_names(),
                           .found = name});
}

void ModelFlags::add_to(CLI::App& verb) {
  verb.add_option("MODEL", path, "A compiled model, *.tw")->required()->type_name("");
  isa.add_to(verb);
  verb.add_option("--replicas", replicas,
                  "Running copies (default: as many as there are cores for)")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
  verb.add_option("--cores-per-replica", cores_per_replica,
                  "Cores that share each pass: shorter answers to single requests, less throughput "
                  "in total (default 1)")
      ->type_name("N")
      ->check(CLI::Range(1, 4096));
  verb.add_flag("--verify", verify, "Compare the checksum of every tensor before anything runs");
}

Result<std::shared_ptr<engine::Engine>> ModelFlags::open(int32_t default_replicas) const {
  TILEWISE_ASSIGN_OR_RETURN(const std::optional<Isa> forced, isa.forced());
  TILEWISE_ASSIGN_OR_RETURN(
      std::shared_ptr<engine::Engine> engine,
      engine::Engine::open(path, {.isa = forced,
                                  .replicas = replicas > 0 ? replicas : default_replicas,
                                  .cores_per_replica = cores_per_replica}));
  if (verify) TILEWISE_RETURN_IF_ERROR(engine->artifact().verify());
  return engine;
}

void TaskFlags::add_to(CLI::App& verb) {
  verb.add_option("--task", names,
                  "Task, or several with commas for one pass (default: the model's only task)")
      ->type_name("T[,T2...]");
  verb.add_option("--top", top, "multiclass: that many labels, best first (default 1; 0: all)")
      ->type_name("K")
      ->check(CLI::NonNegativeNumber);
  verb.add_option("--threshold", threshold,
                  "binary and multilabel: least logit, instead of the task's own")
      ->type_name("LOGIT");
  verb.add_flag("--both-orders", both_orders,
                "Pairs: the mean over (left, right) and (right, left)");
  add_full_depth_to(verb);
  verb.add_flag("--logits", logits, "The head's raw outputs, too");
}

void TaskFlags::add_full_depth_to(CLI::App& verb) {
  verb.add_flag("--full-depth", full_depth,
                "All layers for every input: the task's exits are not used");
}

Result<std::string> TaskFlags::resolve(const engine::Engine& engine) const {
  if (!names.empty()) {
    TILEWISE_RETURN_IF_ERROR(engine.find_tasks(names).status());
    return names;
  }
  const auto& tasks = engine.metadata().tasks;
  if (tasks.size() == 1) return tasks.front().task.name;
  return engine.find_tasks("").status();
}

Result<engine::PredictOptions> TaskFlags::predict_options(const engine::Engine& engine,
                                                          const std::string& resolved) const {
  using enum model::TaskKind;
  TILEWISE_ASSIGN_OR_RETURN(const engine::TaskSet set, engine.find_tasks(resolved));
  if (top && !any_task(engine, set, {multiclass})) {
    return does_not_apply("--top", "a multiclass task", resolved);
  }
  if (threshold && !any_task(engine, set, {binary, multilabel})) {
    return does_not_apply("--threshold", "a binary or multilabel task", resolved);
  }
  if (threshold && std::isnan(*threshold)) {
    return invalid_argument(
        {.what = "--threshold is not a number", .expected = "a logit", .found = "nan"});
  }
  if (logits && !any_task(engine, set, {binary, multiclass, multilabel, regression})) {
    return does_not_apply("--logits", "a task with a head", resolved);
  }
  if (both_orders && engine.metadata().tasks[set.front()].task.input != model::InputKind::pair) {
    return does_not_apply("--both-orders", "a task whose input is a pair", resolved);
  }
  if (full_depth && !engine.has_exits(set)) {
    return does_not_apply("--full-depth", "a task with exits", resolved);
  }
  return engine::PredictOptions{.top = top.value_or(1),
                                .both_orders = both_orders,
                                .threshold = threshold,
                                .full_depth = full_depth};
}

void RejectionFlag::add_to(CLI::App& verb) {
  verb.add_option("--max-rejected", most,
                  "More rejected rows than this end with exit code 1 (default all)")
      ->type_name("N");
}

Status RejectionFlag::check() const { return parse_most(most).status(); }

int RejectionFlag::exit_code(int64_t rejected) const {
  const auto allowed = parse_most(most);
  if (!allowed.ok() || !*allowed || rejected <= **allowed) return 0;
  const Status failed = io_error({.what = "too many rows were rejected",
                                  .where = "--max-rejected",
                                  .expected = "at most " + most,
                                  .found = std::to_string(rejected)});
  print_error(failed);
  return tilewise::exit_code(failed);
}

}  // namespace tilewise::cli
