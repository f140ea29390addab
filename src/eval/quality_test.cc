#include "eval/quality.h"

#include <cmath>
#include <limits>
#include <variant>

#include <gtest/gtest.h>

namespace tilewise::eval {
namespace {

using model::Prediction;
using model::Task;
using model::TaskKind;

constexpr int32_t kLayers = 6;

double sigmoid(double logit) { return 1 / (1 + std::exp(-logit)); }

Task task_of(TaskKind kind, std::vector<std::string> labels) {
  Task task;
  task.name = "t";
  task.kind = kind;
  task.labels = std::move(labels);
  task.exits = {{.after_layer = 2, .confidence = 0.9f}};
  return task;
}

TEST(BestCalibration, LeavesTheAnswersOfExitsAsTheyAre) {
  const Task task = task_of(TaskKind::binary, {"yes"});
  Collector collector(task, {}, kLayers);
  for (int i = 0; i < 10; ++i) {
    collector.add({.logits = {1}, .depth = kLayers}, {.positive = i < 8});
    collector.add({.logits = {-2}, .depth = 2}, {.positive = false});
    collector.add({.logits = {-2}, .depth = 4}, {.positive = false});  // both orders: 2 and 6
  }
  const auto quality = std::get<BinaryQuality>(collector.quality());
  const auto& best = quality.best_calibration.value();
  EXPECT_NEAR(best.temperature, 1 / std::log(4.0), 1e-8);  // sigmoid(1 / t) is 8 of 10
  // Those at full depth have no gap then; the others had their own.
  EXPECT_NEAR(best.calibration_error, sigmoid(-2) * 2 / 3, 1e-8);
  const double early = -std::log(sigmoid(2));
  EXPECT_NEAR(best.log_loss, (-8 * std::log(0.8) - 2 * std::log(0.2) + 20 * early) / 30, 1e-8);
  EXPECT_LT(best.log_loss, quality.log_loss);
  EXPECT_NEAR(quality.calibration_error, (0.8 - sigmoid(1) + 2 * sigmoid(-2)) / 3, 1e-8);
}

TEST(BestCalibration, OfClassesIsThatOfTheRowsThatHaveOne) {
  Task task = task_of(TaskKind::multiclass, {"a", "b", "c"});
  task.out_of_scope = model::OutOfScope{.below = 1};
  Collector collector(task, {}, kLayers);
  const float share = static_cast<float>(std::exp(2) / (std::exp(2) + 2));  // of logits (2, 0, 0)
  const Prediction full{.logits = {2, 0, 0},
                        .labels = {{0, share}, {1, (1 - share) / 2}, {2, (1 - share) / 2}},
                        .depth = kLayers};
  for (int i = 0; i < 10; ++i) {
    collector.add({.logits = {0, 9, 0}, .labels = {{1, 0.75f}, {0, 0.25f}}, .depth = 2},
                  {.label = i < 5 ? 1 : -1});
    collector.add(full, {.label = i < 7 ? 0 : 1});
    collector.add(full, {.label = -1});
  }
  const auto quality = std::get<MulticlassQuality>(collector.quality());
  const auto& best = quality.best_calibration.value();
  EXPECT_NEAR(best.temperature, 2 / std::log(2 * 7.0 / 3), 1e-8);  // 7 of 10
  EXPECT_NEAR(best.calibration_error, 0.25 * 5 / 15, 1e-8);
  EXPECT_NEAR(best.log_loss, (-7 * std::log(0.7) - 3 * std::log(0.15) - 5 * std::log(0.75)) / 15,
              1e-8);
}

TEST(BestCalibration, IsNoneWhereEveryRowIsRight) {
  const Task task = task_of(TaskKind::binary, {"yes"});
  Collector collector(task, {}, kLayers);
  collector.add({.logits = {1}, .depth = kLayers}, {.positive = true});
  EXPECT_FALSE(std::get<BinaryQuality>(collector.quality()).best_calibration.has_value());
}

// An exit's answer has a label, so whatever the logits are it counts as the most surely in scope.
TEST(OutOfScopeQuality, WhatExitsAnswerIsInScope) {
  Task task = task_of(TaskKind::multiclass, {"a", "b"});
  task.out_of_scope = model::OutOfScope{.below = 1};
  Collector collector(task, {}, kLayers);
  const auto add = [&](float logit, float depth, int32_t due) {
    collector.add({.logits = {logit, -9}, .labels = {{0, 0.9f}, {1, 0.1f}}, .depth = depth},
                  {.label = due});
  };
  add(0, 2, 0);
  add(0.5f, 2, -1);
  add(3, kLayers, 0);
  add(2, kLayers, -1);
  const auto outside = std::get<MulticlassQuality>(collector.quality()).out_of_scope.value();
  // (in, out): both exits tie, the exit beats 2, 3 loses to the exit and beats 2.
  EXPECT_DOUBLE_EQ(outside.roc_auc.value(), (0.5 + 1 + 0 + 1) / 4);
  EXPECT_LT(outside.below_keeping_95.value(), std::log(std::exp(3.0f) + std::exp(-9.0f)));
  EXPECT_DOUBLE_EQ(outside.recall_keeping_95.value(), 0.5);
}

// What exits answer stays at any limit, so none keeps 95 %.
TEST(OutOfScopeQuality, HasNoBestLimitWhereExitsAnswerAll) {
  Task task = task_of(TaskKind::multiclass, {"a", "b"});
  task.out_of_scope = model::OutOfScope{.below = 1};
  Collector collector(task, {}, kLayers);
  for (const int32_t due : {0, -1}) {
    collector.add({.logits = {0, -9}, .labels = {{0, 0.9f}, {1, 0.1f}}, .depth = 2},
                  {.label = due});
  }
  const auto outside = std::get<MulticlassQuality>(collector.quality()).out_of_scope.value();
  EXPECT_FALSE(outside.below_keeping_95.has_value());
  EXPECT_FALSE(outside.recall_keeping_95.has_value());
}

TEST(SameDecision, IsTheLabelOrThatThereIsNone) {
  const Prediction a{.labels = {{0, 0.9f}, {1, 0.1f}}}, surer{.labels = {{0, 1.0f}, {1, 0.0f}}},
      b{.labels = {{1, 0.9f}, {0, 0.1f}}}, none{.labels = {{1, 0.9f}}, .out_of_scope = true},
      other_none{.labels = {{0, 0.9f}}, .out_of_scope = true};
  EXPECT_TRUE(is_same_decision(a, surer));
  EXPECT_FALSE(is_same_decision(a, b));
  EXPECT_FALSE(is_same_decision(b, none));
  EXPECT_TRUE(is_same_decision(none, other_none));
  const Prediction yes{.score = 0.6f, .over_threshold = true},
      sure{.score = 0.9f, .over_threshold = true}, no{.score = 0.4f};
  EXPECT_TRUE(is_same_decision(yes, sure));
  EXPECT_FALSE(is_same_decision(yes, no));
}

}  // namespace
}  // namespace tilewise::eval
