#include "batch/output_directory.h"

#include <filesystem>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace tilewise::batch {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

class OutputDirectoryTest : public testing::Test {
 protected:
  Result<OutputDirectory> open(const std::string& name = "out") {
    return OutputDirectory::open(folder_ / name, ".jsonl");
  }
  void touch(const std::vector<std::string>& names) const {
    for (const std::string& name : names) folder_.write("out/" + name, "x");
  }
  std::set<std::string> files() const {
    std::set<std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "out")) {
      if (entry.is_regular_file()) found.insert(fs::relative(entry.path(), folder_ / "out"));
    }
    return found;
  }

  TemporaryFolder folder_;
};

TEST_F(OutputDirectoryTest, NamesSortInOrder) {
  EXPECT_EQ(part_name(0), "part-00000");
  EXPECT_EQ(part_name(12345), "part-12345");
  const auto directory = open();
  ASSERT_TRUE(directory.ok());
  EXPECT_EQ(directory->answers(7), folder_ / "out/part-00007.jsonl");
  EXPECT_EQ(directory->rejections(7), folder_ / "out/rejected/part-00007.jsonl");
  EXPECT_EQ(directory->scores(7), folder_ / "out/_scores/part-00007.scores");
  EXPECT_EQ(scores_path("d", 7), "d/_scores/part-00007.scores");
}

TEST_F(OutputDirectoryTest, IsMadeOrMustBeEmpty) {
  auto deep = open("new/deep");
  ASSERT_TRUE(deep.ok());
  EXPECT_TRUE(fs::is_directory(folder_ / "new/deep"));
  EXPECT_TRUE(deep->prepare(false).ok());
  touch({"notes.txt"});
  auto full = open();
  ASSERT_TRUE(full.ok());
  const Status status = full->prepare(false);
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_THAT(status.message(),
              AllOf(HasSubstr("not empty"), HasSubstr("notes.txt"), HasSubstr("--overwrite")));
}

TEST_F(OutputDirectoryTest, AJobMayGoOn) {
  touch({"_manifest.json", "part-00000.jsonl", "notes.txt"});
  auto directory = open();
  ASSERT_TRUE(directory.ok());
  EXPECT_TRUE(directory->prepare(false).ok());
}

TEST_F(OutputDirectoryTest, RejectedRecordsAloneAreNoOutput) {
  touch({"rejected/records.jsonl"});
  {
    auto directory = open();
    ASSERT_TRUE(directory.ok());
    EXPECT_TRUE(directory->prepare(false).ok());
  }
  touch({"rejected/mine.txt"});
  auto directory = open();
  ASSERT_TRUE(directory.ok());
  EXPECT_FALSE(directory->prepare(false).ok());
}

TEST_F(OutputDirectoryTest, WhatAKilledJobWasWritingGoes) {
  touch({"part-00001.jsonl.tmp-abc123", "_manifest.json.tmp-abc123", "_SUCCESS.tmp-abc123",
         "rejected/part-00001.jsonl.tmp-abc123", "_scores/part-00001.scores.tmp-abc123",
         "mine.tmp-abc123", "part-00001.jsonl.tmp-long-name"});
  ASSERT_TRUE(open().ok());
  EXPECT_THAT(files(), UnorderedElementsAre("mine.tmp-abc123", "part-00001.jsonl.tmp-long-name"));
}

TEST_F(OutputDirectoryTest, OverwriteRemovesWhatJobsWriteAndNothingElse) {
  touch({"part-00000.jsonl", "part-00001.csv.gz", "part-00002.tsv.zst", "_manifest.json",
         "_SUCCESS", "rejected/part-00000.jsonl", "rejected/records.jsonl",
         "_scores/part-00000.scores", "notes.txt", "partial.csv", "part-1.jsonl",
         "part-00000.txt"});
  auto directory = open();
  ASSERT_TRUE(directory.ok());
  ASSERT_TRUE(directory->prepare(true).ok());
  EXPECT_THAT(files(),
              UnorderedElementsAre("notes.txt", "partial.csv", "part-1.jsonl", "part-00000.txt"));
  EXPECT_FALSE(fs::exists(folder_ / "out/_scores"));
}

TEST_F(OutputDirectoryTest, PartsThatTheManifestDoesNotKnowGo) {
  touch({"part-00000.jsonl", "part-00001.jsonl", "rejected/part-00001.jsonl",
         "_scores/part-00000.scores", "_scores/part-00001.scores", "notes.txt"});
  auto directory = open();
  ASSERT_TRUE(directory.ok());
  Manifest manifest;
  manifest.set({.input = {.index = 0, .rows = 1, .hash = ""}});
  ASSERT_TRUE(directory->remove_unlisted(manifest).ok());
  EXPECT_THAT(files(),
              UnorderedElementsAre("part-00000.jsonl", "_scores/part-00000.scores", "notes.txt"));
}

TEST_F(OutputDirectoryTest, OneJobAtATime) {
  {
    const auto first = open();
    ASSERT_TRUE(first.ok());
    const Status second = open().status();
    EXPECT_EQ(second.code(), StatusCode::unavailable);
    EXPECT_THAT(second.message(), HasSubstr("another job"));
  }
  EXPECT_TRUE(open().ok());
}

TEST_F(OutputDirectoryTest, WhatCannotBeADirectoryIsAnError) {
  folder_.write("file", "x");
  EXPECT_EQ(open("file").status().code(), StatusCode::io_error);
  EXPECT_EQ(open("file/deeper").status().code(), StatusCode::io_error);
}

TEST_F(OutputDirectoryTest, RemovingWhatIsNotThereIsNoError) {
  EXPECT_TRUE(remove_file(folder_ / "nothing").ok());
  EXPECT_THAT(folder_.entries(), 0);
}

}  // namespace
}  // namespace tilewise::batch
