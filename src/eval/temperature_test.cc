#include "eval/temperature.h"

#include <cmath>
#include <random>
#include <vector>

#include <gtest/gtest.h>

namespace tilewise::eval {
namespace {

/// By its definition, in long double.
double log_loss(const LabelledLogits& rows, double temperature) {
  long double loss = 0;
  for (size_t row = 0; row < rows.rows(); ++row) {
    std::vector<long double> logits(rows.logits(row).begin(), rows.logits(row).end());
    if (logits.size() == 1) logits.insert(logits.begin(), 0);
    long double sum = 0;
    for (const long double logit : logits) sum += std::exp(logit / temperature);
    loss += std::log(sum) - logits[static_cast<size_t>(rows.due(row))] / temperature;
  }
  return static_cast<double>(loss);
}

/// Classes that come true with the probabilities of logits / `temperature`.
LabelledLogits sample(int32_t classes, double temperature, uint32_t seed, int count) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3);
  LabelledLogits rows(classes);
  for (int i = 0; i < count; ++i) {
    std::vector<float> logits(static_cast<size_t>(classes));
    for (float& logit : logits) logit = normal(random);
    std::vector<double> weights(logits.size());
    for (size_t c = 0; c < logits.size(); ++c) weights[c] = std::exp(logits[c] / temperature);
    if (classes == 1) weights.insert(weights.begin(), 1);
    std::discrete_distribution<int32_t> due(weights.begin(), weights.end());
    rows.add(logits, due(random));
  }
  return rows;
}

// Of n rows with one logit a, k are positive: the best sigmoid(a / t) is k / n.
TEST(BestTemperature, MakesTheProbabilityOfEqualRowsTheirShare) {
  for (const float logit : {1.0f, 0.01f, 40.0f}) {
    LabelledLogits rows(1);
    for (int i = 0; i < 10; ++i) rows.add(std::vector<float>{logit}, i < 8 ? 1 : 0);
    EXPECT_NEAR(best_temperature(rows).value(), logit / std::log(8.0 / 2), 1e-7 * logit);
  }
  // Logits (a, 0, 0): e^(a/t) / (e^(a/t) + 2) = k / n.
  LabelledLogits rows(3);
  for (int i = 0; i < 10; ++i) rows.add(std::vector<float>{2, 0, 0}, i < 7 ? 0 : 1 + i % 2);
  EXPECT_NEAR(best_temperature(rows).value(), 2 / std::log(2 * 7.0 / 3), 1e-7);
}

TEST(BestTemperature, NoOtherHasALowerLoss) {
  for (const int32_t classes : {1, 2, 7}) {
    for (const double drawn_with : {0.5, 1.0, 2.5}) {
      const LabelledLogits rows = sample(classes, drawn_with, 3, 400);
      const double best = best_temperature(rows).value();
      EXPECT_NEAR(best / drawn_with, 1, 0.35);  // of so many rows: some standard errors
      const double lowest = log_loss(rows, best);
      for (double factor = 0.25; factor < 4; factor *= 1.1) {
        EXPECT_LE(lowest, log_loss(rows, best * factor) + 1e-9) << factor;
      }
      // A minimum is flat: of a step of 1e-4 a loss of some hundred feels 1e-5 at most.
      EXPECT_LT(log_loss(rows, best * 1.0001) - lowest, 1e-4);
    }
  }
}

TEST(BestTemperature, IsNoneWhereTheLossHasNoMinimum) {
  EXPECT_EQ(best_temperature(LabelledLogits(1)), std::nullopt);
  LabelledLogits certain(1), wrong(1), useless(3);
  for (const float logit : {2.0f, 0.5f}) {
    certain.add(std::vector<float>{logit}, 1);
    certain.add(std::vector<float>{-logit}, 0);
    wrong.add(std::vector<float>{logit}, 0);
    wrong.add(std::vector<float>{-logit}, 1);
  }
  useless.add(std::vector<float>{1, 1, 1}, 2);
  EXPECT_EQ(best_temperature(certain), std::nullopt);
  EXPECT_EQ(best_temperature(wrong), std::nullopt);
  EXPECT_EQ(best_temperature(useless), std::nullopt);
  LabelledLogits broken(2);
  broken.add(std::vector<float>{NAN, 1}, 1);
  EXPECT_EQ(best_temperature(broken), std::nullopt);
}

TEST(Probability, IsThatOfTheLogitsOverTheTemperature) {
  const std::vector<float> binary = {3}, three = {1, 2, 800};
  EXPECT_NEAR(probability(binary, 1, 2), 1 / (1 + std::exp(-1.5)), 1e-15);
  EXPECT_NEAR(probability(binary, 0, 2), 1 / (1 + std::exp(1.5)), 1e-15);
  EXPECT_NEAR(probability(three, 2, 400),
              1 / (1 + std::exp(-2.0 + 2 / 400.0) + std::exp(-2.0 + 1 / 400.0)), 1e-15);
  EXPECT_EQ(probability(three, 0, 1), 0);
}

}  // namespace
}  // namespace tilewise::eval
