#include "eval/truth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::eval {
namespace {

using model::Task;
using model::TaskKind;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

class TruthTest : public testing::Test {
 protected:
  Result<Truth> parse(const Task& task, std::string_view text,
                      const rows::CsvHeader* columns = nullptr) {
    auto parser = TruthParser::create(task, {});
    if (!parser.ok()) return parser.status();
    Truth truth;
    const Status status = parser->parse(
        {.text = text, .position = {.file = "rows", .line = 7}, .columns = columns}, truth);
    if (!status.ok()) return status;
    return truth;
  }

  static Task task(TaskKind kind, std::vector<std::string> labels) {
    Task task;
    task.kind = kind;
    task.labels = std::move(labels);
    return task;
  }

  const Task binary_ = task(TaskKind::binary, {"duplicate"});
  const Task multiclass_ = task(TaskKind::multiclass, {"order", "refund", "17"});
  const Task multilabel_ = task(TaskKind::multilabel, {"a", "b", "c"});
  const Task regression_ = task(TaskKind::regression, {});
};

TEST_F(TruthTest, BinaryTakesWhatPeopleWrite) {
  for (const char* yes : {"1", "true", "\"1\"", "\"duplicate\""}) {
    EXPECT_TRUE(parse(binary_, std::string("{\"label\":") + yes + "}")->positive) << yes;
  }
  for (const char* no : {"0", "false", "null"}) {
    EXPECT_FALSE(parse(binary_, std::string("{\"label\":") + no + "}")->positive) << no;
  }
  const auto wrong = parse(binary_, R"({"label": "dup"})");
  EXPECT_EQ(wrong.status().code(), StatusCode::invalid_input);
  EXPECT_THAT(wrong.status().message(),
              AllOf(HasSubstr("rows:7"), HasSubstr("\"duplicate\""), HasSubstr("\"dup\"")));
}

TEST_F(TruthTest, MulticlassTakesALabelOrNone) {
  EXPECT_EQ(parse(multiclass_, R"({"label": "refund"})")->label, 1);
  EXPECT_EQ(parse(multiclass_, R"({"label": 17})")->label, 2);
  EXPECT_EQ(parse(multiclass_, R"({"label": "oos"})")->label, -1);
  EXPECT_EQ(parse(multiclass_, R"({"label": null})")->label, -1);
  EXPECT_THAT(parse(multiclass_, R"({"label": "Refund"})").status().message(),
              HasSubstr("\"order\", \"refund\""));
  EXPECT_FALSE(parse(multiclass_, R"({"label": ["refund"]})").ok());
}

TEST_F(TruthTest, ATaskMayHaveALabelForWhatIsOutOfScope) {
  EXPECT_EQ(parse(task(TaskKind::multiclass, {"a", "oos"}), R"({"label": "oos"})")->label, 1);
}

TEST_F(TruthTest, MultilabelTakesEachLabelOnce) {
  EXPECT_THAT(parse(multilabel_, R"({"label": ["c", "a", "c"]})")->labels, ElementsAre(0, 2));
  EXPECT_THAT(parse(multilabel_, R"({"label": []})")->labels, ElementsAre());
  EXPECT_FALSE(parse(multilabel_, R"({"label": "a"})").ok());
  EXPECT_FALSE(parse(multilabel_, R"({"label": ["d"]})").ok());
}

TEST_F(TruthTest, RegressionTakesFiniteNumbers) {
  EXPECT_EQ(parse(regression_, R"({"label": -2.5})")->value, -2.5f);
  for (const char* wrong : {"\"much\"", "null", "[1]", "\"1 \"", "\"inf\""}) {
    EXPECT_FALSE(parse(regression_, std::string("{\"label\":") + wrong + "}").ok()) << wrong;
  }
}

TEST_F(TruthTest, CsvHasAColumnForIt) {
  const auto header = *rows::CsvHeader::parse("text,label", rows::Format::csv);
  EXPECT_EQ(parse(multiclass_, "my parcel,refund", &header)->label, 1);
  EXPECT_EQ(parse(multiclass_, "my parcel,oos", &header)->label, -1);
  EXPECT_THAT(parse(multiclass_, "my parcel,", &header).status().message(), HasSubstr("no label"));
  EXPECT_THAT(parse(multilabel_, "x,\"[\"\"b\"\", \"\"a\"\"]\"", &header)->labels,
              ElementsAre(0, 1));
  const auto without = *rows::CsvHeader::parse("text,intent", rows::Format::csv);
  EXPECT_THAT(parse(multiclass_, "a,b", &without).status().message(), HasSubstr("no column"));
}

TEST_F(TruthTest, MissingOrBrokenIsAnErrorOfThatRow) {
  EXPECT_THAT(parse(binary_, R"({"text": "a"})").status().message(), HasSubstr("no label"));
  EXPECT_EQ(parse(binary_, "{").status().code(), StatusCode::invalid_input);
  EXPECT_EQ(parse(binary_, "17").status().code(), StatusCode::invalid_input);
}

TEST_F(TruthTest, AnEmbeddingHasNone) {
  EXPECT_EQ(parse(task(TaskKind::embedding, {}), "{}").status().code(),
            StatusCode::invalid_argument);
}

}  // namespace
}  // namespace tilewise::eval
