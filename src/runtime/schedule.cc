#include "runtime/schedule.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

namespace tilewise::runtime {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

// Jobs of other lanes that a pass may overtake on its way to more works of its own: a bound for the
// time under the batcher's lock.
constexpr int kMostSkipped = 64;

// Seconds over which the use of interactive work is averaged.
constexpr double kRecent = 1;

// Weights of the newest pass in averages over passes.
constexpr double kPackingWeight = 0.1;
constexpr double kTurnaroundWeight = 0.05;

double seconds_of(Duration duration) { return std::chrono::duration<double>(duration).count(); }
double seconds_of(Time time) { return seconds_of(time.time_since_epoch()); }

/// As the answer to a refused caller: a positive one.
Duration wait_of(double seconds) {
  constexpr double kMost = 3600;
  return std::max(Duration(1), std::chrono::duration_cast<Duration>(
                                   std::chrono::duration<double>(std::clamp(seconds, 0.0, kMost))));
}

PassShape with(PassShape shape, int32_t tokens) {
  shape.add(tokens);
  return shape;
}

std::span<Work> waiting_works(const Job& job) {
  return job.works.subspan(static_cast<size_t>(job.taken));
}

bool has_waiting(const Lane& lane) { return lane.waiting_jobs[0] + lane.waiting_jobs[1] > 0; }

}  // namespace

Schedule::Schedule(const BatcherOptions& options)
    : options_(options),
      longest_pass_(seconds_of(options.longest_pass)),
      reply_margin_(seconds_of(options.reply_margin)),
      queues_{Queue(Priority::interactive, 1 / (options.replicas * (1 - options.bulk_share))),
              Queue(Priority::bulk, 1 / (options.replicas * (1 - options.bulk_share)))},
      replicas_(static_cast<size_t>(options.replicas)) {}

// --- Admission ----------------------------------------------------------------------------------

/// A job that has so much time should be able to wait for one pass (that runs already, or of each
/// other lane), and then for its own.
double Schedule::room(double available, int32_t lanes) const {
  const double passes = 1 + std::max(1.0, static_cast<double>(lanes) / options_.replicas);
  return std::min(longest_pass_, available / passes);
}

Schedule::Demand Schedule::demand_of(const Job& job, double now, int32_t lanes) const {
  const PassTime& time = job.lane->time;
  Demand demand{.fixed = time.fixed() + turnaround_, .lanes = lanes};
  const std::span<Work> works = waiting_works(job);
  for (const Work& work : works) {
    const double seconds = time.of_sequence(work.tokens);
    demand.work += seconds;
    demand.longest = std::max(demand.longest, seconds);
  }
  demand.room = std::max(demand.fixed + demand.longest,
                         room(seconds_of(job.deadline) - reply_margin_ - now, lanes));
  const double one = demand.work / static_cast<double>(works.size());
  // So many share the fixed cost. The addend is for a quotient just under a whole number.
  const double sharing = one > 0 ? std::floor((demand.room - demand.fixed) / one + 1e-9) : kNever;
  demand.one = one + demand.fixed / std::max(1.0, sharing);
  demand.cost = demand.one * static_cast<double>(works.size());
  return demand;
}

Schedule::Running Schedule::running(double now) const {
  Running result{.first = kNever};
  for (const Replica& replica : replicas_) {
    const double rest = replica.is_running ? std::max(0.0, replica.end - now) : 0;
    result.first = std::min(result.first, rest);
    result.last = std::max(result.last, rest);
    result.sum += rest;
  }
  return result;
}

/// How many replicas bulk work has to itself, if interactive work goes on as it did.
double Schedule::bulk_rate(double now) const {
  const double interactive =
      interactive_seconds_ * std::exp((interactive_as_of_ - now) / kRecent) / kRecent;
  return std::max(options_.replicas * options_.bulk_share, options_.replicas - interactive);
}

/// The time that bulk work will take while the replicas are busy with other passes for so long.
double Schedule::bulk_meanwhile(double busy) const {
  const double waiting = queue_of(Priority::bulk).jobs.seconds();
  const double due = bulk_due_ + options_.bulk_share * busy;
  if (waiting <= 0 || due <= 0) return 0;
  // The last of its passes begins while a little is due, and may be a long one.
  const double last = std::min(longest_pass_, waiting);
  return std::min(waiting, (due + last) / (1 - options_.bulk_share));
}

