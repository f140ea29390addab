#include "batch/temporary_map.h"

#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>

#include "base/temporary_folder.h"

namespace tilewise::batch {
namespace {

using testing::Each;
using testing::HasSubstr;

TEST(TemporaryMap, KeepsItsBytesAndGrowsWithZeros) {
  const TemporaryFolder folder;
  auto map = TemporaryMap::create(folder.path());
  ASSERT_TRUE(map.ok()) << map.status().message();
  EXPECT_TRUE(map->bytes().empty());
  ASSERT_TRUE(map->resize(5000).ok());
  EXPECT_THAT(map->bytes(), Each(std::byte{0}));
  std::ranges::fill(map->bytes(), std::byte{7});
  ASSERT_TRUE(map->resize(3'000'000).ok());
  EXPECT_THAT(map->bytes().first(5000), Each(std::byte{7}));
  EXPECT_EQ(std::ranges::count(map->bytes(), std::byte{0}), 3'000'000 - 5000);
  ASSERT_TRUE(map->resize(10).ok());
  ASSERT_TRUE(map->resize(5000).ok());
  EXPECT_THAT(map->bytes().first(10), Each(std::byte{7}));
  EXPECT_THAT(map->bytes().subspan(10), Each(std::byte{0})) << "what was given back is gone";
  ASSERT_TRUE(map->resize(0).ok());
  EXPECT_TRUE(map->bytes().empty());
}

TEST(TemporaryMap, HasNoNameAndMovesWithItsBytes) {
  const TemporaryFolder folder;
  auto a = TemporaryMap::create(folder.path());
  auto b = TemporaryMap::create(folder.path());
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(folder.entries(), 0);
  ASSERT_TRUE(a->resize(1).ok() && b->resize(2).ok());
  b->bytes()[1] = std::byte{9};
  *a = *std::move(b);
  ASSERT_EQ(a->bytes().size(), 2U);
  ASSERT_TRUE(a->resize(3).ok());
  EXPECT_EQ(a->bytes()[1], std::byte{9});
}

/// No file of this process may be larger, as on a disk that is full.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const rlimit limit = {.rlim_cur = bytes, .rlim_max = before_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }

 private:
  void (*handler_)(int);
  rlimit before_ = {};
};

TEST(TemporaryMap, AFullDiskIsAnErrorAndLosesNothing) {
  const TemporaryFolder folder;
  auto map = TemporaryMap::create(folder.path());
  ASSERT_TRUE(map.ok() && map->resize(4096).ok());
  map->bytes()[4095] = std::byte{5};
  Status full;
  {
    const FileSizeLimit limit(65536);
    full = map->resize(1 << 20);
  }
  EXPECT_EQ(full.code(), StatusCode::io_error);
  EXPECT_THAT(full.message(), HasSubstr(folder.path()));
  EXPECT_THAT(full.message(), HasSubstr("TMPDIR"));
  ASSERT_EQ(map->bytes().size(), 4096U);
  EXPECT_EQ(map->bytes()[4095], std::byte{5});
  EXPECT_TRUE(map->resize(1 << 20).ok()) << "once there is room";
}

TEST(TemporaryMap, ADirectoryThatIsNotThereIsNamed) {
  const Status missing = TemporaryMap::create("/nonexistent/directory").status();
  EXPECT_EQ(missing.code(), StatusCode::io_error);
  EXPECT_THAT(missing.message(), HasSubstr("/nonexistent/directory"));
}

TEST(TemporaryMap, LiesInTmpdirByDefault) {
  const char* set = std::getenv("TMPDIR");
  const std::string before = set != nullptr ? set : "";
  ASSERT_EQ(::setenv("TMPDIR", "/nonexistent/by/default", 1), 0);
  const Status missing = TemporaryMap::create("").status();
  ::unsetenv("TMPDIR");
  EXPECT_TRUE(TemporaryMap::create("").ok()) << "in /tmp";
  if (!before.empty()) ::setenv("TMPDIR", before.c_str(), 1);
  EXPECT_THAT(missing.message(), HasSubstr("/nonexistent/by/default"));
}

}  // namespace
}  // namespace tilewise::batch
