#include "runtime/deadline_queue.h"

#include <algorithm>
#include <limits>

namespace tilewise::runtime {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();

bool is_before(const Job& a, const Job& b) {
  return a.deadline != b.deadline ? a.deadline < b.deadline : a.place.arrival < b.place.arrival;
}

double sum_of(const Job* node) { return node == nullptr ? 0 : node->place.sum; }
double slack_of(const Job* node) { return node == nullptr ? kNever : node->place.slack; }

}  // namespace

void DeadlineQueue::refresh(Job& job) const {
  Job::Place& place = job.place;
  const double before = sum_of(place.left);
  const double until = before + job.predicted_seconds;
  place.sum = until + sum_of(place.right);
  place.slack = std::min({slack_of(place.left), place.latest - before * stretch_,
                          slack_of(place.right) - until * stretch_});
}

void DeadlineQueue::split(Job* node, const Job& at, Job*& before, Job*& after) {
  if (node == nullptr) {
    before = after = nullptr;
  } else if (is_before(*node, at)) {
    before = node;
    split(node->place.right, at, node->place.right, after);
    refresh(*node);
  } else {
    after = node;
    split(node->place.left, at, before, node->place.left);
    refresh(*node);
  }
}

Job* DeadlineQueue::merge(Job* before, Job* after) {
  if (before == nullptr) return after;
  if (after == nullptr) return before;
  if (before->place.height >= after->place.height) {
    before->place.right = merge(before->place.right, after);
    refresh(*before);
    return before;
  }
  after->place.left = merge(before, after->place.left);
  refresh(*after);
  return after;
}

Job* DeadlineQueue::insert_below(Job* node, Job& job) {
  if (node == nullptr || node->place.height < job.place.height) {
    split(node, job, job.place.left, job.place.right);
    refresh(job);
    return &job;
  }
  Job*& child = is_before(*node, job) ? node->place.right : node->place.left;
  child = insert_below(child, job);
  refresh(*node);
  return node;
}

void DeadlineQueue::insert(Job& job, double latest) {
  // xorshift: any numbers serve that callers do not choose.
  random_ ^= random_ << 13;
  random_ ^= random_ >> 17;
  random_ ^= random_ << 5;
  job.place = {.arrival = ++arrivals_, .height = random_, .latest = latest};
  job.is_waiting = true;

  Job* previous = back_;
  if (previous != nullptr && job.deadline < previous->deadline) {
    previous = nullptr;
    for (Job* node = root_; node != nullptr;) {
      if (is_before(*node, job)) previous = node;
      node = is_before(*node, job) ? node->place.right : node->place.left;
    }
  }
  Job* next = previous == nullptr ? front_ : previous->place.next;
  job.place.previous = previous;
  job.place.next = next;
  (previous == nullptr ? front_ : previous->place.next) = &job;
  (next == nullptr ? back_ : next->place.previous) = &job;
  root_ = insert_below(root_, job);
}

Job* DeadlineQueue::erase_below(Job* node, Job& job) {
  if (node == &job) return merge(job.place.left, job.place.right);
  Job*& child = is_before(*node, job) ? node->place.right : node->place.left;
  child = erase_below(child, job);
  refresh(*node);
  return node;
}

void DeadlineQueue::erase(Job& job) {
  root_ = erase_below(root_, job);
  const Job::Place& place = job.place;
  (place.previous == nullptr ? front_ : place.previous->place.next) = place.next;
  (place.next == nullptr ? back_ : place.next->place.previous) = place.previous;
  job.is_waiting = false;
}

void DeadlineQueue::refresh_to(Job* node, const Job& job) {
  if (node != &job) {
    refresh_to(is_before(*node, job) ? node->place.right : node->place.left, job);
  }
  refresh(*node);
}

void DeadlineQueue::change(Job& job, double predicted_seconds) {
  job.predicted_seconds = predicted_seconds;
  refresh_to(root_, job);
}

DeadlineQueue::Gap DeadlineQueue::gap_at(Time deadline) const {
  Gap gap{.before = 0, .slack = kNever};
  if (back_ == nullptr || back_->deadline <= deadline) return {seconds(), kNever};
  for (const Job* node = root_; node != nullptr;) {
    const double before = gap.before + sum_of(node->place.left);
    const double until = before + node->predicted_seconds;
    if (node->deadline <= deadline) {
      gap.before = until;
      node = node->place.right;
    } else {
      gap.slack = std::min({gap.slack, node->place.latest - before * stretch_,
                            slack_of(node->place.right) - until * stretch_});
      node = node->place.left;
    }
  }
  return gap;
}

double DeadlineQueue::slack() const { return slack_of(root_); }

}  // namespace tilewise::runtime
