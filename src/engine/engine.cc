#include "engine/engine.h"

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/placement.h"
#include "runtime/team.h"

namespace tilewise::engine {
namespace {

using Job = std::packaged_task<void(Worker&)>;

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
  std::shared_ptr<const LoadedModel> model;
  Placement placement;
  std::vector<Worker> workers;
  std::vector<std::thread> threads;

  std::mutex mutex;
  std::condition_variable changed;
  std::deque<Job> jobs;
  bool closing = false;

  /// What the thread of replica i does.
  void serve(int32_t i) {
    placement.pin(i);
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
  TILEWISE_ASSIGN_OR_RETURN(const std::optional<Isa> isa, forced_isa(options));
  TILEWISE_ASSIGN_OR_RETURN(state->model, LoadedModel::open(path, isa));
  TILEWISE_ASSIGN_OR_RETURN(state->placement, place_replicas(options));
  const Placement& placement = state->placement;
  for (int32_t i = 0; i < placement.replicas; ++i) {
    TILEWISE_ASSIGN_OR_RETURN(
        auto team, runtime::Team::create(placement.cores_per_replica, placement.cpus_of(i)));
    TILEWISE_ASSIGN_OR_RETURN(Worker worker, state->model->create_worker(std::move(team)));
    state->workers.push_back(std::move(worker));
  }

  State* shared = state.get();
  auto engine = std::shared_ptr<Engine>(new Engine(std::move(state)));
  try {
    for (int32_t i = 0; i < placement.replicas; ++i) {
      shared->threads.emplace_back([shared, i] { shared->serve(i); });
    }
  } catch (const std::system_error& error) {
    return no_threads(placement, error.what());
  }
  return engine;
}

const artifact::Artifact& Engine::artifact() const { return state_->model->artifact(); }
const artifact::Metadata& Engine::metadata() const { return state_->model->metadata(); }
const kernels::KernelSet& Engine::kernels() const { return *state_->model->kernels().backbone; }
const kernels::Int8KernelSet* Engine::int8_kernels() const { return state_->model->kernels().int8; }
std::string Engine::isa() const { return state_->model->kernels().isa(); }
int32_t Engine::replicas() const { return static_cast<int32_t>(state_->workers.size()); }
int32_t Engine::cores_per_replica() const { return state_->placement.cores_per_replica; }

Result<TaskSet> Engine::find_tasks(const std::string& names) const {
  return state_->model->find_tasks(names);
}

bool Engine::has_exits(const TaskSet& tasks) const {
  return std::ranges::any_of(
      tasks, [&](int32_t index) { return !metadata().tasks[index].task.exits.empty(); });
}

Status Engine::check_tokens(const runtime::Batch& batch) const {
  const model::EncoderSpec& spec = metadata().spec;
  TILEWISE_RETURN_IF_ERROR(runtime::check_batch(spec, batch));
  if (spec.token_types > 0) return {};
  const auto other =
      std::find_if(batch.types.begin(), batch.types.end(), [](int32_t type) { return type != 0; });
  if (other == batch.types.end()) return {};
  return invalid_argument({.what = "The model has no token types",
                           .where = "token batch",
                           .expected = "0",
                           .found = std::to_string(*other),
                           .remedy = "Leave the token types out"});
}

size_t Engine::output_width(const TaskSet& tasks) const {
  size_t width = 0;
  for (const int32_t task : tasks) width += state_->model->output_width(task);
  return width;
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
