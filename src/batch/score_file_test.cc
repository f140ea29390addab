#include "batch/score_file.h"

#include <cstring>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <xxhash.h>

#include "base/temporary_folder.h"

namespace tilewise::batch {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// A file of two rows of three numbers.
std::string two_rows() {
  ScoreWriter writer(3);
  std::string file = writer.header();
  std::string rows;
  append_score({.low = 1, .high = 2}, std::vector<float>{0.5F, -1.F, 2.F}, rows);
  append_score({.low = 3, .high = 4}, std::vector<float>{1.F, 0.F, 0.F}, rows);
  writer.add(rows);
  return file + rows + writer.footer();
}

class Aligned {
 public:
  explicit Aligned(std::string_view bytes) : words_(bytes.size() / 4 + 1), size_(bytes.size()) {
    std::memcpy(words_.data(), bytes.data(), bytes.size());
  }
  Result<ScoreFile> open() const {
    return ScoreFile::open(std::as_bytes(std::span(words_)).first(size_), "memory");
  }

 private:
  std::vector<uint32_t> words_;
  size_t size_;
};

Status refusal(std::string_view bytes) { return Aligned(bytes).open().status(); }

TEST(ScoreFile, HasTheLayoutOfItsHeader) {
  const auto le = [](uint64_t value, int bytes) {
    std::string text;
    for (int i = 0; i < bytes; ++i) text += static_cast<char>(value >> (8 * i) & 0xff);
    return text;
  };
  std::string due = "\x89TWS\r\n\x1a\n" + le(1, 4) + le(3, 4);
  due += le(1, 8) + le(2, 8) + le(0x3f000000, 4) + le(0xbf800000, 4) + le(0x40000000, 4);
  due += le(3, 8) + le(4, 8) + le(0x3f800000, 4) + le(0, 4) + le(0, 4);
  due += le(2, 8);
  due += le(XXH3_64bits(due.data(), due.size()), 8);
  EXPECT_EQ(two_rows(), due);
}

TEST(ScoreFile, GivesBackWhatWasWritten) {
  const TemporaryFolder folder;
  const auto file = ScoreFile::open(folder.write("a.scores", two_rows()));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(file->width(), 3U);
  ASSERT_EQ(file->rows(), 2U);
  EXPECT_EQ(file->key(1), (engine::Key{.low = 3, .high = 4}));
  EXPECT_THAT(file->values(0), ElementsAre(0.5F, -1.F, 2.F));
  EXPECT_THAT(file->values(1), ElementsAre(1.F, 0.F, 0.F));
}

TEST(ScoreFile, MayHaveNoRows) {
  ScoreWriter writer(1);
  const std::string header = writer.header();
  const std::string bytes = header + writer.footer();
  const Aligned file(bytes);
  ASSERT_TRUE(file.open().ok());
  EXPECT_EQ(file.open()->rows(), 0U);
}

TEST(ScoreFile, AWriterMakesOneFileAfterTheOther) {
  ScoreWriter writer(3);
  std::string row;
  append_score({.low = 1, .high = 2}, std::vector<float>{1, 2, 3}, row);
  std::string file;
  for (int i = 0; i < 2; ++i) {
    file = writer.header();
    writer.add(row);
    file += row + writer.footer();
  }
  EXPECT_TRUE(refusal(file).ok()) << refusal(file).message();
}

TEST(ScoreFile, AnyChangedBitIsRefused) {
  const std::string good = two_rows();
  for (size_t bit = 0; bit < 8 * good.size(); ++bit) {
    std::string bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << bit % 8));
    EXPECT_FALSE(refusal(bad).ok()) << "bit " << bit;
  }
}

TEST(ScoreFile, AnyOtherLengthIsRefused) {
  const std::string good = two_rows();
  for (size_t size = 0; size < good.size(); ++size) {
    EXPECT_EQ(refusal(good.substr(0, size)).code(), StatusCode::invalid_input) << size;
  }
  EXPECT_EQ(refusal(good + std::string(28, '\0')).code(), StatusCode::invalid_input);
}

TEST(ScoreFile, WhatIsWrongIsSaid) {
  EXPECT_THAT(refusal("{\"id\":1}").message(), HasSubstr("no score file"));
  EXPECT_THAT(refusal("").message(), HasSubstr("no score file"));
  std::string newer = two_rows();
  newer[8] = 2;
  EXPECT_EQ(refusal(newer).code(), StatusCode::unsupported);
  EXPECT_THAT(refusal(two_rows().substr(0, 60)).message(), HasSubstr("damaged"));
  EXPECT_EQ(ScoreFile::open("/nonexistent/a.scores").status().code(), StatusCode::not_found);
}

}  // namespace
}  // namespace tilewise::batch
