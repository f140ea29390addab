#include "rows/inputs.h"

#include <filesystem>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace tilewise::rows {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// "PATH FORMAT" of each, with the folder's own path left out.
std::vector<std::string> listed(const TemporaryFolder& folder,
                                const std::vector<std::string>& names,
                                std::optional<Format> format = std::nullopt) {
  const auto files = list_inputs(names, format);
  EXPECT_TRUE(files.ok()) << files.status().message();
  std::vector<std::string> result;
  if (!files.ok()) return result;
  for (const InputFile& file : *files) {
    const bool inside = file.path.starts_with(folder.path());
    const std::string path = inside ? file.path.substr(folder.path().size() + 1) : file.path;
    result.push_back(path + " " + name_of(file.format));
  }
  return result;
}

TEST(Inputs, FilesKeepTheirOrderAndHaveTheFormatOfTheirExtension) {
  const TemporaryFolder folder;
  const std::string b = folder.write("b.csv.gz", ""), a = folder.write("a.TSV", ""),
                    c = folder.write("c.txt", "");
  EXPECT_THAT(listed(folder, {b, "-", a, c, b}),
              ElementsAre("b.csv.gz csv", "- jsonl", "a.TSV tsv", "c.txt jsonl", "b.csv.gz csv"));
  EXPECT_THAT(listed(folder, {b, "-"}, Format::tsv), ElementsAre("b.csv.gz tsv", "- tsv"));
}

TEST(Inputs, ADirectoryGivesItsFilesOfRowsInOrder) {
  const TemporaryFolder folder;
  for (const char* name :
       {"d/b/2.jsonl", "d/b/10.ndjson", "d/z.json.zst", "d/a.csv", "d/_SUCCESS", "d/.part.csv.crc",
        "d/.hidden.csv", "d/_temporary/x.csv", "d/notes.txt", "d/model.tw"}) {
    folder.write(name, "");
  }
  std::filesystem::create_symlink("nowhere", folder / "d/.#lock.csv");
  EXPECT_THAT(
      listed(folder, {folder / "d"}),
      ElementsAre("d/a.csv csv", "d/b/10.ndjson jsonl", "d/b/2.jsonl jsonl", "d/z.json.zst jsonl"));
}

TEST(Inputs, AFolderThatIsALinkIsOneLikeAnyOther) {
  const TemporaryFolder folder;
  folder.write("real/a.jsonl", "");
  folder.write("d/b.jsonl", "");
  std::filesystem::create_directory_symlink(folder / "real", folder / "d/linked");
  EXPECT_THAT(listed(folder, {folder / "d"}),
              ElementsAre("d/b.jsonl jsonl", "d/linked/a.jsonl jsonl"));
  std::filesystem::create_directory_symlink(folder / "d", folder / "real/round");
  EXPECT_EQ(list_inputs({folder / "d"}).status().code(), StatusCode::io_error);
}

TEST(Inputs, AGlobPassesOverWhatADirectoryDoes) {
  const TemporaryFolder folder;
  for (const char* name : {"job/part-00000.jsonl", "job/_manifest.json", "job/_scores/a.scores",
                           "job/rejected/part-00000.jsonl"}) {
    folder.write(name, "");
  }
  EXPECT_THAT(listed(folder, {folder / "job/*"}), ElementsAre("job/part-00000.jsonl jsonl"));
  EXPECT_THAT(listed(folder, {folder / "job/_mani*"}), ElementsAre("job/_manifest.json jsonl"));
}

TEST(Inputs, WhatABatchJobHasRefusedIsNoPartOfItsResult) {
  const TemporaryFolder folder;
  for (const char* name : {"job/part-00000.jsonl", "job/rejected/part-00000.jsonl",
                           "job/_manifest.json", "other/rejected/a.jsonl"}) {
    folder.write(name, "");
  }
  EXPECT_THAT(listed(folder, {folder / "job"}), ElementsAre("job/part-00000.jsonl jsonl"));
  EXPECT_THAT(listed(folder, {folder / "other"}), ElementsAre("other/rejected/a.jsonl jsonl"));
}

TEST(Inputs, AGlobThatTheShellLeftAloneIsExpanded) {
  const TemporaryFolder folder;
  for (const char* name : {"day-2/part.csv", "day-1/part.csv", "x1.txt", "x2.jsonl", "other"})
    folder.write(name, "");
  EXPECT_THAT(listed(folder, {folder / "day-*/*.csv"}),
              ElementsAre("day-1/part.csv csv", "day-2/part.csv csv"));
  EXPECT_THAT(listed(folder, {folder / "day-?"}),
              ElementsAre("day-1/part.csv csv", "day-2/part.csv csv"));
  EXPECT_THAT(listed(folder, {folder / "x[12].*"}), ElementsAre("x1.txt jsonl", "x2.jsonl jsonl"));
  const std::string literal = folder.write("x[1]", "");
  EXPECT_THAT(listed(folder, {literal}), ElementsAre("x[1] jsonl")) << "a file of that very name";
}

TEST(Inputs, WhatIsNotThereIsSaid) {
  const TemporaryFolder folder;
  const Status missing = list_inputs({folder / "nowhere.csv"}).status();
  EXPECT_EQ(missing.code(), StatusCode::not_found);
  EXPECT_THAT(missing.message(), HasSubstr("nowhere.csv"));
  const Status pattern = list_inputs({folder / "*.csv"}).status();
  EXPECT_EQ(pattern.code(), StatusCode::not_found);
  EXPECT_THAT(pattern.message(), HasSubstr("no file matches"));
  folder.write("empty/_SUCCESS", "");
  const Status directory = list_inputs({folder / "empty"}).status();
  EXPECT_EQ(directory.code(), StatusCode::invalid_input);
  EXPECT_THAT(directory.message(), HasSubstr("no file of rows"));
}

TEST(Formats, HaveNames) {
  for (const Format format : {Format::json_lines, Format::csv, Format::tsv})
    EXPECT_EQ(parse_format(name_of(format)), format);
  for (const Compression one : {Compression::none, Compression::gzip, Compression::zstd})
    EXPECT_EQ(parse_compression(name_of(one)), one);
  EXPECT_EQ(parse_format("xml"), std::nullopt);
  EXPECT_EQ(parse_compression("gz"), std::nullopt);
  EXPECT_EQ(format_of_file("a.csv/b"), std::nullopt);
  EXPECT_EQ(format_of_file("a.csv.gz.gz"), std::nullopt);
}

}  // namespace
}  // namespace tilewise::rows
