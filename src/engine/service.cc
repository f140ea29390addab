#include "engine/service.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

#include "engine/encode.h"
#include "engine/placement.h"
#include "engine/replica_loop.h"
#include "engine/response_cache.h"
#include "engine/served_model.h"
#include "engine/warm_up.h"

namespace tilewise::engine {

ServedModel::ServedModel(std::unique_ptr<State> state) : state_(std::move(state)) {}
ServedModel::~ServedModel() = default;
const LoadedModel& ServedModel::loaded() const { return *state_->loaded; }

ServedModel::State::State() {
  for (Lane* lane : {&adaptive, &whole, &full}) lane->model = this;
  full.full_depth = true;
}

ServedModel::State::Lane& ServedModel::State::lane(const TaskSet& tasks, bool full_depth) {
  const auto has_exits = [&](int32_t task) {
    return !loaded->metadata().tasks[task].task.exits.empty();
  };
  if (full_depth && std::ranges::any_of(tasks, has_exits)) return full;
  return std::ranges::all_of(tasks, has_exits) ? adaptive : whole;
}

void ServedModel::State::set_time(const runtime::PassTime& time) {
  fitted = time;
  for (Lane* lane : {&adaptive, &whole, &full}) lane->time = time;
}

struct Service::State {
  State(const ServiceOptions& its_options, const Clock& its_clock, Placement its_placement)
      : options(its_options),
        clock(its_clock),
        placement(std::move(its_placement)),
        batcher(clock, with_replicas(options.batcher, placement.replicas)) {
    if (options.cache_bytes > 0) cache = std::make_unique<ResponseCache>(options.cache_bytes);
  }

  static runtime::BatcherOptions with_replicas(runtime::BatcherOptions options, int32_t replicas) {
    options.replicas = replicas;
    return options;
  }

  const ServiceOptions options;
  const Clock& clock;
  const Placement placement;
  std::optional<Isa> isa;
  runtime::Batcher batcher;
  std::unique_ptr<ResponseCache> cache;
  std::vector<std::unique_ptr<ReplicaLoop>> loops;  // one a replica
  std::vector<std::thread> threads;

  std::mutex load_mutex;  // one load at a time, so that each sees what it can share
  std::vector<std::weak_ptr<ServedModel>> models;
  uint64_t last_id = 0;

