#include "eval/quality.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <limits>
#include <span>
#include <utility>

#include "engine/head.h"

namespace tilewise::eval {
namespace {

constexpr double kKept = 0.95;

double sigmoid(double logit) { return 1 / (1 + std::exp(-logit)); }

double mean(double sum, size_t count) { return count == 0 ? 0 : sum / static_cast<double>(count); }

/// Share of `values` that lie under `below`.
double share_below(std::span<const float> values, float below) {
  const auto count =
      std::count_if(values.begin(), values.end(), [&](float v) { return v < below; });
  return mean(static_cast<double>(count), values.size());
}

/// The highest float under which no more than 1 - kKept of the values lie. The engine compares
/// the sums in double: so it lies below the value that it is to keep.
float threshold_keeping(std::vector<float> values) {
  const auto dropped = static_cast<size_t>((1 - kKept) * static_cast<double>(values.size()));
  const auto place = values.begin() + static_cast<std::ptrdiff_t>(dropped);
  std::nth_element(values.begin(), place, values.end());
  return std::nextafter(*place, -std::numeric_limits<float>::infinity());
}

}  // namespace

bool is_same_decision(const model::Prediction& one, const model::Prediction& other) {
  if (one.out_of_scope || other.out_of_scope) return one.out_of_scope == other.out_of_scope;
  if (one.labels.empty() || other.labels.empty()) {
    return one.over_threshold == other.over_threshold;
  }
  return one.labels.front().label == other.labels.front().label;
}

Collector::Collector(const model::Task& task, const engine::PredictOptions& options, int32_t layers)
    : task_(task),
      threshold_(options.threshold.value_or(task.threshold.value_or(0))),
      layers_(layers),
      full_logits_(task.outputs()) {
  if (task.kind != model::TaskKind::multilabel) return;
  for (int32_t label = 0; label < task.outputs(); ++label) labels_.push_back({.label = label});
}

void Collector::add(const model::Prediction& prediction, const Truth& truth) {
  ++rows_;
  switch (task_.kind) {
    case model::TaskKind::binary:
      scores_.push_back(prediction.logits[0]);
      truths_.push_back(truth.positive ? 1 : 0);
      return add_logits(prediction, truth.positive ? 1 : 0);
    case model::TaskKind::multiclass:
      return add_multiclass(prediction, truth);
    case model::TaskKind::multilabel:
      return add_multilabel(prediction, truth);
    case model::TaskKind::regression:
      scores_.push_back(prediction.value);
      values_.push_back(truth.value);
      return;
    case model::TaskKind::embedding:
      return;
  }
}

void Collector::add_logits(const model::Prediction& prediction, int32_t due) {
  if (!is_early(prediction)) {
    full_rows_.push_back(class_rows_);
    full_logits_.add(prediction.logits, due);
  }
  ++class_rows_;
}

void Collector::add_multiclass(const model::Prediction& prediction, const Truth& truth) {
  const model::LabelScore& best = prediction.labels.front();
  const auto due = std::ranges::find(prediction.labels, truth.label, &model::LabelScore::label);
  // What an exit has answered is in scope, whatever the threshold.
  scores_.push_back(is_early(prediction)
                        ? std::numeric_limits<float>::infinity()
                        : static_cast<float>(engine::log_sum_exp(prediction.logits, 1)));
  truths_.push_back(truth.label >= 0 ? 1 : 0);
  rejected_.push_back(prediction.out_of_scope ? 1 : 0);
  due_.push_back(truth.label);
  best_.push_back(best.label);
  best_probability_.push_back(best.score);
  due_probability_.push_back(due != prediction.labels.end() ? due->score : 0);
  if (truth.label >= 0) add_logits(prediction, truth.label);
}

void Collector::add_multilabel(const model::Prediction& prediction, const Truth& truth) {
  bool all_right = true;
  for (LabelQuality& quality : labels_) {
    const bool answered = prediction.logits[quality.label] >= threshold_;
    const bool due = std::binary_search(truth.labels.begin(), truth.labels.end(), quality.label);
    quality.rows += due ? 1 : 0;
    Confusion& counts = quality.confusion;
    ++(due ? (answered ? counts.true_positives : counts.false_negatives)
           : (answered ? counts.false_positives : counts.true_negatives));
    all_right &= answered == due;
  }
  exact_ += all_right ? 1 : 0;
}

Quality Collector::quality() const {
  switch (task_.kind) {
    case model::TaskKind::multiclass:
      return multiclass();
    case model::TaskKind::multilabel:
      return multilabel();
    case model::TaskKind::regression:
      return regression();
    case model::TaskKind::binary:
    case model::TaskKind::embedding:
      break;
  }
  return binary();
}

BinaryQuality Collector::binary() const {
  BinaryQuality quality{.threshold = threshold_,
                        .at_threshold = confusion(scores_, truths_, threshold_),
                        .best = best_threshold(scores_, truths_),
                        .roc_auc = eval::roc_auc(scores_, truths_),
                        .average_precision = eval::average_precision(scores_, truths_)};
  std::vector<double> positive(scores_.size()), of_truth(scores_.size());
  for (size_t i = 0; i < scores_.size(); ++i) {
    const double logit = double{scores_[i]} / task_.temperature;
    positive[i] = sigmoid(logit);
    of_truth[i] = truths_[i] != 0 ? positive[i] : sigmoid(-logit);
  }
  quality.calibration_error = expected_calibration_error(positive, truths_);
  quality.log_loss = log_loss(of_truth);
  quality.best_calibration = best_calibration(std::vector<int32_t>(scores_.size(), 1), truths_,
                                              std::move(positive), std::move(of_truth));
  return quality;
}

MulticlassQuality Collector::multiclass() const {
  std::vector<int32_t> due, best;
  std::vector<double> probability, of_truth;
  std::vector<uint8_t> right;
  for (size_t i = 0; i < due_.size(); ++i) {
    if (due_[i] < 0) continue;
    due.push_back(due_[i]);
    best.push_back(best_[i]);
    right.push_back(due_[i] == best_[i] ? 1 : 0);
    probability.push_back(best_probability_[i]);
    of_truth.push_back(due_probability_[i]);
  }
  MulticlassQuality quality{.labels = quality_by_label(due, best, task_.outputs())};
  if (!due.empty()) {
    quality.accuracy =
        mean(static_cast<double>(std::count(right.begin(), right.end(), 1)), right.size());
    quality.macro_f1 = eval::macro_f1(quality.labels);
    quality.calibration_error = expected_calibration_error(probability, right);
    quality.log_loss = log_loss(of_truth);
    quality.best_calibration =
        best_calibration(best, right, std::move(probability), std::move(of_truth));
  }
  if (due.size() < due_.size()) quality.out_of_scope = out_of_scope();
  return quality;
}

/// `asked`: the class whose probability is given, for each row that has one, and whether it
/// happened.
std::optional<BestCalibration> Collector::best_calibration(std::span<const int32_t> asked,
                                                           std::span<const uint8_t> happened,
                                                           std::vector<double> probabilities,
                                                           std::vector<double> of_truth) const {
  const std::optional<double> temperature = best_temperature(full_logits_);
  if (!temperature) return std::nullopt;
  for (size_t i = 0; i < full_rows_.size(); ++i) {
    const size_t row = full_rows_[i];
    const auto logits = full_logits_.logits(i);
    probabilities[row] = probability(logits, asked[row], *temperature);
    of_truth[row] = probability(logits, full_logits_.due(i), *temperature);
  }
  return BestCalibration{.temperature = *temperature,
                         .calibration_error = expected_calibration_error(probabilities, happened),
                         .log_loss = eval::log_loss(of_truth)};
}

OutOfScopeQuality Collector::out_of_scope() const {
  std::vector<float> inside, outside;
  size_t right = 0, found = 0, kept = 0;
  for (size_t i = 0; i < scores_.size(); ++i) {
    (truths_[i] != 0 ? inside : outside).push_back(scores_[i]);
    right += (rejected_[i] != 0 ? -1 : best_[i]) == due_[i] ? 1 : 0;
    found += rejected_[i] != 0 && truths_[i] == 0 ? 1 : 0;
    kept += rejected_[i] == 0 && truths_[i] != 0 ? 1 : 0;
  }
  OutOfScopeQuality quality{.rows = static_cast<int64_t>(outside.size()),
                            .decisions_right = mean(static_cast<double>(right), scores_.size()),
                            .roc_auc = eval::roc_auc(scores_, truths_)};
  if (task_.out_of_scope) {
    quality.below = task_.out_of_scope->below;
    quality.recall = mean(static_cast<double>(found), outside.size());
    if (!inside.empty()) quality.in_scope_kept = mean(static_cast<double>(kept), inside.size());
  }
  if (!inside.empty()) {
    // Where exits answer almost all of them, none is: they would stay at any threshold.
    const float below = threshold_keeping(inside);
    if (below < std::numeric_limits<float>::max()) {
      quality.below_keeping_95 = below;
      quality.recall_keeping_95 = share_below(outside, below);
    }
  }
  return quality;
}

MultilabelQuality Collector::multilabel() const {
  MultilabelQuality quality{.threshold = threshold_,
                            .macro_f1 = eval::macro_f1(labels_),
                            .exact = mean(static_cast<double>(exact_), static_cast<size_t>(rows_)),
                            .labels = labels_};
  for (const LabelQuality& label : labels_) {
    quality.micro.true_positives += label.confusion.true_positives;
    quality.micro.false_positives += label.confusion.false_positives;
    quality.micro.true_negatives += label.confusion.true_negatives;
    quality.micro.false_negatives += label.confusion.false_negatives;
  }
  return quality;
}

RegressionQuality Collector::regression() const {
  double absolute = 0, squares = 0;
  for (size_t i = 0; i < scores_.size(); ++i) {
    const double error = double{scores_[i]} - values_[i];
    absolute += std::abs(error);
    squares += error * error;
  }
  return {.mean_absolute_error = mean(absolute, scores_.size()),
          .root_mean_square_error = std::sqrt(mean(squares, scores_.size())),
          .pearson = eval::pearson(scores_, values_),
          .spearman = eval::spearman(scores_, values_)};
}

}  // namespace tilewise::eval
