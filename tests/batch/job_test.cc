// The batch job: order, parts, rejected rows, shards, sinks.
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "job_fixture.h"

namespace tilewise::batch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

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

TEST_F(JobTest, RejectedRowsStandInAFile) {
  Options job = options(write("rows.jsonl",
                              "{\"text\":\"a\"}\n"
                              "bad\n"
                              "{\"text\":\"b\"}\n"
                              "{\"id\":\"x\",\"text\":{\"title\":\"no\"}}\n"));
  job.rows_per_part = 2;
  ASSERT_TRUE(run_job(*open(1), job).ok());
  EXPECT_THAT(read_file_at(folder_ / "out/rejected/part-00000.jsonl"),
              AllOf(StartsWith("{\"file\":\"" + job.inputs[0] + "\",\"line\":2,\"what\":\""),
                    HasSubstr("\"expected\":"), EndsWith("}\n")));
  EXPECT_THAT(read_file_at(folder_ / "out/rejected/part-00001.jsonl"),
              HasSubstr("\"line\":4,\"id\":\"x\",\"what\":\""));
}

TEST_F(JobTest, ShardsShareTheRows) {
  Options job = options(write_rows(300));
  job.rows_per_part = 40;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  std::map<int, std::string> due;
  const auto add_lines = [](const std::string& lines, std::map<int, std::string>& to) {
    for (size_t at = 0; at < lines.size();) {
      const size_t end = lines.find('\n', at);
      const std::string line = lines.substr(at, end - at);
      EXPECT_TRUE(to.emplace(ids(line + "\n").front(), line).second) << line;
      at = end + 1;
    }
  };
  add_lines(output(), due);
  std::map<int, std::string> found;
  int64_t rows = 0;
  job.shard.count = 3;
  for (job.shard.index = 0; job.shard.index < 3; ++job.shard.index) {
    remove_output();
    const auto progress = run_job(*open(2), job);
    ASSERT_TRUE(progress.ok()) << progress.status().message();
    EXPECT_EQ(progress->parts, 3) << "of 120 input rows each";
    EXPECT_GT(progress->rows, 60) << "a fair share";
    rows += progress->rows;
    add_lines(output(), found);
  }
  EXPECT_EQ(rows, 300);
  EXPECT_EQ(found, due);
}

TEST_F(JobTest, ThereIsNoSuchShard) {
  Options job = options(write_rows(3));
  for (const Shard& shard : {Shard{3, 3}, Shard{-1, 3}, Shard{0, 0}}) {
    job.shard = shard;
    EXPECT_EQ(run_job(*open(1), job).status().code(), StatusCode::invalid_argument);
  }
}

TEST_F(JobTest, TooLittleMemoryIsRefused) {
  Options job = options(write_rows(3));
  job.memory_bytes = 1000;
  const Status status = run_job(*open(1), job).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_THAT(status.message(), HasSubstr("--memory"));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(JobTest, ItsOwnOutputIsNoInput) {
  fs::create_directories(folder_ / "data");
  fs::rename(write_rows(30), folder_ / "data/rows.jsonl");
  Options job = options(folder_ / "data");
  job.output_directory = folder_ / "data/scored";
  job.rows_per_part = 10;
  for (int run = 0; run < 2; ++run) {  // the second finds the first one's parts
    const auto progress = run_job(*open(1), job);
    ASSERT_TRUE(progress.ok()) << progress.status().message();
    EXPECT_EQ(progress->rows, 30);
  }
  job.inputs = {job.output_directory + "/part-00000.jsonl"};
  const Status named = run_job(*open(1), job).status();
  EXPECT_EQ(named.code(), StatusCode::invalid_argument);
  EXPECT_THAT(named.message(), HasSubstr("lies in the directory that the job writes"));
}

TEST_F(JobTest, StandardInputIsReadOnce) {
  Options job = options("-");
  job.inputs = {"-", write_rows(3), "-"};
  const Status status = run_job(*open(1), job).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_THAT(status.message(), HasSubstr("found 2 times"));
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
