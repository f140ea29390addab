// Pairs against catalogues, and scores of a previous run.
#include <filesystem>
#include <utility>

#include "job_fixture.h"

namespace tilewise::batch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::SizeIs;

TEST_F(PairJobTest, IdPairsAreScoredLikePairsWrittenOut) {
  ASSERT_TRUE(run_job(*open(2), pairs(write_written_out(400, 31))).ok());
  const std::string due = output();
  EXPECT_THAT(ids(due), SizeIs(400));
  remove_output();
  Options job = pairs(write_pairs(400, 31));
  job.catalogs = {write_catalog(31)};
  const auto progress = run_job(*open(2), job);
  ASSERT_TRUE(progress.ok()) << progress.status().message();
  EXPECT_EQ(progress->records, 31);
  EXPECT_EQ(output(), due);
  remove_output();
  job.left_catalogs = job.right_catalogs = std::exchange(job.catalogs, {});
  ASSERT_TRUE(run_job(*open(2), job).ok());
  EXPECT_EQ(output(), due);
}

TEST_F(PairJobTest, APairWithoutARecordIsRejected) {
  Options job = pairs(write_pairs(10, 10));
  job.catalogs = {write_catalog(9)};  // 3 x 3 is the first that names record 9
  const auto progress = run_job(*open(1), job);
  ASSERT_TRUE(progress.ok());
  EXPECT_EQ(progress->rejected, 3);
  EXPECT_THAT(ids(output()), ElementsAre(0, 1, 2, 4, 5, 6, 8));
  EXPECT_THAT(rejected_.front(), AllOf(HasSubstr(":4, right_id"), HasSubstr("found 9")));
}

TEST_F(PairJobTest, RejectedRecordsStandInAFile) {
  Options job = pairs(write_pairs(10, 3));
  job.catalogs = {write("catalog.jsonl", read_file_at(write_catalog(3)) + "bad\n")};
  const auto progress = run_job(*open(1), job);
  ASSERT_TRUE(progress.ok());
  EXPECT_EQ(progress->rejected_records, 1);
  EXPECT_THAT(read_file_at(folder_ / "out/rejected/records.jsonl"), HasSubstr("catalog.jsonl:4"));
}

TEST_F(PairJobTest, AnotherCatalogIsAnotherJob) {
  Options job = pairs(write_pairs(30, 10));
  job.catalogs = {write_catalog(10)};
  ASSERT_TRUE(run_job(*open(1), job).ok());
  write_catalog(10, " new");
  EXPECT_THAT(run_job(*open(1), job).status().message(), HasSubstr("catalogs"));
}

TEST_F(PairJobTest, CataloguesServePairsAlone) {
  Options job = options(write_rows(3));
  job.catalogs = {write_catalog(3)};
  EXPECT_EQ(run_job(*open(1), job).status().code(), StatusCode::invalid_argument);
  job = pairs(write_pairs(3, 3));
  job.left_catalogs = {write_catalog(3)};
  EXPECT_THAT(run_job(*open(1), job).status().message(), HasSubstr("--right-catalog"));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(PairJobTest, ScoresOfAPreviousRunAreTaken) {
  for (const bool both_orders : {false, true}) {
    fs::remove_all(folder_ / "previous");
    remove_output();
    Options first = pairs(write_written_out(400, 40));
    first.predict.both_orders = both_orders;
    first.output_directory = folder_ / "previous";
    ASSERT_TRUE(run_job(*open(2), first).ok());

    Options second = pairs(write_written_out(400, 40, " new"));
    second.predict.both_orders = both_orders;
    ASSERT_TRUE(run_job(*open(2), second).ok());
    const auto due = results();
    remove_output();
    second.since = first.output_directory;
    const auto progress = run_job(*open(2), second);
    ASSERT_TRUE(progress.ok()) << progress.status().message();
    EXPECT_GT(progress->reused, 250);
    EXPECT_LT(progress->reused, 400);
    EXPECT_EQ(results(), due);
  }
}

TEST_F(PairJobTest, APreviousRunMustServe) {
  Options first = pairs(write_written_out(40, 4));
  first.output_directory = folder_ / "previous";
  first.write_scores = false;
  ASSERT_TRUE(run_job(*open(1), first).ok());
  Options second = pairs(first.inputs[0]);
  second.since = first.output_directory;
  EXPECT_THAT(run_job(*open(1), second).status().message(), HasSubstr("--no-scores"));
  second.since = folder_ / "nowhere";
  EXPECT_EQ(run_job(*open(1), second).status().code(), StatusCode::not_found);
  second.since = second.output_directory = first.output_directory;
  EXPECT_EQ(run_job(*open(1), second).status().code(), StatusCode::invalid_argument);
}

TEST_F(PairJobTest, OtherTasksTakeNothing) {
  Options first = options(write_rows(50));
  first.output_directory = folder_ / "previous";
  ASSERT_TRUE(run_job(*open(1), first).ok());
  Options second = options(first.inputs[0]);
  second.tasks = "urgency";
  second.since = first.output_directory;
  const auto progress = run_job(*open(1), second);
  ASSERT_TRUE(progress.ok()) << progress.status().message();
  EXPECT_EQ(progress->reused, 0);
}

TEST_F(PairJobTest, ScoresOfAnotherInstructionSetStayMarked) {
  write_written_out(20, 4);
  const auto best = engine::Engine::open(model(), {.replicas = 1, .pin = false});
  ASSERT_TRUE(best.ok());
  if ((*best)->isa() == name_of(Isa::portable)) GTEST_SKIP() << "this machine has one set alone";
  const auto portable =
      engine::Engine::open(model(), {.isa = Isa::portable, .replicas = 1, .pin = false});
  ASSERT_TRUE(portable.ok());
  Options first = pairs(folder_ / "rows.jsonl");
  first.output_directory = folder_ / "first";
  ASSERT_TRUE(run_job(**portable, first).ok());
  Options second = pairs(folder_ / "rows.jsonl");
  second.output_directory = folder_ / "second";
  second.since = folder_ / "first";
  second.allow_other_isa = true;
  ASSERT_TRUE(run_job(**best, second).ok());
  EXPECT_THAT(read_file_at(folder_ / "second/_manifest.json"),
              HasSubstr("\"isa\":\"portable+" + (*best)->isa() + "\""));
  Options third = pairs(folder_ / "rows.jsonl");
  third.output_directory = folder_ / "third";
  third.since = folder_ / "second";
  EXPECT_THAT(run_job(**best, third).status().message(), HasSubstr("another instruction set"));
}

}  // namespace
}  // namespace tilewise::batch