/// By how much a job of this demand, or one that was admitted already, would be late; not positive
/// if it can be admitted. `lane`: null for any.
double Schedule::lateness(Priority priority, Time deadline, const Demand& demand, const Lane* lane,
                          double now) const {
  const Queue& queue = queue_of(priority);
  const Running rest = running(now);
  double late = lateness_in_turn(queue, deadline, demand, rest, now);
  const bool is_alone = lane == nullptr || lane->waiting_jobs[index_of(priority)] == queue.count;
  const bool is_next =
      priority == Priority::interactive || queue_of(Priority::interactive).jobs.is_empty();
  if (late > 0 && is_alone && is_next) {
    late = std::min(late, lateness_together(queue, deadline, demand, rest, now));
  }
  return late;
}

/// If it waits for all that is to be done before its deadline.
double Schedule::lateness_in_turn(const Queue& queue, Time deadline, const Demand& demand,
                                  const Running& rest, double now) const {
  const bool is_bulk = queue.priority == Priority::bulk;
  const DeadlineQueue::Gap gap = queue.jobs.gap_at(deadline);
  double busy = rest.sum;
  if (is_bulk) busy += queue_of(Priority::interactive).jobs.seconds();
  // Every other lane has a pass of its own, in which later works overtake this job: up to a whole
  // pass of them, half a pass on average.
  busy += (demand.lanes - 1) * 0.5 * (demand.fixed + demand.room);

  const double before = busy + queue.packing * gap.before;
  const double bulk = is_bulk ? 0 : bulk_meanwhile(before);
  const double rate = is_bulk ? bulk_rate(now) : options_.replicas;
  const double start = (before + bulk) / rate;
  const double own = (demand.cost - demand.one) / rate + demand.fixed + demand.longest;
  const double end = start + (queue.count == 0 ? own : std::max(own, demand.room));
  const double late = now + end + reply_margin_ - seconds_of(deadline);
  if (gap.slack == kNever) return late;

  // Those after it are to be in time as well.
  const double more = busy + bulk + demand.cost + (queue.packing - 1) * queue.jobs.seconds();
  return std::max(late, now + more * queue.jobs.stretch() - gap.slack);
}

/// If it rides in one pass with all that waits.
double Schedule::lateness_together(const Queue& queue, Time deadline, const Demand& demand,
                                   const Running& rest, double now) const {
  const double pass = demand.fixed + queue.work_seconds + demand.work;
  if (pass > longest_pass_) return kNever;
  const Job* front = queue.jobs.front();
  const Time earliest = front == nullptr ? deadline : std::min(deadline, front->deadline);
  const double bulk = queue.priority == Priority::bulk ? 0 : bulk_meanwhile(rest.first);
  return now + rest.first + bulk + pass + reply_margin_ - seconds_of(earliest);
}

/// Whether a server that does nothing else could do it in time.
bool Schedule::is_ever_possible(const Demand& demand, double available) const {
  if (demand.fixed + demand.work <= std::min(longest_pass_, available)) return true;
  const double passes = (demand.cost - demand.one) / options_.replicas;
  return passes + demand.fixed + demand.longest <= available;
}

std::optional<Duration> Schedule::submit(Job& job, Time now) {
  job.taken = 0;
  const double time = seconds_of(now);
  const int32_t lanes = lanes_ + (has_waiting(*job.lane) ? 0 : 1);
  const Demand demand = demand_of(job, time, lanes);
  const double late = lateness(job.priority, job.deadline, demand, job.lane, time);
  const bool is_full = sequences_ + std::ssize(job.works) > options_.most_waiting;
  if (late > 0 || is_full) {
    const double available = seconds_of(job.deadline) - reply_margin_ - time;
    const Demand alone = lanes == 1 ? demand : demand_of(job, time, 1);
    if (!is_ever_possible(alone, available) || std::ssize(job.works) > options_.most_waiting) {
      return Duration::zero();
    }
    return wait_of(is_full ? std::max(late, backlog(now).seconds / 2) : late);
  }
  job.end = Job::End::answered;
  job.submitted = job.started = now;
  job.unfinished = static_cast<int32_t>(job.works.size());
  enter(job, demand);
  return std::nullopt;
}

std::optional<Duration> Schedule::refuses(Priority priority, Time deadline, Time now) const {
  const double available = seconds_of(deadline) - reply_margin_ - seconds_of(now);
  if (available <= 0) return Duration::zero();
  Demand least{.lanes = std::max(1, lanes_)};
  least.room = room(available, least.lanes);
  const double late = lateness(priority, deadline, least, nullptr, seconds_of(now));
  if (sequences_ >= options_.most_waiting) {
    return wait_of(std::max(late, backlog(now).seconds / 2));
  }
  if (late > 0) return wait_of(late);
  return std::nullopt;
}

