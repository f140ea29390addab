#include "runtime/pass_time.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <optional>

namespace tilewise::runtime {
namespace {

constexpr int kTerms = 3;
using Terms = std::array<double, kTerms>;

Terms terms_of(const PassShape& shape) {
  return {1.0, static_cast<double>(shape.tokens), static_cast<double>(shape.squares)};
}

/// The normal equations of least squares, every column scaled to length one.
struct Equations {
  std::array<Terms, kTerms> matrix = {};
  Terms right = {};
  Terms scale = {};
};

/// Rows are divided by the measured time, so that a short pass counts as much as a long one: each
/// row reads sum(coefficient * term / seconds) = 1.
Equations equations_of(std::span<const PassSample> samples) {
  Equations result;
  for (const PassSample& sample : samples) {
    if (!(sample.seconds > 0) || !std::isfinite(sample.seconds)) continue;
    const Terms terms = terms_of(sample.shape);
    for (int i = 0; i < kTerms; ++i) {
      const double row = terms[i] / sample.seconds;
      result.right[i] += row;
      for (int j = 0; j < kTerms; ++j) result.matrix[i][j] += row * terms[j] / sample.seconds;
    }
  }
  for (int i = 0; i < kTerms; ++i) result.scale[i] = std::sqrt(result.matrix[i][i]);
  for (int i = 0; i < kTerms; ++i) {
    if (result.scale[i] == 0) continue;
    result.right[i] /= result.scale[i];
    for (int j = 0; j < kTerms; ++j) {
      if (result.scale[j] != 0) result.matrix[i][j] /= result.scale[i] * result.scale[j];
    }
  }
  return result;
}

/// Solves for the terms in `subset` (bits), the others being 0. Nothing where they cannot be told
/// apart.
std::optional<Terms> solve(const Equations& equations, unsigned subset) {
  // Of a matrix with ones in the diagonal: below this, two columns are the same but for rounding.
  constexpr double kSmallestPivot = 1e-10;
  std::array<Terms, kTerms> matrix = equations.matrix;
  Terms right = equations.right;
  for (int i = 0; i < kTerms; ++i) {
    if ((subset >> i & 1) != 0) continue;
    matrix[i] = {};
    for (int j = 0; j < kTerms; ++j) matrix[j][i] = 0;
    matrix[i][i] = 1;
    right[i] = 0;
  }
  // Positive definite or singular: elimination needs no exchange of rows.
  for (int i = 0; i < kTerms; ++i) {
    if (!(matrix[i][i] > kSmallestPivot)) return std::nullopt;
    for (int j = i + 1; j < kTerms; ++j) {
      const double times = matrix[j][i] / matrix[i][i];
      for (int k = i; k < kTerms; ++k) matrix[j][k] -= times * matrix[i][k];
      right[j] -= times * right[i];
    }
  }
  for (int i = kTerms - 1; i >= 0; --i) {
    for (int k = i + 1; k < kTerms; ++k) right[i] -= matrix[i][k] * right[k];
    right[i] /= matrix[i][i];
  }
  return right;
}

/// By how much the squared error is less than that of a prediction of nothing.
double gain(const Equations& equations, const Terms& x) {
  double result = 0;
  for (int i = 0; i < kTerms; ++i) {
    double product = 0;
    for (int j = 0; j < kTerms; ++j) product += equations.matrix[i][j] * x[j];
    result += x[i] * (2 * equations.right[i] - product);
  }
  return result;
}

}  // namespace

// The best solution without negative coefficients is the plain solution for some subset of the
// terms; with three terms all seven are tried.
PassTime PassTime::fit(std::span<const PassSample> samples) {
  const Equations equations = equations_of(samples);
  Terms best = {};
  double best_gain = 0;
  for (unsigned subset = 1; subset < 1U << kTerms; ++subset) {
    const std::optional<Terms> x = solve(equations, subset);
    if (!x || *std::min_element(x->begin(), x->end()) < 0) continue;
    const double its_gain = gain(equations, *x);
    if (its_gain > best_gain) {
      best_gain = its_gain;
      best = *x;
    }
  }
  const auto coefficient = [&](int i) {
    return equations.scale[i] > 0 ? best[i] / equations.scale[i] : 0;
  };
  PassTime result;
  result.fixed_ = coefficient(0);
  result.per_token_ = coefficient(1);
  result.per_square_ = coefficient(2);
  return result;
}

double PassTime::sequences_seconds(const PassShape& shape, double depth) const {
  return depth * (per_token_ * static_cast<double>(shape.tokens) +
                  per_square_ * static_cast<double>(shape.squares));
}

double PassTime::seconds(const PassShape& shape) const {
  return factor_ * (fixed_ + sequences_seconds(shape, depth()));
}

double PassTime::of_sequence(int32_t length) const {
  return factor_ * depth() * length * (per_token_ + per_square_ * length);
}

double PassTime::fixed() const { return factor_ * fixed_; }

double PassTime::depth() const { return std::min(1.0, depth_mean_ + depth_deviation_); }

void PassTime::correct(const PassShape& shape, double seconds, double depth) {
  // A pass may be interrupted for long, and never by less than nothing: whatever one pass says
  // moves the factor by kWeight * kMost = 4.5 %, and a lasting doubling is followed to within a
  // few percent in 20 passes.
  constexpr double kWeight = 0.2;
  constexpr double kMost = 0.2231;  // log 1.25
  if (!(seconds > 0) || !std::isfinite(seconds) || shape.tokens <= 0) return;
  if (!(depth > 0 && depth <= 1)) return;
  const double predicted = factor_ * (fixed_ + sequences_seconds(shape, depth));
  learn_depth(depth);
  if (predicted <= 0) {
    factor_ = 1;
    per_token_ = seconds / (depth * static_cast<double>(shape.tokens));
    return;
  }
  factor_ *= std::exp(kWeight * std::clamp(std::log(seconds / predicted), -kMost, kMost));
}

/// No interruption falsifies it, so it needs no bound; but queries differ, and so do passes.
void PassTime::learn_depth(double depth) {
  constexpr double kWeight = 0.1;
  const double difference = depth - depth_mean_;
  depth_mean_ += kWeight * difference;
  depth_deviation_ += kWeight * (std::abs(difference) - depth_deviation_);
}

}  // namespace tilewise::runtime
