#include "engine/engine.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <sstream>
#include <system_error>
#include <thread>
#include <utility>

#include "base/log.h"
#include "base/topology.h"
#include "runtime/kernel_choice.h"
#include "runtime/weights.h"

namespace tilewise::engine {
namespace {

using Job = std::packaged_task<void(Worker&)>;

std::string task_names(const artifact::Metadata& metadata) {
  std::string names;
  for (const auto& entry : metadata.tasks) {
    if (!names.empty()) names += ", ";
    names += entry.task.name;
  }
  return names;
}

/// Whether one token sequence serves both tasks.
bool encode_alike(const model::Task& a, const model::Task& b) {
  return a.input == b.input && a.max_tokens == b.max_tokens && a.truncation == b.truncation &&
         a.record_template == b.record_template;
}

}  // namespace

Result<std::optional<Isa>> forced_isa(const Options& options) {
  if (options.isa) return options.isa;
  const char* name = std::getenv("TILEWISE_ISA");
  if (name == nullptr || *name == '\0') return std::optional<Isa>();
  if (const auto isa = parse_isa(name)) return isa;
  return invalid_argument({.what = "unknown instruction set",
                           .where = "environment variable TILEWISE_ISA",
                           .expected = isa_names(),
                           .found = name,
                           .remedy = "Unset it to take the best of this machine"});
}

/// Threads, and the jobs that wait for one.
struct Engine::State {
  std::shared_ptr<const artifact::Artifact> artifact;
  runtime::Weights weights;
  runtime::KernelChoice kernels;
  int32_t cores_per_replica = 1;
  std::vector<Worker> workers;
  std::vector<std::thread> threads;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> jobs;
  bool closing = false;

  /// What the thread of replica i does, on `cpu` if that is not negative.
  void serve(int32_t i, int32_t cpu) {
    if (cpu >= 0) {
      if (const Status pinned = pin_current_thread(cpu); !pinned.ok()) log_warn(pinned.message());
    }
    for (;;) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return closing || !jobs.empty(); });
      if (jobs.empty()) return;
      Job job = std::move(jobs.front());
      jobs.pop_front();
      lock.unlock();
      job(workers[i]);
    }
  }
};

namespace {

/// The processors of each replica's threads; empty when they cannot be had (then nothing is
/// pinned).
std::vector<std::vector<int32_t>> cpus_of_replicas(const Options& options, const Topology& topology,
                                                   int32_t replicas) {
  const int32_t each = options.cores_per_replica;
  if (!options.pin || topology.cores.empty()) return {};
  auto cpus = choose_cpus(topology, replicas, each);
  if (static_cast<int32_t>(cpus.size()) == replicas) return cpus;
  std::string wanted = std::to_string(replicas) + (replicas == 1 ? " replica" : " replicas");
  if (each > 1) wanted += " of " + std::to_string(each) + " cores";
  log_warn(wanted + " on " + std::to_string(topology.cores.size()) + " cores: nothing is pinned");
  return {};
}

/// The members of a team wait for each other spinning: without a core for each it would be slower
/// than one core alone.
Status check_cores_per_replica(int32_t cores, const Topology& topology) {
  if (cores < 1) {
    return invalid_argument({.what = "a replica needs a core",
                             .where = "--cores-per-replica",
                             .expected = "1 or more",
                             .found = std::to_string(cores)});
  }
  if (topology.cores.empty() || cores <= topology.default_replicas()) return {};
  std::string limit = "of its cpuset";
  if (topology.default_replicas() < static_cast<int32_t>(topology.cores.size())) {
    limit = "of its cgroup's CPU quota";
  } else if (static_cast<int32_t>(topology.cores.size()) == topology.machine_cores) {
    limit = "that this machine has";
  }
  return unavailable_machine(
      {.what = "a replica cannot have so many cores",
       .where = "--cores-per-replica",
       .expected = "at most the " + std::to_string(topology.default_replicas()) + " " + limit,
       .found = std::to_string(cores),
       .remedy = "Run `tilewise devices` to see what this process may use"});
}

Result<Topology> topology_or_default() {
  auto topology = read_topology();
  if (topology.ok()) return topology;
  log_warn("cannot read the core topology, replicas are not pinned: " +
           topology.status().message());
  Topology unknown;
  unknown.cores.clear();
  return unknown;
}

}  // namespace

Engine::Engine(std::unique_ptr<State> state) : state_(std::move(state)) {}

Engine::~Engine() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->changed.notify_all();
  for (std::thread& thread : state_->threads) thread.join();
}

