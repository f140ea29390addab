#include "runtime/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace tilewise::runtime {
namespace {

// Jobs of other models that a pass may overtake on its way to more works of its own.
constexpr int kMostSkipped = 64;

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double seconds_of(Time time) { return seconds_of(time.time_since_epoch()); }

Duration to_duration(double seconds) {
  constexpr double kMost = 3600;
  return std::chrono::duration_cast<Duration>(
      std::chrono::duration<double>(std::clamp(seconds, 0.0, kMost)));
}

PassShape with(PassShape shape, int32_t tokens) {
  shape.add(tokens);
  return shape;
}

}  // namespace

Schedule::Schedule(const BatcherOptions& options)
    : options_(options),
      longest_pass_(seconds_of(options.longest_pass)),
      reply_margin_(seconds_of(options.reply_margin)),
      queues_{Queue(1 / (options.replicas * (1 - options.bulk_share))),
              Queue(1 / (options.replicas * (1 - options.bulk_share)))},
      replicas_(static_cast<size_t>(options.replicas)) {}

Schedule::Demand Schedule::demand_of(const Job& job) const {
  const PassTime& time = job.lane->time;
  Demand demand{.fixed = time.fixed()};
  const auto works = job.works.subspan(static_cast<size_t>(job.taken));
  for (const Work& work : works) {
    const double seconds = time.of_sequence(work.tokens);
    demand.work += seconds;
    demand.longest = std::max(demand.longest, seconds);
  }
  const double one = demand.work / static_cast<double>(works.size());
  // So many fit into a full pass.
  const double fit = one > 0 ? std::floor((longest_pass_ - demand.fixed) / one) : 1e9;
  demand.one = one + demand.fixed / std::max(1.0, fit);
  demand.cost = demand.one * static_cast<double>(works.size());
  return demand;
}

Schedule::Running Schedule::running(double now) const {
  Running result{.first_free = std::numeric_limits<double>::infinity()};
  for (const Replica& replica : replicas_) {
    const double rest = replica.is_running ? std::max(0.0, replica.end - now) : 0;
    result.first_free = std::min(result.first_free, rest);
    result.all += rest;
  }
  return result;
}

/// The time that bulk work will take while `busy` seconds of other passes are run.
double Schedule::bulk_in_front(double busy) const {
  const Queue& bulk = queue_of(Priority::bulk);
  const double due = bulk_due_ + options_.bulk_share * busy;
  if (bulk.jobs.is_empty() || due <= 0) return 0;
  const double pass = std::min(longest_pass_, bulk.jobs.seconds());
  return std::min(bulk.jobs.seconds(), (due + pass) / (1 - options_.bulk_share));
}

double Schedule::lateness(Priority priority, Time deadline, const Demand& demand, const Lane* lane,
                          double now) const {
  const double end = seconds_of(deadline) - reply_margin_;
  const Queue& queue = queue_of(priority);
  const bool is_bulk = priority == Priority::bulk;
  const Running run = running(now);
  const double least = demand.fixed + demand.longest;

  // 1. In turn, after what comes before it.
  const DeadlineQueue::Gap gap = queue.jobs.gap_at(deadline);
  double busy = run.all;
  if (is_bulk) {
    busy += queue_of(Priority::interactive).jobs.seconds();
  }
  const bool is_new_lane = lane != nullptr && lane->waiting_jobs[0] + lane->waiting_jobs[1] == 0;
  const int32_t lanes = lanes_ + (is_new_lane ? 1 : 0);
  if (lanes > 1) busy += demand.fixed * (lanes - 1);
  const double before = busy + gap.before + std::max(0.0, demand.cost - demand.one);
  const double in_front = before + (is_bulk ? 0 : bulk_in_front(before));
  const double start = std::max(run.first_free, in_front / options_.replicas);
  // Where others wait, it must begin early enough for a pass that is worth its fixed cost.
  const double room =
      queue.count == 0 ? least : std::max(least, std::min(longest_pass_, (end - now) / 2));
  double late = now + start + room - end;
  if (std::isfinite(gap.slack)) {
    const double all = busy + demand.cost;
    const double stretch = 1 / (options_.replicas * (1 - options_.bulk_share));
    late =
        std::max(late, now + (all + (is_bulk ? 0 : bulk_in_front(before))) * stretch - gap.slack);
  }
  if (late <= 0) return late;

  // 2. Together with everything that waits, in one pass.
  const bool is_alone =
      lane == nullptr || lane->waiting_jobs[static_cast<size_t>(priority)] == queue.count;
  const bool is_next = !is_bulk || queue_of(Priority::interactive).jobs.is_empty();
  const double together = demand.fixed + queue.work_seconds + demand.work;
  if (is_alone && is_next && together <= longest_pass_) {
    double earliest = end;
    if (queue.jobs.front() != nullptr) {
      earliest = std::min(end, seconds_of(queue.jobs.front()->deadline) - reply_margin_);
    }
    const double bulk = is_bulk ? 0 : bulk_in_front(run.first_free);
    late = std::min(late, now + run.first_free + bulk + together - earliest);
  }
  return late;
}

