#include "eval/metrics.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <numeric>

namespace tilewise::eval {
namespace {

constexpr double kLeastProbability = 1e-15;

double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

/// Rows of one score, and how many of them are positive.
struct Step {
  float score;
  int64_t positives;
  int64_t negatives;
};

/// By falling score.
std::vector<Step> steps_of(std::span<const float> scores, std::span<const uint8_t> truths) {
  std::vector<size_t> order(scores.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return scores[a] > scores[b]; });
  std::vector<Step> steps;
  for (const size_t row : order) {
    if (steps.empty() || steps.back().score != scores[row]) steps.push_back({scores[row], 0, 0});
    ++(truths[row] != 0 ? steps.back().positives : steps.back().negatives);
  }
  return steps;
}

int64_t positives_of(std::span<const uint8_t> truths) {
  return std::count(truths.begin(), truths.end(), 1);
}

/// From 1; equal values share the mean of their ranks.
std::vector<double> ranks_of(std::span<const float> values) {
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) { return values[a] < values[b]; });
  std::vector<double> ranks(values.size());
  for (size_t first = 0; first < order.size();) {
    size_t end = first;
    while (end < order.size() && values[order[end]] == values[order[first]]) ++end;
    for (size_t i = first; i < end; ++i) {
      ranks[order[i]] = (static_cast<double>(first) + static_cast<double>(end) + 1) / 2;
    }
    first = end;
  }
  return ranks;
}

std::optional<double> correlation(std::span<const double> a, std::span<const double> b) {
  const auto rows = static_cast<double>(a.size());
  const double mean_a = std::accumulate(a.begin(), a.end(), 0.0) / rows;
  const double mean_b = std::accumulate(b.begin(), b.end(), 0.0) / rows;
  double both = 0, square_a = 0, square_b = 0;
  for (size_t i = 0; i < a.size(); ++i) {
    both += (a[i] - mean_a) * (b[i] - mean_b);
    square_a += (a[i] - mean_a) * (a[i] - mean_a);
    square_b += (b[i] - mean_b) * (b[i] - mean_b);
  }
  const double scale = std::sqrt(square_a * square_b);
  return scale > 0 ? std::optional(both / scale) : std::nullopt;
}

}  // namespace

double Confusion::accuracy() const { return share(true_positives + true_negatives, rows()); }
double Confusion::precision() const {
  return share(true_positives, true_positives + false_positives);
}
double Confusion::recall() const { return share(true_positives, true_positives + false_negatives); }
double Confusion::f1() const {
  return share(2 * true_positives, 2 * true_positives + false_positives + false_negatives);
}

Confusion confusion(std::span<const float> scores, std::span<const uint8_t> truths,
                    double threshold) {
  Confusion counts;
  for (size_t i = 0; i < scores.size(); ++i) {
    const bool positive = scores[i] >= threshold;
    ++(truths[i] != 0 ? (positive ? counts.true_positives : counts.false_negatives)
                      : (positive ? counts.false_positives : counts.true_negatives));
  }
  return counts;
}

std::optional<double> roc_auc(std::span<const float> scores, std::span<const uint8_t> truths) {
  const int64_t positives = positives_of(truths);
  const int64_t negatives = static_cast<int64_t>(truths.size()) - positives;
  if (positives == 0 || negatives == 0) return std::nullopt;
  double higher = 0;  // pairs in which the positive scores higher
  int64_t positives_above = 0;
  for (const Step& step : steps_of(scores, truths)) {
    higher += static_cast<double>(step.negatives) *
              (static_cast<double>(positives_above) + static_cast<double>(step.positives) / 2);
    positives_above += step.positives;
  }
  return higher / (static_cast<double>(positives) * static_cast<double>(negatives));
}

