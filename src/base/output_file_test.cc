#include "base/output_file.h"

#include <csignal>
#include <filesystem>
#include <functional>
#include <string>
#include <utility>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/temporary_folder.h"

namespace tilewise {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

OutputFile create(const std::string& path) {
  Result<OutputFile> file = OutputFile::create(path);
  EXPECT_TRUE(file.ok()) << file.status().message();
  return *std::move(file);
}

TEST(OutputFile, AppearsOnCommit) {
  const TemporaryFolder folder;
  OutputFile file = create(folder / "out");
  EXPECT_TRUE(file.write("some ").ok());
  EXPECT_TRUE(file.write("text").ok());
  EXPECT_EQ(file.size(), 9u);
  EXPECT_FALSE(std::filesystem::exists(folder / "out"));
  ASSERT_TRUE(file.commit().ok());
  EXPECT_EQ(folder.read("out"), "some text");
  EXPECT_EQ(folder.entries(), 1);
}

TEST(OutputFile, EmptyIsAFileToo) {
  const TemporaryFolder folder;
  ASSERT_TRUE(create(folder / "out").commit().ok());
  EXPECT_TRUE(std::filesystem::exists(folder / "out"));
  EXPECT_EQ(folder.read("out"), "");
}

TEST(OutputFile, LeavesNothingWithoutCommit) {
  const TemporaryFolder folder;
  {
    OutputFile file = create(folder / "out");
    EXPECT_TRUE(file.write(std::string(2 * kMiB, 'x')).ok());
    EXPECT_EQ(folder.entries(), 1);  // the temporary file
  }
  EXPECT_EQ(folder.entries(), 0);
}

TEST(OutputFile, KeepsTheOldFileUntilCommit) {
  const TemporaryFolder folder;
  folder.write("out", "old");
  {
    EXPECT_TRUE(create(folder / "out").write("lost").ok());
  }
  EXPECT_EQ(folder.read("out"), "old");
  OutputFile file = create(folder / "out");
  EXPECT_TRUE(file.write("new").ok());
  EXPECT_EQ(folder.read("out"), "old");
  ASSERT_TRUE(file.commit().ok());
  EXPECT_EQ(folder.read("out"), "new");
  EXPECT_EQ(folder.entries(), 1);
}

// Pieces around the size of the buffer, in both forms of write.
TEST(OutputFile, KeepsTheOrderOfSmallAndLargePieces) {
  const TemporaryFolder folder;
  OutputFile file = create(folder / "out");
  std::string expected;
  char letter = 'a';
  for (const size_t size : {size_t{1}, kMiB / 4 - 1, kMiB / 4, size_t{3}, kMiB / 4 + 1, 3 * kMiB,
                            size_t{0}, size_t{2}}) {
    const std::string piece(size, letter++);
    expected += piece;
    if (size % 2 == 0) {
      EXPECT_TRUE(file.write(piece).ok());
    } else {
      EXPECT_TRUE(file.write(std::as_bytes(std::span(piece))).ok());
    }
  }
  EXPECT_EQ(file.size(), expected.size());
  ASSERT_TRUE(file.commit().ok());
  EXPECT_TRUE(folder.read("out") == expected);
}

TEST(OutputFile, MovesWithWhatWasWritten) {
  const TemporaryFolder folder;
  OutputFile first = create(folder / "out");
  EXPECT_TRUE(first.write("some ").ok());
  OutputFile second = std::move(first);
  EXPECT_TRUE(second.write("text").ok());
  ASSERT_TRUE(second.commit().ok());
  EXPECT_EQ(folder.read("out"), "some text");
}

TEST(OutputFile, HasThePermissionsOfAnyNewFile) {
  const TemporaryFolder folder;
  const mode_t mask = ::umask(027);
  EXPECT_TRUE(create(folder / "out").commit().ok());
  ::umask(mask);
  struct stat info = {};
  ASSERT_EQ(::stat((folder / "out").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777u, 0640u);
}

TEST(OutputFile, BareNameGoesToTheCurrentFolder) {
  const TemporaryFolder folder;
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(folder.path());
  OutputFile file = create("out");
  const Status status = file.commit();
  std::filesystem::current_path(before);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_TRUE(std::filesystem::exists(folder / "out"));
}

TEST(OutputFile, RefusesAMissingFolder) {
  const TemporaryFolder folder;
  const Status status = OutputFile::create(folder / "missing/out").status();
  EXPECT_EQ(status.code(), StatusCode::io_error);
  EXPECT_EQ(status.problem().where, folder / "missing/out");
  EXPECT_EQ(status.problem().found, "No such file or directory");
}

// Renaming over /dev/null would take it away from the whole machine.
TEST(OutputFile, RefusesWhatIsNotAFile) {
  const TemporaryFolder folder;
  EXPECT_EQ(OutputFile::create(folder.path()).status().problem().found, "a directory");
  EXPECT_EQ(OutputFile::create("/dev/null").status().code(), StatusCode::io_error);
  EXPECT_EQ(folder.entries(), 0);
}

TEST(OutputFile, CannotBeUsedAfterCommit) {
  const TemporaryFolder folder;
  OutputFile file = create(folder / "out");
  ASSERT_TRUE(file.commit().ok());
  EXPECT_EQ(file.write("more").code(), StatusCode::internal);
  EXPECT_EQ(file.commit().code(), StatusCode::internal);
  EXPECT_EQ(folder.read("out"), "");
}

TEST(OutputFile, ReportsAFolderThatWentAway) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "sub");
  OutputFile file = create(folder / "sub/out");
  std::filesystem::remove_all(folder / "sub");
  const Status status = file.commit();
  EXPECT_EQ(status.code(), StatusCode::io_error);
  EXPECT_EQ(status.problem().where, folder / "sub/out");
}

