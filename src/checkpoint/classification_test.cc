#include "checkpoint/classification.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::checkpoint {
namespace {

using model::InputKind;
using model::TaskKind;
using testing::ElementsAre;
using testing::HasSubstr;

class Classification : public testing::Test {
 protected:
  std::optional<model::Task> read(const std::string& json,
                                  const std::optional<std::string>& activation = std::nullopt) {
    file_.emplace(*JsonFile::parse(json, "config.json"));
    return read_classification_task(*file_->object(report_, "task"), activation, 100);
  }

  Report report_;
  std::optional<JsonFile> file_;
};

TEST_F(Classification, LabelsAreInTheOrderOfTheLogits) {
  const auto task = read(R"({"id2label": {"1": "b", "0": "a", "2": "c"}})");
  ASSERT_TRUE(task);
  EXPECT_EQ(task->name, "classification");
  EXPECT_EQ(task->kind, TaskKind::multiclass);
  EXPECT_EQ(task->input, InputKind::text);
  EXPECT_EQ(task->pooling, model::Pooling::cls);
  EXPECT_EQ(task->max_tokens, 100);
  EXPECT_THAT(task->labels, ElementsAre("a", "b", "c"));
}

TEST_F(Classification, HuggingFaceLeavesTwoDefaultLabelsOut) {
  const auto task = read("{}");
  ASSERT_TRUE(task);
  EXPECT_EQ(task->kind, TaskKind::multiclass);
  EXPECT_THAT(task->labels, ElementsAre("LABEL_0", "LABEL_1"));
}

TEST_F(Classification, MultiLabel) {
  const auto task = read(R"({"num_labels": 3, "problem_type": "multi_label_classification"})");
  ASSERT_TRUE(task);
  EXPECT_EQ(task->kind, TaskKind::multilabel);
  EXPECT_THAT(task->labels, ElementsAre("LABEL_0", "LABEL_1", "LABEL_2"));
}

TEST_F(Classification, OneLabelIsARegressionAsHuggingFaceTrainsIt) {
  const auto task = read(R"({"id2label": {"0": "LABEL_0"}})");
  ASSERT_TRUE(task);
  EXPECT_EQ(task->kind, TaskKind::regression);
  EXPECT_EQ(task->name, "regression");
  EXPECT_TRUE(task->labels.empty());
  EXPECT_TRUE(report_.ok());
  const auto findings = std::move(report_).take_findings();
  ASSERT_EQ(findings.size(), 1u);
  EXPECT_THAT(findings[0].detail,
              HasSubstr("tasks.json"));  // says what to do where a sigmoid was meant
}

TEST_F(Classification, CrossEncoderWithSigmoidIsBinaryOnPairs) {
  const auto task = read(R"({"id2label": {"0": "LABEL_0"}})", "Sigmoid");
  ASSERT_TRUE(task);
  EXPECT_EQ(task->kind, TaskKind::binary);
  EXPECT_EQ(task->input, InputKind::pair);
  EXPECT_THAT(task->labels, ElementsAre("LABEL_0"));
}

TEST_F(Classification, CrossEncoderWithIdentityGivesTheLogit) {
  const auto task = read(R"({"id2label": {"0": "LABEL_0"}})", "Identity");
  ASSERT_TRUE(task);
  EXPECT_EQ(task->kind, TaskKind::regression);
  EXPECT_EQ(task->input, InputKind::pair);
}

TEST_F(Classification, CrossEncoderWithSeveralLabels) {
  const auto task = read(R"({"num_labels": 3})", "Identity");
  ASSERT_TRUE(task);
  EXPECT_EQ(task->kind, TaskKind::multiclass);
  EXPECT_EQ(task->input, InputKind::pair);
}

TEST_F(Classification, ProblemTypeGoesBeforeTheActivation) {
  const auto task = read(R"({"num_labels": 1, "problem_type": "regression"})", "Sigmoid");
  ASSERT_TRUE(task);
  EXPECT_EQ(task->kind, TaskKind::regression);
}

TEST_F(Classification, OtherActivationIsRefusedByName) {
  EXPECT_FALSE(read(R"({"num_labels": 1})", "Softplus"));
  EXPECT_THAT(report_.first_problem().message(), HasSubstr("Softplus"));
}

struct BadClassification {
  const char* name;
  const char* json;
  const char* message;
};
void PrintTo(const BadClassification& bad, std::ostream* out) { *out << bad.name; }
class BadClassifications : public Classification,
                           public testing::WithParamInterface<BadClassification> {};

TEST_P(BadClassifications, AreRefused) {
  EXPECT_FALSE(read(GetParam().json));
  ASSERT_FALSE(report_.ok());
  EXPECT_THAT(report_.first_problem().message(), HasSubstr(GetParam().message));
}

const BadClassification kBadClassifications[] = {
    {"several_regressions", R"({"num_labels": 2, "problem_type": "regression"})",
     "there are 2 labels"},
    {"softmax_of_one", R"({"num_labels": 1, "problem_type": "single_label_classification"})",
     "there are 1 labels"},
    {"unknown_problem", R"({"num_labels": 2, "problem_type": "ranking"})", "ranking"},
    {"no_labels", R"({"id2label": {}})", "id2label"},
    {"zero_labels", R"({"num_labels": 0})", "num_labels"},
    {"hole_in_the_ids", R"({"id2label": {"0": "a", "2": "b"}})", "id2label.1"},
    {"label_is_a_number", R"({"id2label": {"0": "a", "1": 7}})", "a string"},
    {"same_label_twice", R"({"id2label": {"0": "a", "1": "a"}})", "same name"},
};
INSTANTIATE_TEST_SUITE_P(, BadClassifications, testing::ValuesIn(kBadClassifications),
                         [](const auto& b) { return std::string(b.param.name); });

}  // namespace
}  // namespace tilewise::checkpoint
