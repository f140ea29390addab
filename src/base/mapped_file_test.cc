#include "base/mapped_file.h"

#include <cstdint>
#include <fstream>
#include <optional>
#include <sstream>
#include <string>
#include <utility>

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/temporary_folder.h"

namespace tilewise {
namespace {

std::string text_of(const MappedFile& file) {
  return {reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()};
}

// A text with zero bytes, longer than a page.
std::string long_text() {
  std::string text(10000, '\0');
  for (size_t i = 0; i < text.size(); ++i) text[i] = static_cast<char>(i * 7);
  return text;
}

TEST(MappedFile, HoldsTheBytes) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", long_text());
  const Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_EQ(text_of(*file), long_text());
  EXPECT_EQ(file->path(), path);
}

TEST(MappedFile, EmptyFileIsAnEmptySpan) {
  const TemporaryFolder folder;
  const Result<MappedFile> file = MappedFile::open(folder.write("empty", ""));
  ASSERT_TRUE(file.ok()) << file.status().message();
  EXPECT_TRUE(file->bytes().empty());
}

TEST(MappedFile, MoveKeepsTheAddress) {
  const TemporaryFolder folder;
  Result<MappedFile> opened = MappedFile::open(folder.write("file", long_text()));
  ASSERT_TRUE(opened.ok());
  const std::byte* address = opened->bytes().data();
  MappedFile moved = *std::move(opened);
  EXPECT_EQ(moved.bytes().data(), address);

  Result<MappedFile> other = MappedFile::open(folder.write("other", "other"));
  ASSERT_TRUE(other.ok());
  MappedFile assigned = *std::move(other);
  assigned = std::move(moved);
  EXPECT_EQ(assigned.bytes().data(), address);
  EXPECT_EQ(text_of(assigned), long_text());
}

/// How many of the mapping's bytes count as the process's; nullopt where the system does not say.
std::optional<long> resident_bytes(const MappedFile& file) {
  std::ifstream maps("/proc/self/smaps");
  std::ostringstream address;
  address << std::hex << reinterpret_cast<uintptr_t>(file.bytes().data()) << '-';
  bool is_found = false;
  for (std::string line; std::getline(maps, line);) {
    is_found = is_found || line.starts_with(address.str());
    if (is_found && line.starts_with("Rss:")) return std::stol(line.substr(4)) * 1024;
  }
  return std::nullopt;
}

TEST(MappedFile, WhatIsReleasedTakesNoMemoryUntilItIsReadAgain) {
  const TemporaryFolder folder;
  std::string text;
  for (int i = 0; i < 100; ++i) text += long_text();
  const Result<MappedFile> file = MappedFile::open(folder.write("file", text));
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(text_of(*file), text);
  const auto before = resident_bytes(*file);
  if (!before) GTEST_SKIP() << "/proc/self/smaps cannot be read";
  EXPECT_GE(*before, static_cast<long>(text.size()));
  file->release(file->bytes().subspan(10, 5));  // no whole page
  EXPECT_EQ(resident_bytes(*file), before);
  file->release(file->bytes());
  EXPECT_LE(*resident_bytes(*file), static_cast<long>(::sysconf(_SC_PAGESIZE)));
  EXPECT_EQ(text_of(*file), text);
}

TEST(MappedFile, SurvivesRemovalOfTheName) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", long_text());
  const Result<MappedFile> file = MappedFile::open(path);
  ASSERT_TRUE(file.ok());
  ASSERT_EQ(::unlink(path.c_str()), 0);
  EXPECT_EQ(text_of(*file), long_text());
}

// Both ways of reading owe the same errors.
struct Reader {
  const char* name;
  Status (*read)(const std::string& path);
};
void PrintTo(const Reader& reader, std::ostream* out) { *out << reader.name; }

class Reading : public testing::TestWithParam<Reader> {};

INSTANTIATE_TEST_SUITE_P(
    Readers, Reading,
    testing::Values(Reader{"MappedFile",
                           [](const std::string& path) { return MappedFile::open(path).status(); }},
                    Reader{"ReadFile",
                           [](const std::string& path) { return read_file(path).status(); }}),
    [](const auto& param_info) { return param_info.param.name; });

TEST_P(Reading, MissingFile) {
  const TemporaryFolder folder;
  for (const char* name : {"missing", "missing/file"}) {
    const Status status = GetParam().read(folder / name);
    EXPECT_EQ(status.code(), StatusCode::not_found);
    EXPECT_EQ(status.problem().where, folder / name);
    EXPECT_EQ(status.problem().found, "No such file or directory");
    EXPECT_FALSE(status.problem().remedy.empty());
  }
}

TEST_P(Reading, FileTakenForAFolder) {
  const TemporaryFolder folder;
  folder.write("file", "text");
  EXPECT_EQ(GetParam().read(folder / "file/below").code(), StatusCode::not_found);
}

TEST_P(Reading, Directory) {
  const TemporaryFolder folder;
  const Status status = GetParam().read(folder.path());
  EXPECT_EQ(status.code(), StatusCode::io_error);
  EXPECT_EQ(status.problem().found, "a directory");
}

TEST_P(Reading, PipeDoesNotBlock) {
  const TemporaryFolder folder;
  ASSERT_EQ(::mkfifo((folder / "pipe").c_str(), 0600), 0);
  const Status status = GetParam().read(folder / "pipe");
  EXPECT_EQ(status.code(), StatusCode::io_error);
  EXPECT_EQ(status.problem().found, "a pipe");
}

TEST_P(Reading, Device) { EXPECT_EQ(GetParam().read("/dev/zero").problem().found, "a device"); }

TEST_P(Reading, Unreadable) {
  const TemporaryFolder folder;
  const std::string path = folder.write("secret", "text");
  ASSERT_EQ(::chmod(folder.path().c_str(), 0755), 0);
  ASSERT_EQ(::chmod(path.c_str(), 0), 0);
  constexpr uid_t kNobody =
      65534;  // root may read everything, so root becomes somebody else for a moment
  const bool is_root = ::geteuid() == 0;
  if (is_root && ::seteuid(kNobody) != 0)
    GTEST_SKIP() << "root here, and not allowed to become another user";
  const Status status = GetParam().read(path);
  if (is_root) {
    ASSERT_EQ(::seteuid(0), 0);
  }
  EXPECT_EQ(status.code(), StatusCode::io_error);
  EXPECT_EQ(status.problem().where, path);
  EXPECT_EQ(status.problem().found, "Permission denied");
}

TEST(ReadFile, GivesTheText) {
  const TemporaryFolder folder;
  EXPECT_EQ(*read_file(folder.write("file", long_text())), long_text());
  EXPECT_EQ(*read_file(folder.write("empty", "")), "");
}

TEST(ReadFile, ReadsFilesThatHideTheirSize) {
  const Result<std::string> text = read_file("/proc/self/status");
  ASSERT_TRUE(text.ok()) << text.status().message();
  EXPECT_TRUE(text->starts_with("Name:"));
}

TEST(ReadFile, KeepsToTheLimit) {
  const TemporaryFolder folder;
  const std::string path = folder.write("file", "12345");
  EXPECT_TRUE(read_file(path, 5).ok());
  const Status status = read_file(path, 4).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_input);
  EXPECT_EQ(status.problem().expected, "at most 4 bytes");
  EXPECT_EQ(read_file("/proc/self/status", 10).status().code(), StatusCode::invalid_input);
}

}  // namespace
}  // namespace tilewise