/// Whether an idle server could not do it in time either.
bool Schedule::is_hopeless(const Demand& demand, double available) const {
  if (demand.fixed + demand.work <= std::min(longest_pass_, available)) return false;
  return (demand.cost - demand.one) / options_.replicas + demand.fixed + demand.longest > available;
}

std::optional<Duration> Schedule::submit(Job& job, Time now) {
  job.taken = 0;
  const Demand demand = demand_of(job);
  const double time = seconds_of(now);
  if (is_hopeless(demand, seconds_of(job.deadline) - reply_margin_ - time)) return Duration::zero();
  const double late = lateness(job.priority, job.deadline, demand, job.lane, time);
  const bool is_full = sequences_ + static_cast<int64_t>(job.works.size()) > options_.most_waiting;
  if (late > 0 || is_full) {
    const double seconds = is_full ? std::max(late, backlog(now).seconds / 2) : late;
    return std::max(to_duration(seconds), Duration(1));
  }
  job.end = Job::End::answered;
  job.submitted = job.started = now;
  job.unfinished = static_cast<int32_t>(job.works.size());
  enter(job, demand);
  return std::nullopt;
}

std::optional<Duration> Schedule::refuses(Priority priority, Time deadline, Time now) const {
  if (deadline - now <= options_.reply_margin) return Duration::zero();
  const double late = lateness(priority, deadline, {}, nullptr, seconds_of(now));
  if (late > 0 || sequences_ >= options_.most_waiting) {
    return std::max(to_duration(late), Duration(1));
  }
  return std::nullopt;
}

void Schedule::enter(Job& job, const Demand& demand) {
  Queue& queue = queue_of(job.priority);
  for (Work& work : job.works) {
    work.job = &job;
    tokens_ += work.tokens;
  }
  sequences_ += static_cast<int64_t>(job.works.size());
  job.predicted_seconds = demand.cost;
  job.work_seconds = demand.work;
  queue.jobs.insert(job, seconds_of(job.deadline) - reply_margin_ - demand.fixed - demand.longest);
  ++queue.count;
  queue.work_seconds += demand.work;
  if (job.lane->waiting_jobs[0] + job.lane->waiting_jobs[1] == 0) ++lanes_;
  ++job.lane->waiting_jobs[static_cast<size_t>(job.priority)];
}

/// Takes out what still waits of the job.
void Schedule::leave(Job& job) {
  Queue& queue = queue_of(job.priority);
  const auto works = job.works.subspan(static_cast<size_t>(job.taken));
  for (const Work& work : works) tokens_ -= work.tokens;
  sequences_ -= static_cast<int64_t>(works.size());
  job.unfinished -= static_cast<int32_t>(works.size());
  job.taken = static_cast<int32_t>(job.works.size());
  queue.jobs.erase(job);
  --queue.count;
  // Sums of differences never come back to zero by themselves.
  queue.work_seconds = queue.count == 0 ? 0 : queue.work_seconds - job.work_seconds;
  --job.lane->waiting_jobs[static_cast<size_t>(job.priority)];
  if (job.lane->waiting_jobs[0] + job.lane->waiting_jobs[1] == 0) --lanes_;
}

bool Schedule::cancel(Job& job) {
  job.end = Job::End::cancelled;
  if (job.is_waiting) leave(job);
  return job.unfinished == 0;
}

void Schedule::drop_hopeless(Queue& queue, Time now, Pass& pass) {
  while (Job* job = queue.jobs.front()) {
    const double seconds =
        job->lane->time.seconds(with({}, job->works[static_cast<size_t>(job->taken)].tokens));
    if (seconds_of(now) + seconds <= seconds_of(job->deadline)) return;
    leave(*job);
    job->end = Job::End::expired;
    if (job->unfinished == 0) pass.ended.push_back(job);
  }
}

/// The queue whose turn it is, and how long its pass may be.
Schedule::Queue* Schedule::choose(double now, double& most) {
  Queue& interactive = queue_of(Priority::interactive);
  Queue& bulk = queue_of(Priority::bulk);
  most = longest_pass_;
  if (interactive.jobs.is_empty()) return bulk.jobs.is_empty() ? nullptr : &bulk;
  if (bulk.jobs.is_empty() || bulk_due_ <= 0) return &interactive;
  // Those that were admitted before the bulk work came are still to be in time.
  const double room =
      (interactive.jobs.slack() - now) * options_.replicas * (1 - options_.bulk_share) -
      running(now).all;
  const Job& first = *bulk.jobs.front();
  const double least =
      first.lane->time.seconds(with({}, first.works[static_cast<size_t>(first.taken)].tokens));
  if (room < least) return &interactive;
  most = std::min(most, room);
  return &bulk;
}