  std::vector<std::shared_ptr<ServedModel>> alive();
  Status prepare_replicas(ServedModel::State& model, bool is_measured);
  void prepare_outputs(Request& request) const;
  void choose_works(Request& request) const;
  Status refusal(Request& request, Duration wait) const;
};

// ---------------------------------------------------------------------------------------------------------------------
// Start and end

Service::Service(std::unique_ptr<State> state) : state_(std::move(state)) {}

Service::~Service() {
  state_->batcher.close();
  for (std::thread& thread : state_->threads) thread.join();
}

Result<std::unique_ptr<Service>> Service::start(const ServiceOptions& options, const Clock& clock) {
  TILEWISE_ASSIGN_OR_RETURN(const std::optional<Isa> isa, forced_isa(options.replicas));
  TILEWISE_ASSIGN_OR_RETURN(Placement placement, place_replicas(options.replicas));
  auto state = std::make_unique<State>(options, clock, std::move(placement));
  state->isa = isa;
  const ReplicaLoop::Surroundings around{clock, state->batcher, state->cache.get(),
                                         options.observer};
  for (int32_t i = 0; i < state->placement.replicas; ++i) {
    TILEWISE_ASSIGN_OR_RETURN(
        std::shared_ptr<runtime::Team> team,
        runtime::Team::create(state->placement.cores_per_replica, state->placement.cpus_of(i)));
    state->loops.push_back(std::make_unique<ReplicaLoop>(i, around, std::move(team)));
  }
  State* const shared = state.get();
  std::unique_ptr<Service> service(new Service(std::move(state)));
  try {
    for (int32_t i = 0; i < shared->placement.replicas; ++i) {
      shared->threads.emplace_back([shared, i] {
        shared->placement.pin(i);
        shared->loops[i]->serve();
      });
    }
  } catch (const std::system_error& error) {
    return no_threads(shared->placement, error.what());
  }
  return service;
}

// ---------------------------------------------------------------------------------------------------------------------
// Models

/// Those that are still in use, the oldest first.
std::vector<std::shared_ptr<ServedModel>> Service::State::alive() {
  std::vector<std::shared_ptr<ServedModel>> result;
  std::erase_if(models, [&](const std::weak_ptr<ServedModel>& model) {
    auto held = model.lock();
    if (held == nullptr) return true;
    result.push_back(std::move(held));
    return false;
  });
  return result;
}

namespace {

/// Whether their passes take equally long.
bool is_equally_fast(const LoadedModel& a, const LoadedModel& b) {
  return a.metadata().spec == b.metadata().spec &&
         a.metadata().precision == b.metadata().precision &&
         a.metadata().linears == b.metadata().linears &&
         a.kernels().backbone == b.kernels().backbone && a.kernels().int8 == b.kernels().int8;
}

}  // namespace

/// A worker for each replica, made and warmed on its core, all at the same time.
Status Service::State::prepare_replicas(ServedModel::State& model, bool is_measured) {
  const auto replicas = static_cast<size_t>(placement.replicas);
  model.workers.resize(replicas);
  std::vector<Status> failures(replicas);
  std::vector<runtime::PassSample> samples;
  const auto prepare = [&](int32_t i) {
    placement.pin(i);
    ReplicaLoop& loop = *loops[i];
    auto worker = model.loaded->create_worker(loop.team());
    if (!worker.ok()) {
      failures[i] = worker.status();
      return;
    }
    model.workers[i] = std::make_unique<Worker>(*std::move(worker));
    warm_up(*model.loaded, *model.workers[i], loop.turn(), clock);
    if (i == 0 && is_measured) {
      samples = measure_passes(*model.loaded, *model.workers[i], loop.turn(), clock);
    }
  };
  Status failure;
  std::vector<std::thread> helpers;
  try {
    for (int32_t i = 0; i < placement.replicas; ++i) helpers.emplace_back(prepare, i);
  } catch (const std::system_error& error) {
    failure = no_threads(placement, error.what());
  }
  for (std::thread& helper : helpers) helper.join();
  TILEWISE_RETURN_IF_ERROR(failure);
  for (const Status& status : failures) TILEWISE_RETURN_IF_ERROR(status);
  if (is_measured) model.fitted = runtime::PassTime::fit(samples);
  return {};
}

Result<std::shared_ptr<ServedModel>> Service::load(const std::string& path) {
  const std::lock_guard lock(state_->load_mutex);
  const auto others = state_->alive();
  std::vector<std::shared_ptr<const LoadedModel>> relatives;
  for (const auto& other : others) relatives.push_back(other->state().loaded);

  auto model = std::make_unique<ServedModel::State>();
  TILEWISE_ASSIGN_OR_RETURN(model->loaded,
                            LoadedModel::open(path, state_->isa, relatives, /*verify=*/true));
  model->id = ++state_->last_id;
  const auto twin = std::find_if(others.begin(), others.end(), [&](const auto& other) {
    return is_equally_fast(other->loaded(), *model->loaded);
  });
  if (twin != others.end()) model->fitted = (*twin)->state().fitted;
  TILEWISE_RETURN_IF_ERROR(state_->prepare_replicas(*model, twin == others.end()));
  model->set_time(model->fitted);
  auto served = std::make_shared<ServedModel>(std::move(model));
  state_->models.push_back(served);
  return served;
}

// ---------------------------------------------------------------------------------------------------------------------
// Requests

void Service::State::prepare_outputs(Request& request) const {
  Request::Own& own = request.own;
  const auto sequences = static_cast<size_t>(own.packed.sequences());
  size_t floats = 0;
  own.starts.clear();
  for (const int32_t task : request.tasks) {
    own.starts.push_back(floats);
    floats += sequences * static_cast<size_t>(request.model->loaded().output_width(task));
  }
  own.outputs.resize(floats);
}

/// The sequences that are to be computed: those that the cache does not have.
void Service::State::choose_works(Request& request) const {
  Request::Own& own = request.own;
  own.works.clear();
  own.sequences.clear();
  const ServedModel::State& model = request.model->state();
  const auto is_cached = [&](int32_t sequence) {
    for (size_t t = 0; t < request.tasks.size(); ++t) {
      const int32_t task = request.tasks[t];
      const auto width = static_cast<size_t>(request.model->loaded().output_width(task));
      const auto values = std::span(own.outputs).subspan(own.starts[t] + sequence * width, width);
      const CacheKey key = {.model = model.id,
                            .task = task,
                            .ignores_exits = model.ignores_exits(task, request.full_depth)};
      if (!cache->find(sequence_key(key, own.packed, sequence), values)) return false;
    }
    return true;
  };
  for (int32_t first = 0; first < own.packed.sequences(); first += own.orders) {
    const auto length = [&](int32_t s) {
      return own.packed.offsets[s + 1] - own.packed.offsets[s];
    };
    if (length(first) == 0) continue;  // a bad input that costs only itself
    bool is_hit = cache != nullptr;
    for (int32_t s = first; s < first + own.orders; ++s) {
      if (cache != nullptr && is_cached(s)) continue;
      is_hit = false;
      own.works.push_back({.tokens = length(s)});
      own.sequences.push_back(s);
    }
    if (is_hit) ++request.cached_inputs;
  }
  if (cache != nullptr) {
    cache->count(request.cached_inputs,
                 static_cast<int64_t>(request.size()) - request.cached_inputs);
  }
}

namespace {

Status over_already() {
  return deadline_exceeded({.what = "The deadline was over before the request was read",
                            .remedy = "Allow more time, or ask less often"});
}

}  // namespace

/// Why the batcher did not take it.
Status Service::State::refusal(Request& request, Duration wait) const {
  const auto milliseconds = [](double seconds) {
    return std::to_string(std::max<int64_t>(0, static_cast<int64_t>(seconds * 1e3 + 0.5))) + " ms";
  };
  if (wait == Duration::zero()) {
    runtime::PassShape shape;
    for (const runtime::Work& work : request.own.works) shape.add(work.tokens);
    return deadline_exceeded(
        {.what = "The deadline is too short for this request, even when nothing else runs",
         .expected = "up to about " + milliseconds(request.model->state().fitted.seconds(shape)) +
                     " as predicted, and what it takes to answer",
         .found = milliseconds(seconds_between(clock.now(), request.deadline)),
         .remedy = "Allow more time, or send fewer or shorter inputs at once"});
  }
  request.retry_after_seconds = std::chrono::duration<double>(wait).count();
  return overloaded(
      {.what = "The request cannot be answered before its deadline: others are first",
       .expected = "a place in the queue in about " + milliseconds(request.retry_after_seconds),
       .remedy = "Try again later, allow more time, or add replicas"});
}

void Service::submit(Request& request) {
  State& s = *state_;
  const Time start = s.clock.now();
  request.forget_answer();
  Request::Own& own = request.own;
  own.job = {};
  own.job.request = &request;

  request.status = request.deadline > start ? encode(request) : over_already();
  const Time encoded = s.clock.now();
  request.times.tokenize = seconds_between(start, encoded);
  if (!request.status.ok()) return request.done(request);

  s.prepare_outputs(request);
  s.choose_works(request);
  if (own.works.empty()) return complete(request, encoded);
  own.job.lane = &request.model->state().lane(request.tasks, request.full_depth);
  own.job.priority = request.priority;
  own.job.deadline = request.deadline;
  own.job.works = own.works;
  // Once it is admitted it may be answered before submit() returns.
  const std::optional<Duration> refused = s.batcher.submit(own.job);
  if (!refused) return;
  request.status = s.refusal(request, *refused);
  request.done(request);
}

void Service::cancel(Request& request) {
  if (state_->batcher.cancel(request.own.job)) complete(request, state_->clock.now());
}

std::optional<Duration> Service::refuses(runtime::Priority priority, Time deadline) const {
  return state_->batcher.refuses(priority, deadline);
}

int32_t Service::replicas() const { return state_->placement.replicas; }
int32_t Service::cores_per_replica() const { return state_->placement.cores_per_replica; }
runtime::Backlog Service::backlog() const { return state_->batcher.backlog(); }

std::vector<double> Service::busy_seconds() const {
  std::vector<double> seconds;
  for (const auto& loop : state_->loops) seconds.push_back(loop->busy_seconds());
  return seconds;
}

CacheCounts Service::cache() const {
  return state_->cache == nullptr ? CacheCounts{} : state_->cache->counts();
}

}  // namespace tilewise::engine
