// The jobs of one priority that wait, in the order of their deadlines.
//
// A search tree (a treap) whose nodes are the jobs themselves: any job goes in and out in
// logarithmic time without an allocation, and so is answered how much work waits before a deadline,
// and how much could be put there before a later job would be late. The jobs are a list as well, to
// walk along.
#pragma once

#include <cstdint>

#include "runtime/job.h"

namespace tilewise::runtime {

/// Not thread-safe.
class DeadlineQueue {
 public:
  /// `stretch`: seconds that pass for each second of predicted work before a job.
  explicit DeadlineQueue(double stretch) : stretch_(stretch) {}

  double stretch() const { return stretch_; }
  bool is_empty() const { return root_ == nullptr; }
  Job* front() const { return front_; }
  Job* back() const { return back_; }

  /// `latest`: when all work before the job must be done, in seconds of the clock. Jobs of equal
  /// deadlines stay in the order of their arrival. Reads predicted_seconds.
  void insert(Job& job, double latest);
  void erase(Job& job);

  /// predicted_seconds of a job in the queue is now this.
  void change(Job& job, double predicted_seconds);

  /// What an insertion would find.
  struct Gap {
    double before = 0;  ///< predicted seconds of the jobs before it
    double slack = 0;   ///< the smallest `latest` of the jobs after it, less the stretched time
                        ///< of what is before each; infinity where there are none
  };
  Gap gap_at(Time deadline) const;

  /// The same for all jobs: the slack of an insertion at the front.
  double slack() const;

  /// All predicted seconds.
  double seconds() const { return root_ == nullptr ? 0 : root_->place.sum; }

 private:
  void refresh(Job& job) const;
  void split(Job* node, const Job& at, Job*& before, Job*& after);
  Job* merge(Job* before, Job* after);
  Job* insert_below(Job* node, Job& job);
  Job* erase_below(Job* node, Job& job);
  void refresh_to(Job* node, const Job& job);

  double stretch_;
  Job* root_ = nullptr;
  Job* front_ = nullptr;
  Job* back_ = nullptr;
  uint64_t arrivals_ = 0;
  uint32_t random_ = 0x9e3779b9;
};

}  // namespace tilewise::runtime
