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

double log_sum_exp(std::span<const float> logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end()) / temperature;
  double sum = 0;
  for (const float logit : logits) sum += std::exp(logit / temperature - largest);
  return largest + std::log(sum);
}

/// Orders floats as the unsigned numbers of equal width.
uint32_t ordered_bits(float value) {
  const auto bits = std::bit_cast<uint32_t>(value + 0.0f);  // -0 becomes 0
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/// Best first, the lower label first of those that score alike. Whole numbers compare faster than
/// pairs, and a query of 150 classes spends no more than a microsecond or two here.
void best_first(std::vector<LabelScore>& labels, size_t count) {
  thread_local std::vector<uint64_t> keys;
  keys.clear();
  for (size_t i = 0; i < labels.size(); ++i) {
    keys.push_back(uint64_t{~ordered_bits(labels[i].score)} << 32 |
                   static_cast<uint32_t>(labels[i].label));
  }
  const auto end = keys.begin() + static_cast<std::ptrdiff_t>(count);
  if (count < keys.size()) {
    std::partial_sort(keys.begin(), end, keys.end());
  } else {
    std::sort(keys.begin(), keys.end());
  }
  labels.resize(count);
  for (size_t i = 0; i < count; ++i) {
    const uint32_t bits = ~static_cast<uint32_t>(keys[i] >> 32);
    const uint32_t plain = (bits & 0x80000000u) != 0 ? bits & 0x7fffffffu : ~bits;
    labels[i] = {static_cast<int32_t>(keys[i]), std::bit_cast<float>(plain)};
  }
}

void fill_binary(const Task& task, std::span<const float> logits, const PredictOptions& options,
                 Prediction& prediction) {
  const float threshold = options.threshold.value_or(task.threshold.value_or(0));
  prediction.score = sigmoid(double{logits[0]} / task.temperature);
  prediction.over_threshold = logits[0] >= threshold;
}

void fill_multiclass(const Task& task, std::span<const float> logits, const PredictOptions& options,
                     Prediction& prediction) {
  thread_local std::vector<double> shares;  // of each class, before they are scaled to a sum of 1
  const double largest = double{*std::max_element(logits.begin(), logits.end())} / task.temperature;
  double sum = 0;
  shares.clear();
  for (const float logit : logits) {
    shares.push_back(std::exp(double{logit} / task.temperature - largest));
    sum += shares.back();
  }
  for (size_t i = 0; i < logits.size(); ++i) {
    prediction.labels.push_back({static_cast<int32_t>(i), static_cast<float>(shares[i] / sum)});
  }
  const size_t all = logits.size();
  best_first(prediction.labels,
             options.top > 0 ? std::min(all, static_cast<size_t>(options.top)) : all);
  if (task.out_of_scope) {
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
                     Prediction& prediction) {
  prediction.labels.clear();
  prediction.embedding.clear();
  prediction.logits.clear();
  prediction.score = 0;
  prediction.value = 0;
  prediction.over_threshold = false;
  prediction.out_of_scope = false;
  if (task.kind == TaskKind::embedding) return fill_embedding(task, values, prediction);
  prediction.logits.assign(values.begin(), values.end());
  switch (task.kind) {
    case TaskKind::binary:
      return fill_binary(task, values, options, prediction);
    case TaskKind::multiclass:
      return fill_multiclass(task, values, options, prediction);
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
