#include "batch/parts.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

namespace tilewise::batch {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

class PartsTest : public testing::Test {
 protected:
  PartsTest() : folder_(testing::TempDir() + "parts_" + std::to_string(getpid())) {
    fs::create_directories(folder_);
  }
  ~PartsTest() override { fs::remove_all(folder_); }

  std::set<std::string> names() const {
    std::set<std::string> found;
    for (const auto& entry : fs::directory_iterator(folder_)) found.insert(entry.path().filename());
    return found;
  }
  std::string read(const std::string& name) const {
    std::ifstream file(folder_ / name, std::ios::binary);
    return {std::istreambuf_iterator<char>(file), {}};
  }
  void write(const std::string& name) const { std::ofstream(folder_ / name) << "x"; }

  fs::path folder_;
};

TEST_F(PartsTest, NamesSortInOrder) {
  EXPECT_EQ(part_name(0), "part-00000.jsonl");
  EXPECT_EQ(part_name(12345), "part-12345.jsonl");
}

TEST_F(PartsTest, PartsAppearWhenTheyAreWhole) {
  PartWriter parts(folder_, 3);
  ASSERT_TRUE(parts.append("a\nb\n", 2).ok());
  EXPECT_FALSE(names().contains("part-00000.jsonl"));
  ASSERT_TRUE(parts.append("c\n", 1).ok());
  EXPECT_THAT(names(), ElementsAre("part-00000.jsonl"));
  EXPECT_EQ(read("part-00000.jsonl"), "a\nb\nc\n");
  ASSERT_TRUE(
      parts.append("", 3).ok());  // three rejected rows: the numbers of later parts must not move
  ASSERT_TRUE(parts.append("d\n", 1).ok());
  ASSERT_TRUE(parts.finish().ok());
  EXPECT_THAT(names(), ElementsAre("part-00000.jsonl", "part-00001.jsonl", "part-00002.jsonl"));
  EXPECT_EQ(read("part-00001.jsonl"), "");
  EXPECT_EQ(read("part-00002.jsonl"), "d\n");
  EXPECT_EQ(parts.parts(), 3);
}

TEST_F(PartsTest, APartThatIsNotFinishedLeavesNothing) {
  {
    PartWriter parts(folder_, 3);
    ASSERT_TRUE(parts.append("a\n", 1).ok());
  }
  EXPECT_THAT(names(), ElementsAre());
}

TEST_F(PartsTest, ADirectoryIsMadeOrMustBeEmpty) {
  EXPECT_TRUE(prepare_directory(folder_ / "new" / "deep", false).ok());
  EXPECT_TRUE(fs::is_directory(folder_ / "new" / "deep"));
  EXPECT_TRUE(prepare_directory(folder_ / "new" / "deep", false).ok());
  const Status full = prepare_directory(folder_, false);
  EXPECT_EQ(full.code(), StatusCode::invalid_argument);
  EXPECT_THAT(full.message(), AllOf(HasSubstr("not empty"), HasSubstr("--overwrite")));
}

TEST_F(PartsTest, OverwriteRemovesPartsAndNothingElse) {
  for (const char* name :
       {"part-00000.jsonl", "part-00001.jsonl.tmp-abc123", "notes.txt", "partial.csv"})
    write(name);
  ASSERT_TRUE(prepare_directory(folder_, true).ok());
  EXPECT_THAT(names(), ElementsAre("notes.txt", "partial.csv"));
}

TEST_F(PartsTest, WhatCannotBeADirectoryIsAnError) {
  write("file");
  EXPECT_EQ(prepare_directory(folder_ / "file", false).code(), StatusCode::io_error);
  EXPECT_EQ(prepare_directory(folder_ / "file" / "deeper", false).code(), StatusCode::io_error);
  PartWriter parts(folder_ / "missing", 3);
  EXPECT_FALSE(parts.append("a\n", 1).ok());
}

}  // namespace
}  // namespace tilewise::batch