std::optional<double> average_precision(std::span<const float> scores,
                                        std::span<const uint8_t> truths) {
  const int64_t positives = positives_of(truths);
  if (positives == 0) return std::nullopt;
  double sum = 0;
  int64_t found = 0, taken = 0;
  for (const Step& step : steps_of(scores, truths)) {
    found += step.positives;
    taken += step.positives + step.negatives;
    sum += share(found, taken) * share(step.positives, positives);
  }
  return sum;
}

std::optional<BestThreshold> best_threshold(std::span<const float> scores,
                                            std::span<const uint8_t> truths) {
  const int64_t positives = positives_of(truths);
  if (positives == 0) return std::nullopt;
  const std::vector<Step> steps = steps_of(scores, truths);
  BestThreshold best;
  int64_t found = 0, taken = 0;
  for (size_t i = 0; i < steps.size(); ++i) {
    found += steps[i].positives;
    taken += steps[i].positives + steps[i].negatives;
    const double f1 = share(2 * found, taken + positives);
    if (f1 <= best.f1) continue;
    const float next = i + 1 < steps.size() ? steps[i + 1].score : steps[i].score;
    const float between = std::midpoint(steps[i].score, next);
    best = {between > next ? between : steps[i].score, f1};
  }
  return best;
}

double expected_calibration_error(std::span<const double> probabilities,
                                  std::span<const uint8_t> happened) {
  constexpr size_t kBins = 15;
  struct Bin {
    double probability = 0;
    double happened = 0;
  };
  std::array<Bin, kBins> bins;
  for (size_t i = 0; i < probabilities.size(); ++i) {
    const auto bin = static_cast<size_t>(std::clamp(probabilities[i], 0.0, 1.0) * kBins);
    Bin& mine = bins[std::min(bin, kBins - 1)];
    mine.probability += probabilities[i];
    mine.happened += happened[i];
  }
  double gaps = 0;
  for (const Bin& bin : bins) gaps += std::abs(bin.probability - bin.happened);
  return probabilities.empty() ? 0 : gaps / static_cast<double>(probabilities.size());
}

double log_loss(std::span<const double> of_truth) {
  double sum = 0;
  for (const double probability : of_truth)
    sum -= std::log(std::max(probability, kLeastProbability));
  return of_truth.empty() ? 0 : sum / static_cast<double>(of_truth.size());
}

std::vector<LabelQuality> quality_by_label(std::span<const int32_t> truths,
                                           std::span<const int32_t> answers, int32_t labels) {
  std::vector<LabelQuality> qualities(static_cast<size_t>(labels));
  for (int32_t label = 0; label < labels; ++label) qualities[label].label = label;
  for (size_t i = 0; i < truths.size(); ++i) {
    const bool right = truths[i] == answers[i];
    if (truths[i] >= 0) {
      LabelQuality& due = qualities[truths[i]];
      ++due.rows;
      ++(right ? due.confusion.true_positives : due.confusion.false_negatives);
    }
    if (answers[i] >= 0 && !right) ++qualities[answers[i]].confusion.false_positives;
  }
  const auto rows = static_cast<int64_t>(truths.size());
  for (LabelQuality& quality : qualities) {
    quality.confusion.true_negatives = rows - quality.confusion.rows();
  }
  return qualities;
}

double macro_f1(std::span<const LabelQuality> labels) {
  double sum = 0;
  int64_t count = 0;
  for (const LabelQuality& label : labels) {
    const Confusion& counts = label.confusion;
    if (counts.true_positives + counts.false_positives + counts.false_negatives == 0) continue;
    sum += counts.f1();
    ++count;
  }
  return count == 0 ? 0 : sum / static_cast<double>(count);
}

std::optional<double> pearson(std::span<const float> a, std::span<const float> b) {
  return correlation(std::vector<double>(a.begin(), a.end()),
                     std::vector<double>(b.begin(), b.end()));
}

std::optional<double> spearman(std::span<const float> a, std::span<const float> b) {
  return correlation(ranks_of(a), ranks_of(b));
}

}  // namespace tilewise::eval