// Runs `body` in a process of its own, whose limits and mounts may be changed, and passes its
// failures on.
enum Outcome { kPassed = 0, kFailed = 1, kSkipped = 2 };

Outcome in_child(const std::function<Outcome()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = -1;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? static_cast<Outcome>(WEXITSTATUS(status)) : kFailed;
}

// Writes more than there is room for; whatever fails first must say why, and leave the folder as it
// was.
Outcome write_too_much(const TemporaryFolder& folder, const std::string& path,
                       const std::string& reason) {
  Result<OutputFile> file = OutputFile::create(path);
  if (!file.ok()) return kFailed;
  Status status;
  for (int i = 0; i < 4 && status.ok(); ++i) status = file->write(std::string(kMiB, 'x'));
  if (status.ok()) status = file->commit();
  const bool told = status.code() == StatusCode::io_error && status.problem().where == path &&
                    status.problem().found == reason &&
                    status.problem().remedy.starts_with("Free some space");
  const bool used_up = file->write("more").code() == StatusCode::internal;
  const bool clean = std::filesystem::is_empty(std::filesystem::path(path).parent_path());
  if (!told) ADD_FAILURE() << status.message();
  return told && used_up && clean && folder.entries() <= 1 ? kPassed : kFailed;
}

TEST(OutputFile, FileSizeLimit) {
  const TemporaryFolder folder;
  EXPECT_EQ(kPassed, in_child([&] {
              std::signal(SIGXFSZ, SIG_IGN);
              const rlimit limit = {2 * kMiB, 2 * kMiB};
              if (setrlimit(RLIMIT_FSIZE, &limit) != 0) return kFailed;
              return write_too_much(folder, folder / "out", "File too large");
            }));
}

TEST(OutputFile, FullDisk) {
  const TemporaryFolder folder;
  std::filesystem::create_directory(folder / "disk");
  const std::string disk = folder / "disk";
  const Outcome outcome = in_child([&] {
    // A file system of 1 MiB that only this process sees, and that goes away with it.
    if (unshare(CLONE_NEWNS) != 0 ||
        mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0 ||
        mount("tmpfs", disk.c_str(), "tmpfs", 0, "size=1m") != 0) {
      return kSkipped;
    }
    return write_too_much(folder, disk + "/out", "No space left on device");
  });
  if (outcome == kSkipped) GTEST_SKIP() << "not allowed to mount a small file system here";
  EXPECT_EQ(outcome, kPassed);
}

}  // namespace
}  // namespace tilewise
