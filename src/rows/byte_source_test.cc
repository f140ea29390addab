#include "rows/byte_source.h"

#include <vector>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "base/temporary_folder.h"

namespace tilewise::rows {
namespace {

using testing::HasSubstr;

const std::string kText = "{\"text\":\"one\"}\n{\"text\":\"two\"}\n";

// kText as Python's gzip.compress(..., mtime=0), zstd 1.5.4 and pzstd (which puts a frame to skip
// before its data) store it.
const std::string kGzip(
    "\x1F\x8B\x08\x00\x00\x00\x00\x00\x02\x03\xAB\x56\x2A\x49\xAD\x28\x51\xB2\x52\xCA\xCF\x4B\x55"
    "\xAA\xE5\xAA\x86\x71\x4B\xCA\xF3\x81\x5C\x00\xFB\x0E\x50\xCB\x1E\x00\x00\x00",
    42);
const std::string kZstd(
    "\x28\xB5\x2F\xFD\x24\x1E\xDD\x00\x00\xA8\x7B\x22\x74\x65\x78\x74\x22\x3A\x22\x6F\x6E\x65\x22"
    "\x7D\x0A\x74\x77\x6F\x22\x7D\x0A\x01\x00\x52\xCC\x3A\x90\xE2\xDF\xEE",
    40);
const std::string kPzstd(
    "\x50\x2A\x4D\x18\x04\x00\x00\x00\x28\x00\x00\x00\x28\xB5\x2F\xFD\x04\x58\xDD\x00\x00\xA8\x7B"
    "\x22\x74\x65\x78\x74\x22\x3A\x22\x6F\x6E\x65\x22\x7D\x0A\x74\x77\x6F\x22\x7D\x0A\x01\x00\x52"
    "\xCC\x3A\x90\xE2\xDF\xEE",
    52);

/// All bytes, or what went wrong.
Result<std::string> read_all(ByteSource& source, size_t buffer_bytes = 1024) {
  std::string text;
  std::vector<char> buffer(buffer_bytes);
  while (!source.at_end()) {
    auto count = source.read(buffer);
    if (!count.ok()) return count.status();
    text.append(buffer.data(), *count);
  }
  return text;
}

Result<std::string> read_file(const std::string& path) {
  auto source = ByteSource::open(path, Hashing::none);
  EXPECT_TRUE(source.ok());
  return read_all(*source);
}

class ByteSourceTest : public testing::Test {
 protected:
  void expect_text(const std::string& stored, const std::string& text) {
    const auto read = read_file(folder_.write("file", stored));
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(*read, text);
  }

  Status refused(const std::string& stored) {
    const auto read = read_file(folder_.write("file", stored));
    EXPECT_FALSE(read.ok());
    return read.ok() ? Status() : read.status();
  }

