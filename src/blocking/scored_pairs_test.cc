// Rows of answers in all their forms.
#include "blocking/scored_pairs.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace tilewise::blocking {
namespace {

using testing::HasSubstr;
using testing::SizeIs;

ScoredRow parsed(const std::string& text, const std::string& task = "",
                 const rows::CsvHeader* columns = nullptr) {
  ScoredRowParser parser(task);
  ScoredRow row;
  const Status status = parser.parse({text, {"a.jsonl", 3}, columns}, row);
  EXPECT_TRUE(status.ok()) << status.message();
  return row;
}

std::string error_of(const std::string& text, const std::string& task = "",
                     const rows::CsvHeader* columns = nullptr) {
  ScoredRowParser parser(task);
  ScoredRow row;
  const Status status = parser.parse({text, {"a.jsonl", 3}, columns}, row);
  EXPECT_EQ(status.code(), StatusCode::invalid_input);
  return status.message();
}

TEST(ScoredRow, OfJson) {
  const ScoredRow row = parsed(R"({"id":"a~b","score":0.75,"label":"duplicate","logits":[1.5]})");
  EXPECT_EQ(row.id, "a~b");
  EXPECT_EQ(row.score, 0.75);
  EXPECT_EQ(row.labelled, true);
  EXPECT_FALSE(row.left || row.right);
}

TEST(ScoredRow, WithIdsOfRecords) {
  const ScoredRow row = parsed(R"({"left_id":"a~b","right_id":17,"score":1,"label":null})");
  EXPECT_EQ(row.left, "a~b");
  EXPECT_EQ(row.right, "17");
  EXPECT_EQ(row.labelled, false);
  EXPECT_EQ(row.id, "");
}

TEST(ScoredRow, OfOneOfSeveralTasks) {
  const std::string text = R"({"id":"a~b","same":{"score":0.5,"label":null},"other":{"value":2}})";
  EXPECT_EQ(parsed(text, "same").score, 0.5);
  EXPECT_THAT(error_of(text), HasSubstr("--task"));
  EXPECT_THAT(error_of(text, "missing"), HasSubstr("\"missing\""));
}

TEST(ScoredRow, OfCsv) {
  const auto header =
      rows::CsvHeader::parse("id,same.score,same.label,other.label", rows::Format::csv);
  ASSERT_TRUE(header.ok());
  const ScoredRow row = parsed("\"a,~b\",0.25,,x", "same", &*header);
  EXPECT_EQ(row.id, "a,~b");
  EXPECT_EQ(row.score, 0.25);
  EXPECT_EQ(row.labelled, false);
  EXPECT_THAT(error_of("a~b,0.25", "same", &*header), HasSubstr("4 cells"));
  EXPECT_THAT(error_of("a~b,much,,x", "same", &*header), HasSubstr("same.score"));
}

TEST(ScoredRow, BadRowsSayWhere) {
  EXPECT_THAT(error_of("{"), HasSubstr("a.jsonl:3"));
  EXPECT_THAT(error_of(R"(["a~b"])"), HasSubstr("JSON"));
  EXPECT_THAT(error_of(R"({"id":"a~b"})"), HasSubstr("score"));
  EXPECT_THAT(error_of(R"({"id":"a~b","score":"high"})"), HasSubstr("\"score\""));
  EXPECT_THAT(error_of(R"({"left_id":1.5,"score":1})"), HasSubstr("left_id"));
}

TEST(SplitId, NeedsOneTilde) {
  ScoredPair pair;
  ASSERT_TRUE(split_id("left~right", pair).ok());
  EXPECT_EQ(pair.left, "left");
  EXPECT_EQ(pair.right, "right");
  ASSERT_TRUE(split_id("~", pair).ok());
  EXPECT_EQ(pair.left + pair.right, "");
  EXPECT_THAT(split_id("a~b~c", pair).message(), HasSubstr("--pairs"));
  EXPECT_FALSE(split_id("17", pair).ok());
}

class ListScored : public testing::Test {
 protected:
  void touch(const std::string& name) const { folder_.write(name, "\n"); }
  TemporaryFolder folder_;
};

TEST_F(ListScored, TakesThePartsOfAJob) {
  for (const char* name : {"part-00001.jsonl", "part-00000.jsonl", "rejected/part-00000.jsonl",
                           "_manifest.json", "_SUCCESS", "_scores/part-00000.scores"}) {
    touch(name);
  }
  const auto files = list_scored(folder_.path());
  ASSERT_TRUE(files.ok()) << files.status().message();
  ASSERT_THAT(*files, SizeIs(2));
  EXPECT_THAT((*files)[0].path, HasSubstr("part-00000.jsonl"));
}

TEST_F(ListScored, RefusesAJobThatHasNotEnded) {
  touch("part-00000.jsonl");
  touch("_manifest.json");
  const auto files = list_scored(folder_.path());
  EXPECT_EQ(files.status().code(), StatusCode::invalid_input);
  EXPECT_THAT(files.status().message(), HasSubstr("_SUCCESS"));
}

}  // namespace
}  // namespace tilewise::blocking
