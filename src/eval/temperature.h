// The temperature with which probabilities are calibrated best.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <vector>

namespace tilewise::eval {

/// Logits of rows whose class is known.
class LabelledLogits {
 public:
  /// `classes`: logits of a row; 1: a binary task's, whose probability is its sigmoid.
  explicit LabelledLogits(int32_t classes) : classes_(static_cast<size_t>(classes)) {}

  /// `due`: the class, from 0; of a binary task 1 for a positive, 0 for a negative.
  void add(std::span<const float> logits, int32_t due) {
    logits_.insert(logits_.end(), logits.begin(), logits.end());
    due_.push_back(due);
  }

  size_t rows() const { return due_.size(); }
  size_t classes() const { return classes_; }
  std::span<const float> logits(size_t row) const {
    return std::span(logits_).subspan(row * classes_, classes_);
  }
  int32_t due(size_t row) const { return due_[row]; }

 private:
  size_t classes_;
  std::vector<float> logits_;  // rows x classes
  std::vector<int32_t> due_;
};

/// The temperature t with the lowest log loss of softmax(logits / t) (Guo et al. 2017, "On
/// calibration of modern neural networks"), exact to about 1e-9 of it. nullopt where none is
/// lowest: without rows, where every row's class has the highest logit (the lower t the better),
/// and where the logits tell nothing of the class (the higher the better).
std::optional<double> best_temperature(const LabelledLogits& rows);

/// The probability of class `index` (of a binary task: 1 positive, 0 negative).
double probability(std::span<const float> logits, int32_t index, double temperature);

}  // namespace tilewise::eval
