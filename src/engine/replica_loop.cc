#include "engine/replica_loop.h"

#include <algorithm>
#include <span>
#include <thread>
#include <utility>

namespace tilewise::engine {
namespace {

using runtime::Job;

Request& request_of(Job& job) { return *static_cast<Request::Own::Job&>(job).request; }

/// The sequence of its request that a work stands for.
int32_t sequence_of(const Request& request, const runtime::Work& work) {
  return request.own.sequences[&work - request.own.works.data()];
}

/// The mean of both orders, in place: what is read lies never before what is written.
void join_orders(Request& request) {
  const size_t inputs = request.size();
  for (size_t t = 0; t < request.tasks.size(); ++t) {
    const size_t width = request.model->loaded().output_width(request.tasks[t]);
    float* const values = &request.own.outputs[request.own.starts[t]];
    for (size_t i = 0; i < inputs; ++i) {
      const float* const first = values + 2 * i * width;
      for (size_t c = 0; c < width; ++c) {
        values[i * width + c] = (first[c] + first[width + c]) / 2;
      }
    }
  }
}

Status status_of(const Job& job) {
  switch (job.end) {
    case Job::End::answered:
      return {};
    case Job::End::expired:
      return deadline_exceeded({.what = "The deadline was over before the request had its turn",
                                .remedy = "Allow more time, or ask less often"});
    case Job::End::cancelled:
      return cancelled({.what = "The client no longer waits for the answer"});
  }
  return {};
}

}  // namespace

void complete(Request& request, Time now) {
  const Job& job = request.own.job;
  request.status = status_of(job);
  if (!job.works.empty()) {
    const bool has_run = request.status.ok() || job.started != job.submitted;
    request.times.queue = seconds_between(job.submitted, has_run ? job.started : now);
    request.times.compute = has_run ? seconds_between(job.started, now) : 0;
  }
  if (request.status.ok() && request.own.orders == 2) join_orders(request);
  request.done(request);
}

void ReplicaTurn::lock() {
  if (mutex_.try_lock()) return;
  is_wanted_.store(true);
  mutex_.lock();
  is_wanted_.store(false);
  is_wanted_.notify_all();
}

void ReplicaTurn::lock_politely() {
  is_wanted_.wait(true);
  mutex_.lock();
}

ReplicaLoop::ReplicaLoop(int32_t index, const Surroundings& around,
                         std::shared_ptr<runtime::Team> team)
    : index_(index), around_(around), team_(std::move(team)) {}

void ReplicaLoop::serve() {
  runtime::Pass pass;
  while (around_.batcher.take(index_, pass)) {
    run(pass);
    // The thread that reads and answers connections may live on this core: now it has something to
    // do, and while there is work this thread would not sleep until the scheduler's slice is over.
    std::this_thread::yield();
  }
}

void ReplicaLoop::run(runtime::Pass& pass) {
  hand_back(pass);
  if (pass.works.empty()) return;
  const auto& lane = static_cast<const ServedModel::State::Lane&>(*pass.lane);
  const ServedModel::State& model = *lane.model;
  gather(pass, *model.loaded);
  const Time start = around_.clock.now();
  int64_t token_layers = 0;
  {
    const std::lock_guard turn(turn_);
    token_layers = model.workers[index_]->run_tokens({ids_, types_, offsets_}, outputs_,
                                                     {.full_depth = lane.full_depth});
  }
  const double seconds = seconds_between(start, around_.clock.now());
  const int32_t layers = model.loaded->metadata().spec.layers;
  pass.depth = static_cast<double>(token_layers) / static_cast<double>(ids_.size() * layers);
  scatter(pass, lane);
  around_.batcher.finish(index_, pass);
  hand_back(pass);  // after this the model may be gone

  busy_seconds_.fetch_add(seconds, std::memory_order_relaxed);
  if (around_.observer == nullptr) return;
  around_.observer->on_pass({.replica = index_,
                             .sequences = static_cast<int32_t>(offsets_.size()) - 1,
                             .tokens = static_cast<int64_t>(ids_.size()),
                             .token_layers = token_layers,
                             .predicted_seconds = pass.predicted_seconds,
                             .seconds = seconds});
}

void ReplicaLoop::gather(const runtime::Pass& pass, const LoadedModel& model) {
  ids_.clear();
  types_.clear();
  offsets_.assign(1, 0);
  tasks_.clear();
  for (const runtime::Work* work : pass.works) {
    const Request& request = request_of(*work->job);
    const text::PackedTokens& packed = request.own.packed;
    const int32_t sequence = sequence_of(request, *work);
    const auto first = packed.offsets[sequence];
    const auto last = packed.offsets[sequence + 1];
    ids_.insert(ids_.end(), packed.ids.begin() + first, packed.ids.begin() + last);
    types_.insert(types_.end(), packed.types.begin() + first, packed.types.begin() + last);
    offsets_.push_back(static_cast<int32_t>(ids_.size()));
    for (const int32_t task : request.tasks) {
      if (std::find(tasks_.begin(), tasks_.end(), task) == tasks_.end()) tasks_.push_back(task);
    }
  }
  size_t floats = 0;
  for (const int32_t task : tasks_) floats += pass.works.size() * model.output_width(task);
  if (values_.size() < floats) values_.resize(floats);
  mark_wanted(pass);
  outputs_.clear();
  std::span<float> rest = values_;
  std::span<const uint8_t> wanted = wanted_;
  for (const int32_t task : tasks_) {
    const size_t count = pass.works.size() * model.output_width(task);
    outputs_.push_back({task, rest.first(count), wanted.first(pass.works.size())});
    rest = rest.subspan(count);
    wanted = wanted.subspan(pass.works.size());
  }
}

void ReplicaLoop::mark_wanted(const runtime::Pass& pass) {
  const size_t sequences = pass.works.size();
  wanted_.assign(tasks_.size() * sequences, 0);
  for (size_t w = 0; w < sequences; ++w) {
    for (const int32_t task : request_of(*pass.works[w]->job).tasks) {
      wanted_[static_cast<size_t>(slot_of(task)) * sequences + w] = 1;
    }
  }
}

int32_t ReplicaLoop::slot_of(int32_t task) const {
  return static_cast<int32_t>(std::find(tasks_.begin(), tasks_.end(), task) - tasks_.begin());
}

void ReplicaLoop::scatter(const runtime::Pass& pass, const ServedModel::State::Lane& lane) {
  const ServedModel::State& model = *lane.model;
  for (size_t w = 0; w < pass.works.size(); ++w) {
    Request& request = request_of(*pass.works[w]->job);
    const int32_t sequence = sequence_of(request, *pass.works[w]);
    for (size_t t = 0; t < request.tasks.size(); ++t) {
      const int32_t task = request.tasks[t];
      const size_t width = model.loaded->output_width(task);
      const auto values = outputs_[slot_of(task)].values.subspan(w * width, width);
      std::copy(values.begin(), values.end(),
                request.own.outputs.begin() +
                    static_cast<std::ptrdiff_t>(request.own.starts[t] + sequence * width));
      if (around_.cache != nullptr) {
        const CacheKey key = {.model = model.id,
                              .task = task,
                              .ignores_exits = model.ignores_exits(task, request.full_depth)};
        around_.cache->insert(sequence_key(key, request.own.packed, sequence), values);
      }
    }
  }
}

void ReplicaLoop::hand_back(runtime::Pass& pass) {
  if (pass.ended.empty()) return;
  const Time now = around_.clock.now();
  for (Job* job : pass.ended) {
    Request& request = request_of(*job);
    request.wake_later = around_.observer != nullptr;
    complete(request, now);
  }
  if (around_.observer != nullptr) around_.observer->on_handed_back();
}

}  // namespace tilewise::engine