// --- The queues ---------------------------------------------------------------------------------

void Schedule::enter(Job& job, const Demand& demand) {
  Queue& queue = queue_of(job.priority);
  for (Work& work : job.works) {
    work.job = &job;
    tokens_ += work.tokens;
  }
  sequences_ += std::ssize(job.works);
  job.predicted_seconds = demand.cost;
  job.work_seconds = demand.work;
  job.least_seconds = demand.fixed + demand.longest;
  job.room_seconds = demand.room;
  const double own = (demand.cost - demand.one) * queue.jobs.stretch() + job.least_seconds;
  queue.jobs.insert(job, seconds_of(job.deadline) - reply_margin_ - std::max(own, demand.room));
  ++queue.count;
  queue.work_seconds += demand.work;
  if (!has_waiting(*job.lane)) ++lanes_;
  ++job.lane->waiting_jobs[index_of(job.priority)];
}

/// Takes out what still waits of the job.
void Schedule::leave(Job& job) {
  Queue& queue = queue_of(job.priority);
  const std::span<Work> works = waiting_works(job);
  for (const Work& work : works) tokens_ -= work.tokens;
  sequences_ -= std::ssize(works);
  job.unfinished -= static_cast<int32_t>(works.size());
  job.taken = static_cast<int32_t>(job.works.size());
  queue.jobs.erase(job);
  // A sum of differences does not come back to zero by itself.
  queue.work_seconds = --queue.count == 0 ? 0 : queue.work_seconds - job.work_seconds;
  --job.lane->waiting_jobs[index_of(job.priority)];
  if (!has_waiting(*job.lane)) --lanes_;
}

bool Schedule::cancel(Job& job) {
  if (job.unfinished == 0) return false;
  job.end = Job::End::cancelled;
  if (job.is_waiting) leave(job);
  return job.unfinished == 0;
}

/// The jobs at the front that cannot be answered in time any more. With the earliest deadlines in
/// front, others come there before they cost anything.
void Schedule::drop_hopeless(Queue& queue, Time now, Pass& pass) {
  while (Job* job = queue.jobs.front()) {
    const PassTime& time = job->lane->time;
    const double next = time.seconds(with({}, waiting_works(*job)[0].tokens));
    const double rest = time.fixed() + job->work_seconds / options_.replicas;
    if (seconds_of(now) + std::max(next, rest) <= seconds_of(job->deadline)) return;
    leave(*job);
    job->end = Job::End::expired;
    if (job->unfinished == 0) pass.ended.push_back(job);
  }
}

// --- Passes -------------------------------------------------------------------------------------

bool Schedule::take(int32_t replica, Time now, Pass& pass) {
  Replica& self = replicas_[static_cast<size_t>(replica)];
  const double time = seconds_of(now);
  pass.lane = nullptr;
  pass.works.clear();
  pass.ended.clear();
  pass.shape = {};
  pass.predicted_seconds = 0;
  pass.depth = 1;
  pass.started = now;
  self.is_idle = false;
  for (Queue& queue : queues_) drop_hopeless(queue, now, pass);
  double most = longest_pass_;
  Queue* queue = choose(time, most);
  if (queue == nullptr) {
    self.is_idle = true;
    self.is_wanted = false;
    return !pass.ended.empty();
  }
  fill(*queue, time, most, pass);
  charge(queue->priority, pass.predicted_seconds, time);
  if (self.is_wanted) {
    const double turnaround = std::min(time - self.end, longest_pass_);
    turnaround_ += kTurnaroundWeight * (turnaround - turnaround_);
  }
  self.is_running = true;
  self.is_wanted = false;
  self.end = time + pass.predicted_seconds + turnaround_;
  return true;
}

/// The queue whose turn it is, and how long its pass may be.
Schedule::Queue* Schedule::choose(double now, double& most) {
  Queue& interactive = queue_of(Priority::interactive);
  Queue& bulk = queue_of(Priority::bulk);
  if (interactive.jobs.is_empty()) return bulk.jobs.is_empty() ? nullptr : &bulk;
  if (bulk.jobs.is_empty() || bulk_due_ <= 0) return &interactive;
  // Those that were admitted before the bulk work came are still to be in time. Admission leaves
  // room for what is due, so that these are soon gone.
  const double room =
      (interactive.jobs.slack() - now) / interactive.jobs.stretch() - running(now).sum;
  const Job& first = *bulk.jobs.front();
  if (room < first.lane->time.seconds(with({}, waiting_works(first)[0].tokens))) {
    return &interactive;
  }
  most = std::min(most, room);
  return &bulk;
}

