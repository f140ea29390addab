#include "engine/head.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <numeric>
#include <vector>

namespace tilewise::engine {
namespace {

using model::LabelScore;
using model::Prediction;
using model::Task;
using model::TaskKind;

// Sums and exponentials in double: a handful a prediction, and no range to think about.
float sigmoid(double logit) { return static_cast<float>(1 / (1 + std::exp(-logit))); }

/// Orders floats as the unsigned numbers of equal width.
uint32_t ordered_bits(float value) {
  const auto bits = std::bit_cast<uint32_t>(value + 0.0f);  // -0 becomes 0
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

float from_ordered_bits(uint32_t bits) {
  return std::bit_cast<float>((bits & 0x80000000u) != 0 ? bits & 0x7fffffffu : ~bits);
}

/// A label and the bits in the place of its score as one number.
uint64_t key_of(const LabelScore& label) {
  return uint64_t{std::bit_cast<uint32_t>(label.score)} << 32 | static_cast<uint32_t>(label.label);
}

/// Best first, the lower label first of those that score alike. Whole numbers compare faster than
/// pairs, and a query of 150 classes spends no more than a microsecond or two here: while they are
/// sorted, bits that order as the scores do, the best lowest, stand in the place of the scores.
void best_first(std::vector<LabelScore>& labels, size_t count) {
  for (LabelScore& label : labels) label.score = std::bit_cast<float>(~ordered_bits(label.score));
  const auto is_before = [](const LabelScore& a, const LabelScore& b) {
    return key_of(a) < key_of(b);
  };
  if (count < labels.size()) {
    const auto end = labels.begin() + static_cast<std::ptrdiff_t>(count);
    std::partial_sort(labels.begin(), end, labels.end(), is_before);
    labels.resize(count);
  } else {
    std::sort(labels.begin(), labels.end(), is_before);
  }
  for (LabelScore& label : labels) {
    label.score = from_ordered_bits(~std::bit_cast<uint32_t>(label.score));
  }
}

void fill_binary(const Task& task, std::span<const float> logits, const PredictOptions& options,
                 Prediction& prediction) {
  const float threshold = options.threshold.value_or(task.threshold.value_or(0));
  prediction.score = sigmoid(double{logits[0]} / task.temperature);
  prediction.over_threshold = logits[0] >= threshold;
}

void fill_multiclass(const Task& task, std::span<const float> logits, const PredictOptions& options,
                     int32_t layers, Prediction& prediction) {
  // The share of each class before they are scaled to a sum of 1: a double, for which its label has
  // room.
  static_assert(sizeof(LabelScore) == sizeof(double));
  const double largest = double{*std::max_element(logits.begin(), logits.end())} / task.temperature;
  double sum = 0;
  for (const float logit : logits) {
    const double share = std::exp(double{logit} / task.temperature - largest);
    prediction.labels.push_back(std::bit_cast<LabelScore>(share));
    sum += share;
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    const auto share = std::bit_cast<double>(prediction.labels[i]);
    prediction.labels[i] = {static_cast<int32_t>(i), static_cast<float>(share / sum)};
  }
  const size_t all = logits.size();
  best_first(prediction.labels,
             options.top > 0 ? std::min(all, static_cast<size_t>(options.top)) : all);
  const bool took_all_layers = task.exits.empty() || prediction.depth >= static_cast<float>(layers);
  if (task.out_of_scope && took_all_layers) {
    prediction.out_of_scope = log_sum_exp(logits, 1) < task.out_of_scope->below;
  }
}

void fill_multilabel(const Task& task, std::span<const float> logits, const PredictOptions& options,
                     Prediction& prediction) {
  const float threshold = options.threshold.value_or(task.threshold.value_or(0));
  for (size_t i = 0; i < logits.size(); ++i) {
    if (logits[i] < threshold) continue;
    prediction.labels.push_back(
        {static_cast<int32_t>(i), sigmoid(double{logits[i]} / task.temperature)});
  }
  best_first(prediction.labels, prediction.labels.size());
}

void fill_embedding(const Task& task, std::span<const float> values, Prediction& prediction) {
  prediction.embedding.assign(values.begin(), values.end());
  if (task.normalize) scale_to_unit_length(prediction.embedding);
}

}  // namespace

double log_sum_exp(std::span<const float> logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end()) / temperature;
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit / temperature - largest);
  return largest + std::log(sum);
}

void rank(std::span<const float> scores, int32_t top, std::vector<LabelScore>& labels) {
  labels.clear();
  for (size_t i = 0; i < scores.size(); ++i) labels.push_back({static_cast<int32_t>(i), scores[i]});
  best_first(labels, top > 0 ? std::min(scores.size(), static_cast<size_t>(top)) : scores.size());
}

void scale_to_unit_length(std::span<float> values) {
  double squares = 0;
  for (const float value : values) squares += double{value} * value;
  // The floor is PyTorch's (torch.nn.functional.normalize): a zero vector stays zero.
  const double length = std::max(std::sqrt(squares), 1e-12);
  for (float& value : values) value = static_cast<float>(value / length);
}

void fill_prediction(const Task& task, std::span<const float> values, const PredictOptions& options,
                     Prediction& prediction, int32_t layers) {
  prediction.labels.clear();
  prediction.embedding.clear();
  prediction.logits.clear();
  prediction.score = 0;
  prediction.value = 0;
  prediction.over_threshold = false;
  prediction.out_of_scope = false;
  prediction.depth = 0;
  if (task.kind == TaskKind::embedding) return fill_embedding(task, values, prediction);
  if (!task.exits.empty()) {
    prediction.depth = values.back();
    values = values.first(values.size() - 1);
  }
  prediction.logits.assign(values.begin(), values.end());
  switch (task.kind) {
    case TaskKind::binary:
      return fill_binary(task, values, options, prediction);
    case TaskKind::multiclass:
      return fill_multiclass(task, values, options, layers, prediction);
    case TaskKind::multilabel:
      return fill_multilabel(task, values, options, prediction);
    case TaskKind::regression:
      prediction.value = values[0];
      return;
    case TaskKind::embedding:
      return;
  }
}

}  // namespace tilewise::engine
