#include "api/convert.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::api {
namespace {

using testing::ElementsAre;

model::Task task(model::TaskKind kind, std::vector<std::string> labels) {
  model::Task task;
  task.name = "t";
  task.kind = kind;
  task.labels = std::move(labels);
  return task;
}

TEST(Convert, RecordsKeepTheirFieldsInOrder) {
  const model::Input input = to_input(Pair{Record{{"b", "1"}, {"a", "2"}}, "plain"});
  const auto& pair = std::get<model::PairInput>(input);
  const auto& record = std::get<model::Record>(pair.left);
  ASSERT_EQ(record.fields.size(), 2u);
  EXPECT_EQ(record.fields[0].name, "b");
  EXPECT_EQ(record.fields[0].value, "1");
  EXPECT_EQ(std::get<std::string>(pair.right), "plain");
}

TEST(Convert, OptionsGoThrough) {
  const auto open =
      to_engine(OpenOptions{.isa = "avx2", .replicas = 3, .cores_per_replica = 2, .pin = false});
  ASSERT_TRUE(open.ok());
  EXPECT_EQ(open->isa, Isa::avx2);
  EXPECT_EQ(open->replicas, 3);
  EXPECT_EQ(open->cores_per_replica, 2);
  EXPECT_FALSE(open->pin);
  const auto predict = to_engine(
      PredictOptions{.top = 0, .both_orders = true, .threshold = 0.5f, .full_depth = true});
  ASSERT_TRUE(predict.ok());
  EXPECT_EQ(predict->top, 0);
  EXPECT_TRUE(predict->both_orders);
  EXPECT_EQ(predict->threshold, 0.5f);
  EXPECT_TRUE(predict->full_depth);
}

TEST(Convert, ExitsAreCountedAndTheDepthGoesThrough) {
  model::Task binary = task(model::TaskKind::binary, {"same"});
  EXPECT_EQ(to_public(binary).exits, 0);
  binary.exits = {{.after_layer = 2}, {.after_layer = 4}};
  EXPECT_EQ(to_public(binary).exits, 2);
  EXPECT_EQ(to_public(binary, model::Prediction{.depth = 2.5f}).depth, 2.5f);
}

TEST(Convert, BinaryHasItsLabelOnlyOverTheThreshold) {
  const model::Task binary = task(model::TaskKind::binary, {"same"});
  model::Prediction prediction;
  prediction.score = 0.25f;
  EXPECT_FALSE(to_public(binary, prediction).label);
  prediction.over_threshold = true;
  EXPECT_EQ(to_public(binary, prediction).label, "same");
  EXPECT_EQ(to_public(binary, prediction).score, 0.25f);
}

TEST(Convert, MulticlassNamesItsLabels) {
  model::Prediction prediction;
  prediction.labels = {{2, 0.75f}, {0, 0.25f}};
  prediction.out_of_scope = true;
  const Prediction converted =
      to_public(task(model::TaskKind::multiclass, {"a", "b", "c"}), prediction);
  ASSERT_EQ(converted.labels.size(), 2u);
  EXPECT_EQ(converted.labels[0].label, "c");
  EXPECT_EQ(converted.labels[1].score, 0.25f);
  EXPECT_EQ(converted.label, "c");
  EXPECT_TRUE(converted.out_of_scope);
}

TEST(Convert, MultilabelHasNoBestLabel) {
  model::Prediction prediction;
  prediction.labels = {{1, 0.75f}};
  const Prediction converted = to_public(task(model::TaskKind::multilabel, {"a", "b"}), prediction);
  EXPECT_EQ(converted.labels[0].label, "b");
  EXPECT_FALSE(converted.label);
}

TEST(Convert, TheRestIsCarriedOver) {
  model::Prediction prediction;
  prediction.value = 3;
  prediction.embedding = {1, 2};
  prediction.logits = {4};
  prediction.truncated = true;
  const Prediction converted = to_public(task(model::TaskKind::regression, {}), prediction);
  EXPECT_EQ(converted.value, 3);
  EXPECT_THAT(converted.embedding, ElementsAre(1, 2));
  EXPECT_THAT(converted.logits, ElementsAre(4));
  EXPECT_TRUE(converted.truncated);
}

}  // namespace
}  // namespace tilewise::api
