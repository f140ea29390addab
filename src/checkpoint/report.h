// Where the readers of this folder put what they find, so that one pass serves both load() (first
// problem) and check() (all).
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "checkpoint/checkpoint.h"

namespace tilewise::checkpoint {

/// Not thread-safe.
class Report {
 public:
  void supported(std::string subject, std::string detail) {
    findings_.push_back({Finding::Level::supported, std::move(subject), std::move(detail)});
  }
  void note(std::string subject, std::string detail) {
    findings_.push_back({Finding::Level::note, std::move(subject), std::move(detail)});
  }
  /// `problem` must not be ok.
  void problem(std::string subject, Status problem) {
    findings_.push_back({Finding::Level::unsupported, std::move(subject), problem.message()});
    if (problems_++ == 0) first_problem_ = std::move(problem);
  }

  bool ok() const { return problems_ == 0; }
  /// How many so far: a reader compares it before and after to know whether its own part is whole.
  int problems() const { return problems_; }
  /// An ok Status when there was none.
  const Status& first_problem() const { return first_problem_; }
  std::vector<Finding> take_findings() && { return std::move(findings_); }

 private:
  std::vector<Finding> findings_;
  Status first_problem_;
  int problems_ = 0;
};

}  // namespace tilewise::checkpoint