Result<std::shared_ptr<Engine>> Engine::open(const std::string& path, const Options& options) {
  auto state = std::make_unique<State>();
  TILEWISE_ASSIGN_OR_RETURN(state->artifact, artifact::Artifact::open(path));
  TILEWISE_ASSIGN_OR_RETURN(state->weights, runtime::bind(*state->artifact));
  TILEWISE_ASSIGN_OR_RETURN(const std::optional<Isa> isa, forced_isa(options));
  const artifact::Metadata& metadata = state->artifact->metadata();
  TILEWISE_ASSIGN_OR_RETURN(state->kernels,
                            runtime::choose_kernels(cpu_features(), metadata.precision, isa));

  const artifact::TensorView* tables = state->artifact->find("tokenizer");
  if (tables == nullptr) {
    return invalid_input({.what = "the artifact has no tokenizer",
                          .where = path,
                          .expected = "a tensor named tokenizer",
                          .remedy = "Compile the checkpoint again"});
  }
  TILEWISE_ASSIGN_OR_RETURN(const text::Tokenizer tokenizer, text::Tokenizer::open(tables->data));
  if (tokenizer.vocabulary_size() > metadata.spec.vocab_size) {
    return invalid_input({.what = "the tokenizer knows more tokens than the model",
                          .where = path,
                          .expected = "at most " + std::to_string(metadata.spec.vocab_size),
                          .found = std::to_string(tokenizer.vocabulary_size()),
                          .remedy = "Compile the checkpoint with its own tokenizer"});
  }

  TILEWISE_ASSIGN_OR_RETURN(const Topology topology, topology_or_default());
  TILEWISE_RETURN_IF_ERROR(check_cores_per_replica(options.cores_per_replica, topology));
  const int32_t cores = state->cores_per_replica = options.cores_per_replica;
  int32_t replicas = options.replicas > 0 ? options.replicas : topology.default_replicas() / cores;
  replicas = std::max(replicas, 1);
  const auto cpus = cpus_of_replicas(options, topology, replicas);
  std::vector<model::Pooling> poolings;
  for (const auto& entry : metadata.tasks) poolings.push_back(entry.task.pooling);
  for (int32_t i = 0; i < replicas; ++i) {
    TILEWISE_ASSIGN_OR_RETURN(
        auto team,
        runtime::Team::create(cores, cpus.empty() ? std::span<const int32_t>() : cpus[i]));
    TILEWISE_ASSIGN_OR_RETURN(
        runtime::Replica replica,
        runtime::Replica::create(state->weights, state->kernels, poolings, std::move(team)));
    state->workers.push_back(Worker(metadata, tokenizer, std::move(replica)));
  }

  State* shared = state.get();
  auto engine = std::shared_ptr<Engine>(new Engine(std::move(state)));
  try {
    for (int32_t i = 0; i < replicas; ++i) {
      const int32_t cpu = cpus.empty() ? -1 : cpus[i].front();
      shared->threads.emplace_back([shared, i, cpu] { shared->serve(i, cpu); });
    }
  } catch (const std::system_error& error) {
    return unavailable_machine({.what = "cannot start the threads of the replicas",
                                .where = "--replicas " + std::to_string(replicas),
                                .found = error.what(),
                                .remedy = "Use fewer replicas, or raise the limit of threads"});
  }
  return engine;
}

const artifact::Artifact& Engine::artifact() const { return *state_->artifact; }
const artifact::Metadata& Engine::metadata() const { return state_->artifact->metadata(); }
const kernels::KernelSet& Engine::kernels() const { return *state_->kernels.backbone; }
const kernels::Int8KernelSet* Engine::int8_kernels() const { return state_->kernels.int8; }
std::string Engine::isa() const { return state_->kernels.isa(); }
int32_t Engine::replicas() const { return static_cast<int32_t>(state_->workers.size()); }
int32_t Engine::cores_per_replica() const { return state_->cores_per_replica; }

Result<TaskSet> Engine::find_tasks(const std::string& names) const {
  const auto& entries = metadata().tasks;
  TaskSet tasks;
  std::istringstream list(names);
  for (std::string name; std::getline(list, name, ',');) {
    const auto found = std::find_if(entries.begin(), entries.end(),
                                    [&](const auto& entry) { return entry.task.name == name; });
    if (found == entries.end()) {
      return not_found({.what = "the model has no such task",
                        .where = "--task " + names,
                        .expected = "one of: " + task_names(metadata()),
                        .found = name,
                        .remedy = "Run 'tilewise inspect' to see the tasks of a model"});
    }
    const auto index = static_cast<int32_t>(found - entries.begin());
    if (std::find(tasks.begin(), tasks.end(), index) == tasks.end()) tasks.push_back(index);
  }
  if (tasks.empty()) {
    return invalid_argument({.what = "no task is named",
                             .expected = "one of: " + task_names(metadata()),
                             .remedy = "Name one with --task"});
  }
  for (const int32_t index : tasks) {
    const model::Task& first = entries[tasks.front()].task;
    const model::Task& other = entries[index].task;
    if (encode_alike(first, other)) continue;
    return invalid_argument(
        {.what = "these tasks cannot share one pass: they read their input differently",
         .where = "--task " + names,
         .expected = "the same input kind, template, max_tokens and truncation",
         .found = first.name + " and " + other.name,
         .remedy = "Run them one after the other"});
  }
  return tasks;
}

std::future<void> Engine::submit(std::function<void(Worker&)> job) {
  Job task(std::move(job));
  std::future<void> done = task.get_future();
  {
    const std::lock_guard lock(state_->mutex);
    state_->jobs.push_back(std::move(task));
  }
  state_->changed.notify_one();
  return done;
}

std::vector<Outcome> Engine::predict(std::span<const model::Input> inputs, const TaskSet& tasks,
                                     const PredictOptions& options) {
  std::vector<const model::Input*> pointers;
  pointers.reserve(inputs.size());
  for (const model::Input& input : inputs) pointers.push_back(&input);

  // Small enough shares that the replicas end together, large enough that a pass is full.
  constexpr size_t kLargestShare = 64;
  const size_t fair = (inputs.size() + replicas() - 1) / replicas();
  const size_t share = std::clamp<size_t>(fair, 1, kLargestShare);

  std::vector<Outcome> outcomes(inputs.size());
  std::vector<std::future<void>> pending;
  for (size_t first = 0; first < inputs.size(); first += share) {
    const size_t count = std::min(share, inputs.size() - first);
    pending.push_back(submit([&, first, count](Worker& worker) {
      std::vector<Outcome> part;
      worker.predict(std::span(pointers).subspan(first, count), tasks, options, part);
      std::move(part.begin(), part.end(), outcomes.begin() + static_cast<std::ptrdiff_t>(first));
    }));
  }
  for (std::future<void>& done : pending) done.wait();
  return outcomes;
}

}  // namespace tilewise::engine