bool Schedule::take(int32_t replica, Time now, Pass& pass) {
  Replica& self = replicas_[static_cast<size_t>(replica)];
  pass.lane = nullptr;
  pass.works.clear();
  pass.ended.clear();
  pass.shape = {};
  pass.predicted_seconds = 0;
  pass.started = now;
  self.is_idle = false;
  for (Queue& queue : queues_) drop_hopeless(queue, now, pass);
  double most = 0;
  if (Queue* queue = choose(seconds_of(now), most)) {
    fill(*queue, seconds_of(now), most, pass);
    self.is_running = true;
    self.end = seconds_of(now) + pass.predicted_seconds;
    const bool is_bulk = queue == &queue_of(Priority::bulk);
    bulk_due_ += pass.predicted_seconds * (options_.bulk_share - (is_bulk ? 1 : 0));
    bulk_due_ = std::max(bulk_due_, -longest_pass_);
    if (queue_of(Priority::bulk).jobs.is_empty()) bulk_due_ = std::min(bulk_due_, 0.0);
  }
  self.is_idle = pass.works.empty();
  return !pass.works.empty() || !pass.ended.empty();
}

void Schedule::fill(Queue& queue, double now, double most, Pass& pass) {
  Job* job = queue.jobs.front();
  pass.lane = job->lane;
  most = std::min(most, seconds_of(job->deadline) - reply_margin_ - now);
  // What waits is shared with the replicas that have nothing to do.
  int takers = 1;
  for (const Replica& replica : replicas_) takers += replica.is_idle ? 1 : 0;
  const double share = takers == 1 ? std::numeric_limits<double>::infinity()
                                   : (queues_[0].work_seconds + queues_[1].work_seconds) / takers;
  double skipped = 0;
  int skips = 0;
  while (job != nullptr && skips < kMostSkipped) {
    Job* next = job->place.next;
    if (job->lane != pass.lane) {
      // Works behind it go first only if it is still in time.
      ++skips;
      skipped += job->predicted_seconds;
      most = std::min(most, job->place.latest - skipped / options_.replicas - now);
    } else {
      const int32_t count = take_works(*job, most, share, pass);
      if (count < static_cast<int32_t>(job->works.size())) break;
    }
    job = next;
  }
}

/// Moves works of the job into the pass as long as they fit; returns how many it now has out.
int32_t Schedule::take_works(Job& job, double most, double share, Pass& pass) {
  const PassTime& time = pass.lane->time;
  const int32_t first = job.taken;
  const auto size = static_cast<int32_t>(job.works.size());
  int32_t last = first;
  double work_seconds = time.seconds(pass.shape) - time.fixed();
  for (; last < size; ++last) {
    Work& work = job.works[static_cast<size_t>(last)];
    const PassShape shape = with(pass.shape, work.tokens);
    const double seconds = time.seconds(shape);
    if (!pass.works.empty()) {
      if (seconds > most) break;
      if (work_seconds + (seconds - pass.predicted_seconds) / 2 > share) break;
    }
    work_seconds = seconds - time.fixed();
    pass.shape = shape;
    pass.predicted_seconds = seconds;
    pass.works.push_back(&work);
    tokens_ -= work.tokens;
  }
  if (last == first) return last;
  if (first == 0) job.started = pass.started;
  Queue& queue = queue_of(job.priority);
  sequences_ -= last - first;
  job.taken = last;
  if (last == size) {
    leave(job);
    return last;
  }
  const double left = static_cast<double>(size - last) / (size - first);
  queue.work_seconds -= job.work_seconds * (1 - left);
  job.work_seconds *= left;
  queue.jobs.change(job, job.predicted_seconds * left);
  return last;
}

void Schedule::finish(int32_t replica, Time now, Pass& pass) {
  replicas_[static_cast<size_t>(replica)].is_running = false;
  pass.ended.clear();
  if (pass.works.empty()) return;
  pass.lane->time.correct(pass.shape, seconds_between(pass.started, now));
  for (Work* work : pass.works) {
    if (--work->job->unfinished == 0) pass.ended.push_back(work->job);
  }
}

Backlog Schedule::backlog(Time now) const {
  const double seconds =
      running(seconds_of(now)).all + queues_[0].jobs.seconds() + queues_[1].jobs.seconds();
  return {.sequences = sequences_, .tokens = tokens_, .seconds = seconds / options_.replicas};
}

}  // namespace tilewise::runtime