  TemporaryFolder folder_;
};

TEST_F(ByteSourceTest, PlainBytesPassAsTheyAre) {
  for (const std::string& text :
       {std::string(), kText, std::string("\x1F"), std::string("\x28\xB5"), std::string("\x1Fx"),
        std::string("P*M"), std::string(300'000, 'x')})
    expect_text(text, text);
}

TEST_F(ByteSourceTest, GzipAndZstdAreRecognisedByTheirFirstBytes) {
  expect_text(kGzip, kText);
  expect_text(kZstd, kText);
  expect_text(kPzstd, kText);
}

TEST_F(ByteSourceTest, FilesOfSeveralMembersOrFramesAreOneText) {
  expect_text(kGzip + kGzip + kGzip, kText + kText + kText);
  expect_text(kZstd + kPzstd + kZstd, kText + kText + kText);
  expect_text(kGzip + std::string(1000, '\0'), kText);  // padding, as gzip passes it over
}

TEST_F(ByteSourceTest, MuchThatCompressesWellStreams) {
  std::string text;
  for (int i = 0; i < 50'000; ++i) text += "row " + std::to_string(i % 10) + "\n";
  text += std::string(3'000'000, 'x');
  std::string gzip(compressBound(text.size()) + 100, '\0');
  z_stream stream{};
  ASSERT_EQ(deflateInit2(&stream, 9, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  stream.next_in = reinterpret_cast<Bytef*>(text.data());
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(gzip.data());
  stream.avail_out = static_cast<uInt>(gzip.size());
  ASSERT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  gzip.resize(stream.total_out);
  deflateEnd(&stream);
  expect_text(gzip, text);

  std::string zstd(ZSTD_compressBound(text.size()), '\0');
  zstd.resize(ZSTD_compress(zstd.data(), zstd.size(), text.data(), text.size(), 19));
  expect_text(zstd, text);
}

TEST_F(ByteSourceTest, WhatEndsTooEarlyIsAnErrorWhereverItWasCut) {
  for (const std::string& whole : {kGzip, kZstd}) {
    for (size_t size = 4; size < whole.size(); ++size) {
      const Status status = refused(whole.substr(0, size));
      EXPECT_EQ(status.code(), StatusCode::invalid_input) << size;
      EXPECT_THAT(status.message(), HasSubstr("ends too early"));
      EXPECT_THAT(status.problem().where, HasSubstr("file, byte " + std::to_string(size)));
    }
    EXPECT_THAT(refused(whole + whole.substr(0, 10)).message(), HasSubstr("ends too early"));
  }
}

TEST_F(ByteSourceTest, DamageIsAnErrorWithThePlace) {
  for (std::string stored : {kGzip, kZstd}) {
    stored[stored.size() - 4] ^= 1;  // in the checks at its end
    const Status status = refused(stored);
    EXPECT_EQ(status.code(), StatusCode::invalid_input);
    EXPECT_THAT(status.message(), HasSubstr("data is broken"));
    EXPECT_THAT(status.problem().where, HasSubstr("file, byte "));
  }
  EXPECT_THAT(refused(kGzip + "garbage").message(), HasSubstr("gzip data is broken"));
  EXPECT_THAT(refused(kGzip + '\0' + kGzip).message(), HasSubstr("behind its padding"));
  EXPECT_THAT(refused(kZstd + "garbage").message(), HasSubstr("zstd data is broken"));
}

TEST_F(ByteSourceTest, AZstdWindowThatIsTooLargeIsRefusedBeforeItCostsMemory) {
  // A frame header (RFC 8878, 3.1.1.1): no single segment, window 2^31 bytes.
  const Status status = refused(std::string("\x28\xB5\x2F\xFD\x00\xA8\x01\x00\x00", 9));
  EXPECT_EQ(status.code(), StatusCode::unsupported);
  EXPECT_THAT(status.message(), HasSubstr("window"));
}

TEST_F(ByteSourceTest, TheLargestWindowCanBeSet) {
  // The same with a window of 8 MB, and of 1 MB.
  const std::string large("\x28\xB5\x2F\xFD\x00\x68\x01\x00\x00", 9);
  const std::string small("\x28\xB5\x2F\xFD\x00\x50\x01\x00\x00", 9);
  const auto read = [&](const std::string& bytes) {
    auto source = ByteSource::open(folder_.write("file", bytes), Hashing::none, size_t{1} << 20);
    std::vector<char> buffer(1 << 16);
    Status status;
    while (status.ok() && !source->at_end()) status = source->read(buffer).status();
    return status;
  };
  EXPECT_EQ(read(large).code(), StatusCode::unsupported);
  EXPECT_THAT(read(large).message(), HasSubstr("at most 1 MB"));
  EXPECT_TRUE(read(small).ok()) << read(small).message();
}

TEST_F(ByteSourceTest, TheStoredBytesAreCountedAndHashed) {
  const std::pair<std::string, std::string> cases[] = {
      // sha256sum
      {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
      {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
      {kGzip, "1acbc46f7155097239d528760450187fbc4a1073b74f3454542223033603843c"},
  };
  for (const auto& [stored, sha256] : cases) {
    auto source = ByteSource::open(folder_.write("file", stored), Hashing::sha256);
    ASSERT_TRUE(source.ok());
    ASSERT_TRUE(read_all(*source).ok());
    EXPECT_EQ(source->sha256(), sha256);
    EXPECT_EQ(source->stored_bytes(), static_cast<int64_t>(stored.size()));
  }
  EXPECT_EQ(ByteSource::open(folder_ / "nowhere", Hashing::none).status().code(),
            StatusCode::not_found);
}

// A pipe whose writer takes its time: what can be said of the bytes so far is said at once.
TEST_F(ByteSourceTest, GivesWhatIsThere) {
  const std::string path = folder_ / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int keeper = ::open(path.c_str(), O_RDWR);
  auto source = ByteSource::open(path, Hashing::none);
  ASSERT_TRUE(source.ok());
  std::vector<char> buffer(1024);
  EXPECT_FALSE(source->is_ready(0));

  ASSERT_EQ(::write(keeper, "\x28", 1), 1);  // an open parenthesis, or the start of zstd data
  ASSERT_TRUE(source->is_ready(0));
  EXPECT_EQ(*source->read(buffer), 0u);
  EXPECT_FALSE(source->is_ready(0));
  ASSERT_EQ(::write(keeper, "x", 1), 1);
  ASSERT_EQ(*source->read(buffer), 2u);
  EXPECT_EQ(std::string(buffer.data(), 2), "\x28x");
  EXPECT_FALSE(source->at_end());
  close(keeper);
}

TEST_F(ByteSourceTest, WhatAWriterFlushedIsReadBeforeItsMemberEnds) {
  const std::string path = folder_ / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const int keeper = ::open(path.c_str(), O_RDWR);
  auto source = ByteSource::open(path, Hashing::none);
  ASSERT_TRUE(source.ok());
  z_stream stream{};
  ASSERT_EQ(deflateInit2(&stream, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY), Z_OK);
  std::vector<char> buffer(1024);
  for (std::string line : {"first line\n", "second line\n"}) {
    std::string stored(1000, '\0');
    stream.next_in = reinterpret_cast<Bytef*>(line.data());
    stream.avail_in = static_cast<uInt>(line.size());
    stream.next_out = reinterpret_cast<Bytef*>(stored.data());
    stream.avail_out = static_cast<uInt>(stored.size());
    ASSERT_EQ(deflate(&stream, Z_SYNC_FLUSH), Z_OK);
    stored.resize(stored.size() - stream.avail_out);
    ASSERT_EQ(::write(keeper, stored.data(), stored.size()), std::ssize(stored));
    std::string read;
    while (source->is_ready(0)) read.append(buffer.data(), *source->read(buffer));
    EXPECT_EQ(read, line);
  }
  deflateEnd(&stream);
  close(keeper);
}

}  // namespace
}  // namespace tilewise::rows
