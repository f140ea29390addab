#include "engine/head.h"

#include <array>
#include <cmath>
#include <limits>
#include <vector>

#include <gtest/gtest.h>

namespace tilewise::engine {
namespace {

using model::Prediction;
using model::Task;
using model::TaskKind;

Task task_of(TaskKind kind, std::vector<std::string> labels = {}) {
  Task task;
  task.name = "t";
  task.kind = kind;
  task.labels = std::move(labels);
  return task;
}

Prediction predict(const Task& task, std::vector<float> values, PredictOptions options = {}) {
  Prediction prediction;
  fill_prediction(task, values, options, prediction);
  return prediction;
}

TEST(Head, TheDepthStandsBehindTheLogits) {
  Task task = task_of(TaskKind::binary, {"duplicate"});
  EXPECT_EQ(predict(task, {1.F}).depth, 0);
  task.exits = {{.after_layer = 2, .confidence = 0.9F}};
  const Prediction prediction = predict(task, {std::log(3.F), 2.F});
  EXPECT_EQ(prediction.depth, 2);
  EXPECT_EQ(prediction.logits, std::vector<float>{std::log(3.F)});
  EXPECT_FLOAT_EQ(prediction.score, 0.75F);
  EXPECT_TRUE(prediction.over_threshold);
}

TEST(Head, OnlyAnAnswerOfAllLayersMayBeOutOfScope) {
  Task task = task_of(TaskKind::multiclass, {"a", "b"});
  task.out_of_scope = model::OutOfScope{.below = 10};
  const auto is_out = [&](std::vector<float> values) {
    Prediction prediction;
    fill_prediction(task, values, {}, prediction, 6);
    EXPECT_EQ(prediction.labels.size(), 1U);
    return prediction.out_of_scope;
  };
  EXPECT_TRUE(is_out({1, 2}));
  task.exits = {{.after_layer = 2, .confidence = 0.9F, .below = 9}};
  EXPECT_TRUE(is_out({1, 2, 6}));
  EXPECT_FALSE(is_out({1, 2, 2}));
  EXPECT_FALSE(is_out({1, 2, 4}));  // both orders: the one left early
  EXPECT_FALSE(is_out({9, 10, 6}));
}

TEST(Head, BinaryComparesTheLogitWithTheThreshold) {
  Task task = task_of(TaskKind::binary, {"duplicate"});
  task.threshold = -0.5F;
  EXPECT_TRUE(predict(task, {-0.5F}).over_threshold);
  EXPECT_FALSE(predict(task, {-0.51F}).over_threshold);
  EXPECT_FALSE(predict(task, {-0.5F}, {.threshold = 0.F}).over_threshold);
  EXPECT_FLOAT_EQ(predict(task, {0.F}).score, 0.5F);
  EXPECT_FLOAT_EQ(predict(task, {std::log(3.F)}).score, 0.75F);
}

TEST(Head, BinaryTemperatureChangesTheProbabilityNotTheDecision) {
  Task task = task_of(TaskKind::binary, {"duplicate"});
  task.temperature = 2;
  const Prediction prediction = predict(task, {2 * std::log(3.F)});
  EXPECT_FLOAT_EQ(prediction.score, 0.75F);
  EXPECT_TRUE(prediction.over_threshold);
  EXPECT_FLOAT_EQ(prediction.logits.at(0), 2 * std::log(3.F));
}

TEST(Head, MulticlassIsSoftmaxBestFirst) {
  const Task task = task_of(TaskKind::multiclass, {"a", "b", "c"});
  const Prediction all = predict(task, {0.F, std::log(6.F), std::log(3.F)}, {.top = 0});
  ASSERT_EQ(all.labels.size(), 3U);
  EXPECT_EQ(all.labels[0].label, 1);
  EXPECT_FLOAT_EQ(all.labels[0].score, 0.6F);
  EXPECT_EQ(all.labels[1].label, 2);
  EXPECT_FLOAT_EQ(all.labels[1].score, 0.3F);
  EXPECT_FLOAT_EQ(all.labels[2].score, 0.1F);
  EXPECT_EQ(predict(task, {0, 1, 2}, {.top = 2}).labels.size(), 2U);
  EXPECT_EQ(predict(task, {0, 1, 2}, {.top = 9}).labels.size(), 3U);
}

TEST(Head, MulticlassTiesGoToTheFirstLabel) {
  const Task task = task_of(TaskKind::multiclass, {"a", "b"});
  EXPECT_EQ(predict(task, {1, 1}).labels.at(0).label, 0);
}

TEST(Head, SoftmaxSurvivesHugeLogits) {
  const Task task = task_of(TaskKind::multiclass, {"a", "b"});
  const Prediction prediction = predict(task, {3e38F, -3e38F});
  EXPECT_EQ(prediction.labels.at(0).label, 0);
  EXPECT_FLOAT_EQ(prediction.labels.at(0).score, 1.F);
}

TEST(Head, OutOfScopeIsTheLogSumExpOfTheRawLogits) {
  Task task = task_of(TaskKind::multiclass, {"a", "b"});
  task.temperature = 5;
  const float both = std::log(std::exp(1.F) + std::exp(2.F));
  task.out_of_scope = model::OutOfScope{both - 0.001F};
  EXPECT_FALSE(predict(task, {1, 2}).out_of_scope);
  task.out_of_scope = model::OutOfScope{both + 0.001F};
  EXPECT_TRUE(predict(task, {1, 2}).out_of_scope);
}

TEST(Head, MultilabelKeepsThoseOverTheThreshold) {
  Task task = task_of(TaskKind::multilabel, {"a", "b", "c"});
  const Prediction prediction = predict(task, {0.5F, -0.1F, 2.F});
  ASSERT_EQ(prediction.labels.size(), 2U);
  EXPECT_EQ(prediction.labels[0].label, 2);
  EXPECT_EQ(prediction.labels[1].label, 0);
  EXPECT_TRUE(predict(task, {-1, -1, -1}).labels.empty());
}

TEST(Head, RegressionIsTheValue) {
  EXPECT_EQ(predict(task_of(TaskKind::regression), {-7.25F}).value, -7.25F);
}

TEST(Head, EmbeddingIsNormalizedOnlyWhenAsked) {
  Task task = task_of(TaskKind::embedding);
  EXPECT_EQ(predict(task, {3, 4}).embedding, (std::vector<float>{3, 4}));
  task.normalize = true;
  EXPECT_EQ(predict(task, {3, 4}).embedding, (std::vector<float>{0.6F, 0.8F}));
  EXPECT_EQ(predict(task, {0, 0}).embedding, (std::vector<float>{0, 0}));
  EXPECT_TRUE(predict(task, {3, 4}).logits.empty());
}

TEST(Head, AReusedPredictionKeepsNothingOfItsPast) {
  Prediction prediction;
  fill_prediction(task_of(TaskKind::multiclass, {"a", "b"}), std::array{1.F, 2.F}, {}, prediction);
  fill_prediction(task_of(TaskKind::regression), std::array{1.F}, {}, prediction);
  EXPECT_TRUE(prediction.labels.empty());
  EXPECT_EQ(prediction.logits, (std::vector<float>{1}));
}

TEST(Head, RankOrdersAllKindsOfFloats) {
  std::vector<model::LabelScore> labels;
  const std::array<float, 8> scores = {
      -1.5F, 0.F,    2.F,     -std::numeric_limits<float>::infinity(),
      2.F,   1e-40F, -1e-40F, std::numeric_limits<float>::max()};
  rank(scores, 0, labels);
  std::vector<int32_t> order;
  for (const model::LabelScore& label : labels) {
    order.push_back(label.label);
    EXPECT_EQ(label.score, scores.at(static_cast<size_t>(label.label)));
  }
  EXPECT_EQ(order, (std::vector<int32_t>{7, 2, 4, 5, 1, 6, 0, 3}));
  rank(scores, 2, labels);
  ASSERT_EQ(labels.size(), 2U);
  EXPECT_EQ(labels[1].label, 2);
}

}  // namespace
}  // namespace tilewise::engine
