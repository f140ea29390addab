#include <filesystem>
#include <fstream>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rows/reader.h"

namespace tilewise::rows {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class LineReaderTest : public testing::Test {
 protected:
  LineReaderTest() : folder_(testing::TempDir() + "line_reader_" + std::to_string(getpid())) {
    std::filesystem::create_directories(folder_);
  }
  ~LineReaderTest() override { std::filesystem::remove_all(folder_); }

  std::string write(const std::string& name, const std::string& bytes) {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }

  /// "NUMBER:TEXT" of all lines.
  static std::vector<std::string> read_all(const std::vector<std::string>& paths,
                                           size_t max_lines = 1000) {
    auto reader = LineReader::open(paths);
    EXPECT_TRUE(reader.ok()) << reader.status().message();
    std::vector<std::string> lines;
    LineReader::Chunk chunk;
    do {
      const Status status = reader->next(max_lines, chunk);
      EXPECT_TRUE(status.ok()) << status.message();
      EXPECT_LE(chunk.lines.size(), max_lines);
      for (const auto& line : chunk.lines)
        lines.push_back(std::to_string(line.position.line) + ":" + std::string(line.text));
    } while (!chunk.lines.empty());
    EXPECT_TRUE(reader->at_end());
    return lines;
  }

  std::filesystem::path folder_;
};

TEST_F(LineReaderTest, LineEndsBlankLinesAndAMissingLastLineEnd) {
  const std::string path = write("a", "one\r\n\n  \t\r\ntwo\nthree");
  EXPECT_THAT(read_all({path}), ElementsAre("1:one", "4:two", "5:three"));
  EXPECT_THAT(read_all({path}, 1), ElementsAre("1:one", "4:two", "5:three"));
}

TEST_F(LineReaderTest, FilesFollowEachOtherAndCountTheirOwnLines) {
  const std::string a = write("a", "a1\na2"), b = write("b", ""), c = write("c", "c1\n");
  EXPECT_THAT(read_all({a, b, c}), ElementsAre("1:a1", "2:a2", "1:c1"));
  auto reader = LineReader::open({a, c});
  LineReader::Chunk chunk;
  ASSERT_TRUE(reader->next(10, chunk).ok());
  EXPECT_EQ(chunk.lines.back().position.file, c);
}

TEST_F(LineReaderTest, AByteOrderMarkIsPassedOver) {
  EXPECT_THAT(read_all({write("a", "\xEF\xBB\xBFone\ntwo\n")}), ElementsAre("1:one", "2:two"));
}

TEST_F(LineReaderTest, LongLinesAcrossBlocks) {
  const std::string long_line(3'000'000, 'x');
  const std::string path = write("a", "a\n" + long_line + "\nb\n");
  EXPECT_THAT(read_all({path}), ElementsAre("1:a", "2:" + long_line, "3:b"));
}

TEST_F(LineReaderTest, ALineOverTheLimitDoesNotStopTheRest) {
  {
    std::ofstream out(folder_ / "a", std::ios::binary);
    out << "a\n";
    const std::string block(size_t{1} << 20, 'x');
    for (int i = 0; i < 70; ++i) out << block;
    out << "\nb\n";
  }
  const auto lines = read_all({folder_ / "a"});
  ASSERT_EQ(lines.size(), 3u);
  EXPECT_EQ(lines[2], "3:b");
  EXPECT_GT(lines[1].size(), kMaxLineBytes);
}

TEST_F(LineReaderTest, AChunkStaysSmall) {
  std::string bytes;
  for (int i = 0; i < 40; ++i) bytes += std::string(5'000, 'x') + "\n";
  auto reader = LineReader::open({write("a", bytes)});
  LineReader::Chunk chunk;
  ASSERT_TRUE(reader->next(1000, chunk).ok());
  EXPECT_EQ(chunk.lines.size(), 7u);  // the first seven reach 2^15 bytes
}

TEST_F(LineReaderTest, WhatCannotBeReadIsSaidBeforeAnythingIsRead) {
  const std::string good = write("a", "one\n");
  const auto missing = LineReader::open({good, folder_ / "nowhere"}).status();
  EXPECT_EQ(missing.code(), StatusCode::not_found);
  EXPECT_THAT(missing.message(), AllOf(HasSubstr("nowhere"), HasSubstr("No such file")));
  EXPECT_EQ(LineReader::open({InputFile{folder_ / "nowhere"}}).status().code(),
            StatusCode::not_found);
}

TEST_F(LineReaderTest, AFileWithoutPermissionIsAnError) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read everything";
  const std::string path = write("a", "one\n");
  chmod(path.c_str(), 0);
  EXPECT_EQ(LineReader::open({path}).status().code(), StatusCode::io_error);
}

// The stored bytes: see byte_source_test.cc.
TEST_F(LineReaderTest, CompressedFilesAreReadLikeOthers) {
  const std::string gzip = write(
      "a.jsonl.gz",
      std::string("\x1F\x8B\x08\x00\x00\x00\x00\x00\x02\x03\xAB\x56\x2A\x49\xAD\x28\x51\xB2\x52"
                  "\xCA\xCF\x4B\x55\xAA\xE5\xAA\x86\x71\x4B\xCA\xF3\x81\x5C\x00\xFB\x0E\x50\xCB"
                  "\x1E\x00\x00\x00",
                  42));
  EXPECT_THAT(read_all({gzip, write("b", "three\n")}),
              ElementsAre("1:{\"text\":\"one\"}", "2:{\"text\":\"two\"}", "1:three"));
  auto reader = LineReader::open({write("c", std::string("\x1F\x8B\x08\x01\x02\n"))});
  LineReader::Chunk chunk;
  const Status status = reader->next(10, chunk);
  EXPECT_EQ(status.code(), StatusCode::invalid_input);
  EXPECT_THAT(status.message(), HasSubstr("ends too early"));
}

TEST_F(LineReaderTest, FilesOfCsvHaveTheirOwnHeaders) {
  const std::string a = write("a.csv", "\xEF\xBB\xBFid,text\r\n1,\"x\ny\"\r\n\r\n2,z\r\n"),
                    b = write("b.tsv", "\n\ttext\n\t\n"), c = write("c.csv", ""),
                    d = write("d.csv", "id,text\n");
  EXPECT_THAT(read_all({a, b, c, d}), ElementsAre("2:1,\"x\ny\"", "5:2,z", "3:\t"));
  auto reader = LineReader::open({a, b, write("e", "{}")});
  LineReader::Chunk chunk;
  ASSERT_TRUE(reader->next(100, chunk).ok());
  ASSERT_EQ(chunk.lines.size(), 4u);
  EXPECT_EQ(chunk.lines[0].columns, chunk.lines[1].columns);
  EXPECT_EQ(chunk.lines[1].columns->columns[0].name, "id") << "without the byte order mark";
  EXPECT_EQ(chunk.lines[2].columns->delimiter, '\t');
  EXPECT_EQ(chunk.lines[3].columns, nullptr);
}

TEST_F(LineReaderTest, AHeaderThatCannotBeReadIsAnErrorWithItsPlace) {
  auto reader = LineReader::open({write("a.csv", "\nid,id\n1,2\n")});
  LineReader::Chunk chunk;
  const Status status = reader->next(10, chunk);
  EXPECT_EQ(status.code(), StatusCode::invalid_input);
  EXPECT_THAT(status.problem().where, testing::EndsWith("a.csv:2"));
}

TEST_F(LineReaderTest, TheLongestLineCanBeSet) {
  std::string text = "id,text\n";
  for (const size_t size : {999, 1000, 1001, 1002, 5000, 400'000})
    text += std::string(size, 'x') + "\r\n" + std::string(size, 'y') + "\n";
  const std::string path = write("a", text);
  for (const Format format : {Format::json_lines, Format::csv}) {
    auto reader = LineReader::open({InputFile{path, format}}, {}, Hashing::none, {.line_bytes = 1000});
    LineReader::Chunk chunk;
    std::vector<size_t> sizes;
    while (!reader->at_end()) {
      ASSERT_TRUE(reader->next(1000, chunk).ok());
      for (const auto& line : chunk.lines) {
        sizes.push_back(line.text.size());
        EXPECT_EQ(line.max_bytes, 1000u);
      }
    }
    if (format == Format::json_lines) sizes.erase(sizes.begin());
    EXPECT_THAT(sizes,
                ElementsAre(999, 999, 1000, 1000, 1001, 1001, 1001, 1001, 1001, 1001, 1001, 1001));
  }
}

TEST_F(LineReaderTest, SaysWhatItRead) {
  const std::string a = write("a", "abc"), b = write("b", "");
  auto reader = LineReader::open({a, b});
  LineReader::Chunk chunk;
  EXPECT_TRUE(reader->inputs().empty());
  while (!reader->at_end()) ASSERT_TRUE(reader->next(10, chunk).ok());
  ASSERT_EQ(reader->inputs().size(), 2u);
  EXPECT_EQ(reader->inputs()[0].path, a);
  EXPECT_EQ(reader->inputs()[0].bytes, 3);
  EXPECT_EQ(reader->inputs()[0].sha256,  // sha256sum
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(reader->inputs()[1].bytes, 0);
}

TEST_F(LineReaderTest, FractionGrowsToOne) {
  auto reader = LineReader::open({write("a", "one\ntwo\n")});
  EXPECT_EQ(reader->fraction(), 0);
  LineReader::Chunk chunk;
  ASSERT_TRUE(reader->next(10, chunk).ok());
  EXPECT_EQ(reader->fraction(), 1);
}

// A named pipe stands for any input whose writer takes its time.
TEST_F(LineReaderTest, GivesOutWhatThereIsRatherThanWait) {
  const std::string path = folder_ / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int keeper = ::open(path.c_str(), O_RDWR);  // so that neither side waits for the other
  auto reader = LineReader::open({path});
  LineReader::Chunk chunk;

  ASSERT_TRUE(reader->next(10, chunk, LineReader::Wait::never).ok());
  EXPECT_TRUE(chunk.lines.empty());
  EXPECT_FALSE(reader->at_end());
  EXPECT_LT(reader->fraction(), 0);

  ASSERT_EQ(::write(keeper, "one\ntw", 6), 6);
  ASSERT_TRUE(reader->next(10, chunk).ok());
  ASSERT_EQ(chunk.lines.size(), 1u);
  EXPECT_EQ(chunk.lines[0].text, "one");

  ASSERT_EQ(::write(keeper, "o\n", 2), 2);
  ASSERT_TRUE(reader->next(10, chunk).ok());
  ASSERT_EQ(chunk.lines.size(), 1u);
  EXPECT_EQ(chunk.lines[0].text, "two");
  close(keeper);
}

TEST_F(LineReaderTest, StopsWhileItWaits) {
  const std::string path = folder_ / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int keeper = ::open(path.c_str(), O_RDWR);
  int asked = 0;
  auto reader = LineReader::open({path}, [&] { return ++asked > 2; });
  LineReader::Chunk chunk;
  EXPECT_EQ(reader->next(10, chunk).code(), StatusCode::interrupted);
  close(keeper);
}

}  // namespace
}  // namespace tilewise::rows
