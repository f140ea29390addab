// The batch job on a tiny model: order, parts, rejected rows and what is left when it ends early.
#include "batch/job.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "compile/compile.h"

namespace tilewise::batch {
namespace {

namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

const std::string kCheckpoints = std::string(TILEWISE_SOURCE_DIR) + "/tests/data/checkpoint/";

std::string read_file_at(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

class JobTest : public testing::Test {
 protected:
  JobTest() { fs::create_directories(folder_); }
  ~JobTest() override { fs::remove_all(folder_); }

  static std::string model() {
    static const std::string path = [] {
      const std::string compiled = testing::TempDir() + "job_" + std::to_string(getpid()) + ".tw";
      auto loaded = compile::load_model({kCheckpoints + "multi_task", kCheckpoints + "bert"});
      EXPECT_TRUE(loaded.ok()) << loaded.status().message();
      const auto report = compile::compile(*std::move(loaded), {}, compiled);
      EXPECT_TRUE(report.ok()) << report.status().message();
      return compiled;
    }();
    return path;
  }
  static void TearDownTestSuite() { fs::remove(model()); }

  static std::shared_ptr<engine::Engine> open(int32_t replicas) {
    auto engine = engine::Engine::open(model(), {.replicas = replicas, .pin = false});
    EXPECT_TRUE(engine.ok()) << engine.status().message();
    return *engine;
  }

  std::string write(const std::string& name, const std::string& bytes) const {
    std::ofstream(folder_ / name, std::ios::binary) << bytes;
    return folder_ / name;
  }

  /// `count` rows with ids 0, 1, ..., of different lengths.
  std::string write_rows(int count) const {
    std::string bytes;
    for (int i = 0; i < count; ++i) {
      std::string text;
      for (int word = 0; word < i % 7; ++word) text += "refund parcel ";
      bytes += "{\"id\":" + std::to_string(i) + ",\"text\":\"" + text + std::to_string(i) + "\"}\n";
    }
    return write("rows.jsonl", bytes);
  }

  Options options(const std::string& input) const {
    return {.inputs = {input}, .output_directory = folder_ / "out", .tasks = "intent,urgency"};
  }

  Result<Progress> run_job(engine::Engine& engine, const Options& job) {
    rejected_.clear();
    return run(
        engine, job, [&](const Status& status) { rejected_.push_back(status.message()); },
        [](const Progress&) {});
  }

  Result<Progress> stream_job(engine::Engine& engine, const Options& job, std::string& out) {
    rejected_.clear();
    return stream(
        engine, job,
        [&](std::string_view lines) {
          out += lines;
          return Status();
        },
        [&](const Status& status) { rejected_.push_back(status.message()); },
        [](const Progress&) {});
  }

  /// All parts one after the other.
  std::string output() const {
    std::string all;
    for (const std::string& name : names()) all += read_file_at(folder_ / "out" / name);
    return all;
  }
  std::vector<std::string> names() const {
    std::vector<std::string> found;
    if (!fs::exists(folder_ / "out")) return found;
    for (const auto& entry : fs::directory_iterator(folder_ / "out"))
      found.push_back(entry.path().filename());
    std::sort(found.begin(), found.end());
    return found;
  }

  /// The ids of the output, in its order.
  static std::vector<int> ids(const std::string& lines) {
    std::vector<int> found;
    for (size_t at = 0; at < lines.size(); at = lines.find('\n', at) + 1) {
      EXPECT_EQ(lines.compare(at, 6, "{\"id\":"), 0);
      found.push_back(std::stoi(lines.substr(at + 6)));
    }
    return found;
  }

  fs::path folder_ = testing::TempDir() + "job_" + std::to_string(getpid());
  std::vector<std::string> rejected_;
};

TEST_F(JobTest, EveryRowIsAnsweredInTheOrderOfTheInput) {
  const auto engine = open(2);
  const auto progress = run_job(*engine, options(write_rows(1000)));
  ASSERT_TRUE(progress.ok()) << progress.status().message();
  EXPECT_EQ(progress->rows, 1000);
  EXPECT_EQ(progress->rejected, 0);
  EXPECT_EQ(progress->parts, 1);
  EXPECT_EQ(progress->fraction, 1);
  std::vector<int> due(1000);
  for (int i = 0; i < 1000; ++i) due[i] = i;
  EXPECT_EQ(ids(output()), due);
}

TEST_F(JobTest, PartsReplicasAndSinksDoNotChangeAByte) {
  const std::string input = write_rows(300);
  std::string streamed;
  ASSERT_TRUE(stream_job(*open(1), options(input), streamed).ok());
  EXPECT_THAT(ids(streamed), SizeIs(300));
  for (const int replicas : {1, 2, 3}) {
    for (const int64_t rows_per_part : {23, 128, 150, 300, 1000}) {
      Options job = options(input);
      job.rows_per_part = rows_per_part;
      job.overwrite = true;
      const auto progress = run_job(*open(replicas), job);
      ASSERT_TRUE(progress.ok()) << progress.status().message();
      EXPECT_EQ(progress->parts, (300 + rows_per_part - 1) / rows_per_part);
      EXPECT_EQ(output(), streamed) << replicas << " replicas, " << rows_per_part << " rows a part";
    }
  }
}

TEST_F(JobTest, APartHoldsTheAnswersOfSoManyInputRows) {
  std::string rows;
  for (int i = 0; i < 10; ++i)
    rows += i % 3 == 1 ? "bad\n" : "{\"id\":" + std::to_string(i) + ",\"text\":\"a\"}\n";
  Options job = options(write("rows.jsonl", rows));
  job.rows_per_part = 4;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  EXPECT_THAT(names(), ElementsAre("part-00000.jsonl", "part-00001.jsonl", "part-00002.jsonl"));
  EXPECT_THAT(ids(read_file_at(folder_ / "out" / "part-00000.jsonl")), ElementsAre(0, 2, 3));
  EXPECT_THAT(ids(read_file_at(folder_ / "out" / "part-00001.jsonl")), ElementsAre(5, 6));
  EXPECT_THAT(ids(read_file_at(folder_ / "out" / "part-00002.jsonl")), ElementsAre(8, 9));
}

TEST_F(JobTest, RejectedRowsAreReportedInOrderAndTheRestIsAnswered) {
  std::string rows;
  for (int i = 0; i < 600; ++i) {
    if (i == 3) {
      rows += "{\"txt\":\"a\"}\n";
    } else if (i == 300) {
      rows += "{\"text\":{\"title\":\"the task has no template\"}}\n";  // parses, but cannot be
                                                                        // rendered
    } else if (i == 301) {
      rows += "{\n";
    } else {
      rows += "{\"text\":\"a\"}\n";
    }
  }
  const std::string path = write("rows.jsonl", rows);
  const auto progress = run_job(*open(2), options(path));
  ASSERT_TRUE(progress.ok());
  EXPECT_EQ(progress->rows, 600);
  EXPECT_EQ(progress->rejected, 3);
  EXPECT_THAT(ids(output()), SizeIs(597));
  ASSERT_THAT(rejected_, SizeIs(3));
  EXPECT_THAT(rejected_[0], HasSubstr(path + ":4"));
  EXPECT_THAT(rejected_[1], HasSubstr(path + ":301"));
  EXPECT_THAT(rejected_[2], HasSubstr(path + ":302"));
}

TEST_F(JobTest, LimitStopsAfterSoManyInputRows) {
  const std::string input = write_rows(400);
  for (const int64_t limit : {1, 128, 129, 399, 400, 1000}) {
    Options job = options(input);
    job.limit = limit;
    std::string out;
    const auto progress = stream_job(*open(2), job, out);
    ASSERT_TRUE(progress.ok());
    EXPECT_EQ(progress->rows, std::min<int64_t>(limit, 400));
    EXPECT_THAT(ids(out), SizeIs(std::min<int64_t>(limit, 400)));
  }
}

TEST_F(JobTest, SeveralInputsFollowEachOther) {
  const std::string a = write("a.jsonl", "{\"text\":\"a\"}\n\n{\"text\":\"b\"}"),
                    b = write("b.jsonl", "{\"text\":\"c\"}\n");
  Options job = options(a);
  job.inputs = {a, b};
  std::string out;
  ASSERT_TRUE(stream_job(*open(1), job, out).ok());
  EXPECT_THAT(ids(out), ElementsAre(1, 3, 1)) << "the default id is the line number in its file";
}

TEST_F(JobTest, NoRowsNoParts) {
  const auto progress = run_job(*open(1), options(write("rows.jsonl", "\n\n")));
  ASSERT_TRUE(progress.ok());
  EXPECT_EQ(progress->rows, 0);
  EXPECT_THAT(names(), IsEmpty());
}

TEST_F(JobTest, WhatIsWrongIsSaidBeforeTheOutputIsTouched) {
  const auto engine = open(1);
  Options unknown_task = options(write_rows(3));
  unknown_task.tasks = "nope";
  EXPECT_EQ(run_job(*engine, unknown_task).status().code(), StatusCode::not_found);
  EXPECT_EQ(run_job(*engine, options(folder_ / "missing")).status().code(), StatusCode::not_found);
  Options no_rows_per_part = options(write_rows(3));
  no_rows_per_part.rows_per_part = 0;
  EXPECT_EQ(run_job(*engine, no_rows_per_part).status().code(), StatusCode::invalid_argument);
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(JobTest, OldPartsAreNotMixedWithNewOnes) {
  const auto engine = open(1);
  Options job = options(write_rows(30));
  job.rows_per_part = 10;
  ASSERT_TRUE(run_job(*engine, job).ok());
  EXPECT_EQ(run_job(*engine, job).status().code(), StatusCode::invalid_argument);
  job.overwrite = true;
  job.rows_per_part = 20;
  ASSERT_TRUE(run_job(*engine, job).ok());
  EXPECT_THAT(names(), ElementsAre("part-00000.jsonl", "part-00001.jsonl"));
}

TEST_F(JobTest, AStoppedJobLeavesOnlyWholeParts) {
  Options job = options(write_rows(2000));
  job.rows_per_part = 100;
  int asked = 0;
  job.stop = [&] { return ++asked > 20; };
  const auto result = run_job(*open(2), job);
  EXPECT_EQ(result.status().code(), StatusCode::interrupted);
  const auto found = names();
  EXPECT_LT(found.size(), 20u);
  std::vector<int> due(100 * found.size());
  for (size_t i = 0; i < due.size(); ++i) due[i] = static_cast<int>(i);
  EXPECT_EQ(ids(output()), due);
}

TEST_F(JobTest, AFailingSinkEndsTheJobWithItsReason) {
  int calls = 0;
  const auto result = stream(
      *open(2), options(write_rows(2000)),
      [&](std::string_view) { return ++calls < 3 ? Status() : io_error({.what = "full"}); },
      [](const Status&) {}, [](const Progress&) {});
  EXPECT_EQ(result.status().problem().what, "full");
  EXPECT_EQ(calls, 3);
}

TEST_F(JobTest, WhoSendsLineByLineIsAnsweredLineByLine) {
  const std::string path = folder_ / "pipe";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  const auto engine = open(2);
  const int sender = ::open(path.c_str(), O_RDWR | O_CLOEXEC);
  int answers = 0;
  const auto send = [&](int id) {
    const std::string line = "{\"id\":" + std::to_string(id) + ",\"text\":\"a\"}\n";
    ASSERT_EQ(::write(sender, line.data(), line.size()), static_cast<ssize_t>(line.size()));
  };
  send(0);
  Options job = options(path);
  job.limit = 5;  // the pipe never ends
  std::vector<int> seen;
  const auto progress = stream(
      *engine, job,
      [&](std::string_view lines) {  // the next line goes out only when this one has been answered
        for (const int id : ids(std::string(lines))) seen.push_back(id);
        if (++answers < 5) send(answers);
        return Status();
      },
      [](const Status&) {}, [](const Progress&) {});
  ASSERT_TRUE(progress.ok());
  EXPECT_THAT(seen, ElementsAre(0, 1, 2, 3, 4));
  close(sender);
}

}  // namespace
}  // namespace tilewise::batch
