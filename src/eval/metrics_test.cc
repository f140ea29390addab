#include "eval/metrics.h"

#include <algorithm>
#include <cmath>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::eval {
namespace {

struct Sample {
  std::vector<float> scores;
  std::vector<uint8_t> truths;
};

/// Scores with many ties, some of them telling.
Sample random_sample(uint32_t seed, size_t rows) {
  std::mt19937 random(seed);
  Sample sample;
  for (size_t i = 0; i < rows; ++i) {
    const bool truth = random() % 3 == 0;
    sample.truths.push_back(truth ? 1 : 0);
    sample.scores.push_back(static_cast<float>(random() % 12 + (truth ? 3 : 0)) / 4 - 1);
  }
  return sample;
}

/// The chance that a positive scores higher, by comparing all pairs.
double auc_of_pairs(const Sample& sample) {
  double higher = 0, pairs = 0;
  for (size_t i = 0; i < sample.scores.size(); ++i) {
    for (size_t j = 0; j < sample.scores.size(); ++j) {
      if (sample.truths[i] == 0 || sample.truths[j] != 0) continue;
      ++pairs;
      higher += sample.scores[i] > sample.scores[j] ? 1 : 0;
      higher += sample.scores[i] == sample.scores[j] ? 0.5 : 0;
    }
  }
  return higher / pairs;
}

TEST(Confusion, CountsAtOrOverTheThreshold) {
  const std::vector<float> scores = {2, 1, 0.5f, 0, -1};
  const std::vector<uint8_t> truths = {1, 0, 1, 1, 0};
  const Confusion counts = confusion(scores, truths, 0.5);
  EXPECT_EQ(counts.true_positives, 2);
  EXPECT_EQ(counts.false_positives, 1);
  EXPECT_EQ(counts.false_negatives, 1);
  EXPECT_EQ(counts.true_negatives, 1);
  EXPECT_DOUBLE_EQ(counts.accuracy(), 0.6);
  EXPECT_DOUBLE_EQ(counts.precision(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(counts.recall(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(counts.f1(), 2.0 / 3);
}

TEST(Confusion, NothingIsZeroAndNotNaN) {
  const Confusion nothing;
  EXPECT_EQ(nothing.accuracy(), 0);
  EXPECT_EQ(nothing.precision(), 0);
  EXPECT_EQ(nothing.f1(), 0);
}

TEST(RocAuc, IsTheChanceThatAPositiveScoresHigher) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const Sample sample = random_sample(seed, 60);
    EXPECT_NEAR(roc_auc(sample.scores, sample.truths).value(), auc_of_pairs(sample), 1e-12);
  }
}

TEST(RocAuc, NeedsBothKinds) {
  EXPECT_EQ(roc_auc(std::vector<float>{1, 2}, std::vector<uint8_t>{1, 1}), std::nullopt);
  EXPECT_EQ(roc_auc(std::vector<float>{1, 2}, std::vector<uint8_t>{0, 0}), std::nullopt);
}

// The example of scikit-learn's documentation of average_precision_score: 0.83.
TEST(AveragePrecision, OfAKnownExample) {
  const std::vector<float> scores = {0.1f, 0.4f, 0.35f, 0.8f};
  const std::vector<uint8_t> truths = {0, 0, 1, 1};
  EXPECT_NEAR(average_precision(scores, truths).value(), 0.5 * 1 + 0.5 * 2 / 3, 1e-12);
  EXPECT_EQ(average_precision(scores, std::vector<uint8_t>(4)), std::nullopt);
}

TEST(BestThreshold, NoOtherThresholdIsBetter) {
  for (uint32_t seed = 0; seed < 20; ++seed) {
    const Sample sample = random_sample(seed, 50);
    const auto best = best_threshold(sample.scores, sample.truths).value();
    double highest = 0;
    for (const float threshold : sample.scores) {
      highest = std::max(highest, confusion(sample.scores, sample.truths, threshold).f1());
    }
    EXPECT_DOUBLE_EQ(best.f1, highest);
    EXPECT_DOUBLE_EQ(confusion(sample.scores, sample.truths, best.threshold).f1(), highest);
  }
}

TEST(BestThreshold, LiesBetweenNeighboursThatNoFloatDivides) {
  const float one = 1, next = std::nextafter(one, 2.0f);
  const auto best = best_threshold(std::vector<float>{next, one}, std::vector<uint8_t>{1, 0});
  EXPECT_EQ(best.value().threshold, next);
  EXPECT_EQ(best.value().f1, 1);
}

TEST(CalibrationError, IsTheGapOfEachBin) {
  // Two bins: 0.1 happened once of two (gap 0.4), 0.9 always (gap 0.1).
  const std::vector<double> probabilities = {0.1, 0.1, 0.9, 0.9};
  const std::vector<uint8_t> happened = {1, 0, 1, 1};
  EXPECT_NEAR(expected_calibration_error(probabilities, happened), (0.4 + 0.1) / 2, 1e-12);
  EXPECT_EQ(expected_calibration_error({}, {}), 0);
}

TEST(CalibrationError, CertainIsInTheLastBin) {
  EXPECT_EQ(expected_calibration_error(std::vector<double>{1, 0}, std::vector<uint8_t>{1, 0}), 0);
}

TEST(LogLoss, IsFiniteWhereTheTruthHadNoChance) {
  EXPECT_NEAR(log_loss(std::vector<double>{0.5, 0.25}), std::log(8.0) / 2, 1e-12);
  EXPECT_NEAR(log_loss(std::vector<double>{0}), -std::log(1e-15), 1e-9);
}

TEST(QualityByLabel, CountsEachLabelAgainstTheRest) {
  const std::vector<int32_t> truths = {0, 0, 1, 2, 2, -1};
  const std::vector<int32_t> answers = {0, 1, 1, 2, -1, 0};
  const auto labels = quality_by_label(truths, answers, 4);
  EXPECT_EQ(labels[0].rows, 2);
  EXPECT_EQ(labels[0].confusion.true_positives, 1);
  EXPECT_EQ(labels[0].confusion.false_negatives, 1);
  EXPECT_EQ(labels[0].confusion.false_positives, 1);
  EXPECT_EQ(labels[0].confusion.true_negatives, 3);
  EXPECT_EQ(labels[2].confusion.false_negatives, 1);
  // F1: 1/2, 2/3 and 2/3; the fourth label does not occur.
  EXPECT_NEAR(macro_f1(labels), (0.5 + 2.0 / 3 + 2.0 / 3) / 3, 1e-12);
}

TEST(Correlation, OfKnownExamples) {
  const std::vector<float> a = {1, 2, 3, 4}, squares = {1, 4, 9, 16}, same = {5, 5, 5, 5};
  EXPECT_NEAR(pearson(a, squares).value(), 25 / std::sqrt(5 * 129.0), 1e-12);
  EXPECT_NEAR(spearman(a, squares).value(), 1, 1e-12);
  EXPECT_EQ(pearson(a, same), std::nullopt);
  // Ranks 1.5, 1.5, 3 against 1, 2, 3.
  EXPECT_NEAR(spearman(std::vector<float>{7, 7, 9}, std::vector<float>{1, 2, 3}).value(),
              1.5 / std::sqrt(1.5 * 2), 1e-12);
}

}  // namespace
}  // namespace tilewise::eval
