#include "rows/compressor.h"

#include <random>

#include <gtest/gtest.h>
#include <zlib.h>
#include <zstd.h>

namespace tilewise::rows {
namespace {

std::string gunzip(const std::string& stored, size_t size) {
  std::string text(size + 1, '\0');
  z_stream stream{};
  EXPECT_EQ(inflateInit2(&stream, 15 + 16), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(stored.data()));
  stream.avail_in = static_cast<uInt>(stored.size());
  stream.next_out = reinterpret_cast<Bytef*>(text.data());
  stream.avail_out = static_cast<uInt>(text.size());
  EXPECT_EQ(inflate(&stream, Z_FINISH), Z_STREAM_END);
  EXPECT_EQ(stream.avail_in, 0u) << "one member";
  text.resize(stream.total_out);
  inflateEnd(&stream);
  return text;
}

std::string unzstd(const std::string& stored, size_t size) {
  std::string text(size + 1, '\0');
  const size_t count = ZSTD_decompress(text.data(), text.size(), stored.data(), stored.size());
  EXPECT_FALSE(ZSTD_isError(count)) << ZSTD_getErrorName(count);
  text.resize(ZSTD_isError(count) ? 0 : count);
  return text;
}

/// Compressed in pieces of random sizes up to `most`.
std::string compress(Compressor& compressor, std::string_view text, size_t most) {
  std::mt19937 random(3);
  std::string out;
  while (!text.empty()) {
    const size_t count = std::min(text.size(), 1 + random() % most);
    EXPECT_TRUE(compressor.append(text.substr(0, count), out).ok());
    text.remove_prefix(count);
  }
  EXPECT_TRUE(compressor.finish(out).ok());
  return out;
}

std::string rows_of_text(size_t rows) {
  std::mt19937 random(9);
  std::string text;
  for (size_t i = 0; i < rows; ++i) {
    text += "{\"id\":" + std::to_string(i) + ",\"score\":0." + std::to_string(random()) +
            ",\"label\":null}\n";
  }
  return text;
}

TEST(Compressor, OtherToolsReadIt) {
  for (const size_t rows : {0, 1, 30'000}) {
    const std::string text = rows_of_text(rows);
    auto gzip = Compressor::create(Compression::gzip);
    auto zstd = Compressor::create(Compression::zstd);
    auto none = Compressor::create(Compression::none);
    ASSERT_TRUE(gzip.ok() && zstd.ok() && none.ok());
    EXPECT_EQ(gunzip(compress(*gzip, text, 5000), text.size()), text);
    EXPECT_EQ(unzstd(compress(*zstd, text, 5000), text.size()), text);
    EXPECT_EQ(compress(*none, text, 5000), text);
  }
}

TEST(Compressor, EqualTextGivesEqualBytesHoweverItIsCutAndWhateverWentBefore) {
  const std::string text = rows_of_text(20'000);
  for (const Compression compression : {Compression::gzip, Compression::zstd}) {
    auto one = Compressor::create(compression);
    auto other = Compressor::create(compression);
    ASSERT_TRUE(one.ok() && other.ok());
    const std::string whole = compress(*one, text, 1 << 30);
    EXPECT_EQ(compress(*other, text, 100), whole);
    EXPECT_EQ(compress(*other, text, 400'000), whole) << "the second file of one compressor";
    EXPECT_LT(whole.size(), text.size() / 2);
  }
}

TEST(Compressor, NoTimeAndNoNameStandsInGzipsHeader) {
  auto gzip = Compressor::create(Compression::gzip);
  ASSERT_TRUE(gzip.ok());
  const std::string stored = compress(*gzip, "text", 10);
  EXPECT_EQ(stored.substr(0, 8), std::string("\x1F\x8B\x08\x00\x00\x00\x00\x00", 8));
}

}  // namespace
}  // namespace tilewise::rows