/// The credit of bulk work grows by its share of every pass, and falls by its own passes.
void Schedule::charge(Priority priority, double seconds, double now) {
  if (priority == Priority::interactive) {
    interactive_seconds_ *= std::exp((interactive_as_of_ - now) / kRecent);
    interactive_seconds_ += seconds;
    interactive_as_of_ = now;
  }
  bulk_due_ += seconds * (options_.bulk_share - (priority == Priority::bulk ? 1 : 0));
  // What it had while nothing else waited is not held against it, nor is credit kept for later.
  bulk_due_ = std::max(bulk_due_, -longest_pass_);
  if (queue_of(Priority::bulk).jobs.is_empty()) bulk_due_ = std::min(bulk_due_, 0.0);
}

void Schedule::fill(Queue& queue, double now, double most, Pass& pass) {
  Job* job = queue.jobs.front();
  const double room = job->room_seconds;
  pass.lane = job->lane;
  most = std::min(most, seconds_of(job->deadline) - reply_margin_ - now);
  // What waits is shared with the replicas that have nothing to do.
  const auto idle = std::count_if(replicas_.begin(), replicas_.end(),
                                  [](const Replica& replica) { return replica.is_idle; });
  const double share = idle == 0 ? kNever
                                 : (queues_[0].work_seconds + queues_[1].work_seconds) /
                                       static_cast<double>(idle + 1);
  double cost = 0;
  double skipped = 0;
  for (int skips = 0; job != nullptr && skips < kMostSkipped;) {
    Job* next = job->place.next;
    if (job->lane != pass.lane) {
      // Later works may overtake it as long as it would be in time after this pass.
      const double latest = seconds_of(job->deadline) - reply_margin_ - job->least_seconds;
      most = std::min({most, room, latest - skipped / options_.replicas - now});
      skipped += job->predicted_seconds;
      ++skips;
    } else {
      const double waited = job->predicted_seconds;
      take_works(*job, most, share, pass);
      cost += waited - (job->is_waiting ? job->predicted_seconds : 0);
      if (job->is_waiting) break;
    }
    job = next;
  }
  // A pass that leaves nothing behind could not have been fuller.
  const bool is_cut = idle == 0 && pass.lane->waiting_jobs[index_of(queue.priority)] > 0;
  const double packing = is_cut && cost > 0 ? std::max(1.0, pass.predicted_seconds / cost) : 1;
  queue.packing += kPackingWeight * (packing - queue.packing);
}

/// Moves works of the job into the pass as long as they fit.
void Schedule::take_works(Job& job, double most, double share, Pass& pass) {
  const PassTime& time = pass.lane->time;
  const std::span<Work> works = waiting_works(job);
  double filled = time.seconds(pass.shape) - time.fixed();
  int32_t count = 0;
  for (Work& work : works) {
    const PassShape shape = with(pass.shape, work.tokens);
    const double seconds = time.seconds(shape);
    const double next = seconds - time.fixed();
    if (!pass.works.empty() && (seconds > most || (filled + next) / 2 > share)) break;
    filled = next;
    pass.shape = shape;
    pass.predicted_seconds = seconds;
    pass.works.push_back(&work);
    tokens_ -= work.tokens;
    ++count;
  }
  if (count == 0) return;
  if (job.taken == 0) job.started = pass.started;
  sequences_ -= count;
  job.taken += count;
  if (job.taken == std::ssize(job.works)) return leave(job);
  const double left = 1 - static_cast<double>(count) / static_cast<double>(works.size());
  queue_of(job.priority).work_seconds -= job.work_seconds * (1 - left);
  job.work_seconds *= left;
  queue_of(job.priority).jobs.change(job, job.predicted_seconds * left);
}

void Schedule::finish(int32_t replica, Time now, Pass& pass) {
  Replica& self = replicas_[static_cast<size_t>(replica)];
  pass.ended.clear();
  if (!self.is_running) return;
  self = {.is_wanted = sequences_ > 0, .end = seconds_of(now)};
  pass.lane->time.correct(pass.shape, seconds_between(pass.started, now), pass.depth);
  for (Work* work : pass.works) {
    if (--work->job->unfinished == 0) pass.ended.push_back(work->job);
  }
}

Backlog Schedule::backlog(Time now) const {
  const Running rest = running(seconds_of(now));
  const double all = rest.sum + queues_[0].jobs.seconds() + queues_[1].jobs.seconds();
  return {.sequences = sequences_,
          .tokens = tokens_,
          .seconds = std::max(rest.last, all / options_.replicas)};
}

}  // namespace tilewise::runtime
