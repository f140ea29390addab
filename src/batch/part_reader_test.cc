#include "batch/part_reader.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include "base/temporary_folder.h"

namespace tilewise::batch {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::string hash_of(const std::string& text) {
  const XXH128_hash_t hash = XXH3_128bits(text.data(), text.size());
  return fmt::format("{:016x}{:016x}", hash.high64, hash.low64);
}

class PartReaderTest : public testing::Test {
 protected:
  PartReader open(const std::string& name, const std::string& text, int64_t rows_per_part,
                  int64_t limit = 0) {
    const std::vector<std::string> paths = {folder_.write(name, text)};
    auto lines = rows::LineReader::open(paths);
    EXPECT_TRUE(lines.ok()) << lines.status().message();
    return {*std::move(lines), rows_per_part, limit};
  }

  /// Reads to the end, at most `most` rows at a time.
  void read(PartReader& reader, int64_t most) {
    rows::LineReader::Chunk chunk;
    for (int i = 0; i < 1000 && !reader.at_end(); ++i) {
      ASSERT_TRUE(reader.next(most, chunk, rows::LineReader::Wait::for_input).ok());
      chunks_.push_back(static_cast<int64_t>(chunk.lines.size()));
      if (const auto ended = reader.take_ended()) ended_.push_back(*ended);
    }
    if (!chunks_.empty() && chunks_.back() == 0) chunks_.pop_back();
  }

  TemporaryFolder folder_;
  std::vector<int64_t> chunks_;
  std::vector<PartInput> ended_;
};

TEST_F(PartReaderTest, NoChunkLiesInTwoParts) {
  PartReader reader = open("a.jsonl", "a\nb\nc\nd\ne\nf\ng\n", 3);
  read(reader, 2);
  EXPECT_THAT(chunks_, ElementsAre(2, 1, 2, 1, 1));
  EXPECT_THAT(ended_,
              ElementsAre(PartInput{0, 3, hash_of("a\nb\nc\n")},
                          PartInput{1, 3, hash_of("d\ne\nf\n")}, PartInput{2, 1, hash_of("g\n")}));
  EXPECT_EQ(reader.part(), 3);
}

TEST_F(PartReaderTest, TheLastPartMayBeFull) {
  PartReader reader = open("a.jsonl", "a\nb\nc\nd\n", 2);
  read(reader, 10);
  EXPECT_THAT(ended_,
              ElementsAre(PartInput{0, 2, hash_of("a\nb\n")}, PartInput{1, 2, hash_of("c\nd\n")}));
  EXPECT_EQ(reader.part(), 2);
}

TEST_F(PartReaderTest, ALimitEndsTheLastPart) {
  PartReader reader = open("a.jsonl", "a\nb\nc\nd\n", 2, 3);
  read(reader, 10);
  EXPECT_THAT(ended_,
              ElementsAre(PartInput{0, 2, hash_of("a\nb\n")}, PartInput{1, 1, hash_of("c\n")}));
}

TEST_F(PartReaderTest, NoRowsNoParts) {
  PartReader reader = open("a.jsonl", "\n\n", 2);
  read(reader, 10);
  EXPECT_THAT(ended_, IsEmpty());
  EXPECT_EQ(reader.part(), 0);
}

TEST_F(PartReaderTest, NumbersOfLinesBelongToTheRows) {
  PartReader reader = open("a.jsonl", "a\n\nb\nc\n", 2);
  read(reader, 10);
  EXPECT_THAT(ended_, ElementsAre(PartInput{0, 2,
                                            hash_of("a\n\x1e"
                                                    "3\nb\n")},
                                  PartInput{1, 1, hash_of("c\n")}));
}

TEST_F(PartReaderTest, TheHeaderBelongsToEachPart) {
  PartReader reader = open("a.csv", "id,text\n1,a\n2,b\n3,c\n", 2);
  read(reader, 10);
  EXPECT_THAT(ended_, ElementsAre(PartInput{0, 2,
                                            hash_of("id\ntext\n\x1e"
                                                    "2\n1,a\n2,b\n")},
                                  PartInput{1, 1, hash_of("id\ntext\n3,c\n")}));
}

}  // namespace
}  // namespace tilewise::batch
