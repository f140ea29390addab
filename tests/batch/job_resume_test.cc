// Jobs that are run again: what goes on, what is made anew, what is refused.
#include <functional>
#include <map>

#include "job_fixture.h"

namespace tilewise::batch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST_F(JobTest, OldPartsAreNotMixedWithNewOnes) {
  const auto engine = open(1);
  Options job = options(write_rows(30));
  job.rows_per_part = 10;
  ASSERT_TRUE(run_job(*engine, job).ok());
  const auto before = results();
  for (const auto& [name, change] : std::map<std::string, std::function<void(Options&)>>{
           {"rows_per_part 20", [](Options& other) { other.rows_per_part = 20; }},
           {"tasks \"intent\"", [](Options& other) { other.tasks = "intent"; }},
           {"top 2", [](Options& other) { other.predict.top = 2; }},
           {"threshold 0.5", [](Options& other) { other.predict.threshold = 0.5F; }},
           {"logits true", [](Options& other) { other.format.logits = true; }},
           {"limit 5", [](Options& other) { other.limit = 5; }},
           {"scores false", [](Options& other) { other.write_scores = false; }},
           {"shard \"0/2\"", [](Options& other) { other.shard.count = 2; }},
           {"compress \"gzip\"",
            [](Options& other) { other.compression = rows::Compression::gzip; }},
       }) {
    Options other = job;
    change(other);
    const Status status = run_job(*engine, other).status();
    EXPECT_EQ(status.code(), StatusCode::invalid_argument) << name;
    EXPECT_EQ(status.problem().found, name);
    EXPECT_THAT(status.message(), HasSubstr("--overwrite"));
    EXPECT_EQ(results(), before);
  }
  job.overwrite = true;
  job.rows_per_part = 20;
  ASSERT_TRUE(run_job(*engine, job).ok());
  EXPECT_THAT(names(), ElementsAre("part-00000.jsonl", "part-00001.jsonl"));
}

TEST_F(JobTest, AStoppedJobLeavesWholePartsAndGoesOn) {
  Options job = options(write_rows(2000));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  const auto undisturbed = results();
  remove_output();
  int asked = 0;
  job.stop = [&] { return ++asked > 20; };
  const auto stopped = run_job(*open(2), job);
  EXPECT_EQ(stopped.status().code(), StatusCode::interrupted);
  EXPECT_FALSE(is_complete());
  const auto found = names();
  EXPECT_LT(found.size(), 20u);
  std::vector<int> due(100 * found.size());
  for (size_t i = 0; i < due.size(); ++i) due[i] = static_cast<int>(i);
  EXPECT_EQ(ids(output()), due);

  job.stop = {};
  const auto progress = run_job(*open(2), job);
  ASSERT_TRUE(progress.ok()) << progress.status().message();
  EXPECT_EQ(progress->rows, 2000);
  EXPECT_EQ(progress->parts, 20);
  EXPECT_EQ(progress->resumed_rows, static_cast<int64_t>(due.size()));
  EXPECT_EQ(results(), undisturbed);
}

TEST_F(JobTest, ACompleteJobOnlyVerifies) {
  Options job = options(write_rows(250));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  const auto before = results();
  const std::string manifest = read_file_at(folder_ / "out/_manifest.json");
  const auto again = run_job(*open(1), job);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again->resumed_rows, 250);
  EXPECT_EQ(again->tokens, 0);
  EXPECT_EQ(results(), before);
  EXPECT_EQ(read_file_at(folder_ / "out/_manifest.json"), manifest);
}

TEST_F(JobTest, WhatIsDamagedIsMadeAnew) {
  const std::string bad = "bad\n" + read_file_at(write_rows(250));
  Options job = options(write("bad.jsonl", bad));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  const auto before = results();
  for (const char* name :
       {"part-00001.jsonl", "_scores/part-00002.scores", "rejected/part-00000.jsonl"}) {
    damage(name);
    const auto again = run_job(*open(2), job);
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_LT(again->resumed_rows, 251);
    EXPECT_GE(again->resumed_rows, 151);
    EXPECT_EQ(results(), before) << name;
  }
}

TEST_F(JobTest, ChangedInputIsRefused) {
  const std::string rows = read_file_at(write_rows(250));
  Options job = options(write("input.jsonl", rows));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  const auto before = results();
  std::string changed = rows;
  changed[changed.rfind("249")] = '8';
  const std::string shorter = rows.substr(0, rows.find("{\"id\":200"));
  for (const std::string& other : {changed, shorter, rows + "{\"text\":\"one more\"}\n"}) {
    write("input.jsonl", other);
    const Status status = run_job(*open(2), job).status();
    EXPECT_EQ(status.code(), StatusCode::invalid_argument) << status.message();
    EXPECT_THAT(status.message(), HasSubstr("has changed"));
    EXPECT_EQ(results(), before);
  }
  // A part that must be made anew knows its rows, too.
  damage("part-00002.jsonl");
  write("input.jsonl", changed);
  EXPECT_THAT(run_job(*open(2), job).status().message(), HasSubstr("part-00002"));
}

TEST_F(JobTest, MoreRowsThanFullPartsHoldAreAChange) {
  const std::string rows = read_file_at(write_rows(200));
  Options job = options(write("input.jsonl", rows));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  write("input.jsonl", rows + "{\"text\":\"one more\"}\n");
  EXPECT_THAT(run_job(*open(2), job).status().message(), HasSubstr("has changed"));
}

TEST_F(JobTest, ADamagedPartIsNoDoorForNewRows) {
  const std::string rows = read_file_at(write_rows(200));
  Options job = options(write("input.jsonl", rows));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  write("input.jsonl", rows + "{\"text\":\"one more\"}\n");
  damage("part-00000.jsonl");
  EXPECT_THAT(run_job(*open(2), job).status().message(), HasSubstr("has changed"));
  EXPECT_THAT(names(), ElementsAre("part-00000.jsonl", "part-00001.jsonl"));
}

// The id of a row that has none is the number of its line.
TEST_F(JobTest, LinesThatArePassedOverBelongToTheInput) {
  const std::string rows = "{\"text\":\"a\"}\n{\"text\":\"b\"}\n";
  Options job = options(write("input.jsonl", rows));
  job.rows_per_part = 1;
  ASSERT_TRUE(run_job(*open(1), job).ok());
  damage("part-00001.jsonl");
  write("input.jsonl", "\n" + rows);
  EXPECT_THAT(run_job(*open(1), job).status().message(), HasSubstr("has changed"));
}

}  // namespace
}  // namespace tilewise::batch
