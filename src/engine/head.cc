#include "engine/head.h"

#include <algorithm>
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

void best_first(std::vector<LabelScore>& labels, size_t count) {
  const auto better = [](const LabelScore& a, const LabelScore& b) {
    return a.score != b.score ? a.score > b.score : a.label < b.label;
  };
  std::partial_sort(labels.begin(), labels.begin() + static_cast<std::ptrdiff_t>(count),
                    labels.end(), better);
  labels.resize(count);
}

void fill_binary(const Task& task, std::span<const float> logits, const PredictOptions& options,
                 Prediction& prediction) {
  const float threshold = options.threshold.value_or(task.threshold.value_or(0));
  prediction.score = sigmoid(double{logits[0]} / task.temperature);
  prediction.over_threshold = logits[0] >= threshold;
}

void fill_multiclass(const Task& task, std::span<const float> logits, const PredictOptions& options,
                     Prediction& prediction) {
  const double normalizer = log_sum_exp(logits, task.temperature);
  for (size_t i = 0; i < logits.size(); ++i) {
    const double probability = std::exp(double{logits[i]} / task.temperature - normalizer);
    prediction.labels.push_back({static_cast<int32_t>(i), static_cast<float>(probability)});
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
  if (!task.normalize) return;
  double squares = 0;
  for (const float value : values) squares += double{value} * value;
  // The floor is PyTorch's (torch.nn.functional.normalize): a zero vector stays zero.
  const double length = std::max(std::sqrt(squares), 1e-12);
  for (float& value : prediction.embedding) value = static_cast<float>(value / length);
}

}  // namespace

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
