// The batch job on a tiny model: order, parts, rejected rows and what is left when it ends early.
#include "batch/job.h"

#include <filesystem>
#include <fstream>
#include <functional>
#include <iterator>
#include <map>
#include <thread>

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/temporary_folder.h"
#include "compile/compile.h"
#include "rows/reader.h"
#include "rows/writer.h"

namespace tilewise::batch {
namespace {

namespace fs = std::filesystem;
using testing::AllOf;
using testing::ElementsAre;
using testing::EndsWith;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

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
    static const TemporaryFolder folder;
    static const std::string path = [] {
      const std::string compiled = folder / "job.tw";
      auto loaded = compile::load_model({kCheckpoints + "multi_task", kCheckpoints + "bert"});
      EXPECT_TRUE(loaded.ok()) << loaded.status().message();
      const auto report = compile::compile(*std::move(loaded), {}, compiled);
      EXPECT_TRUE(report.ok()) << report.status().message();
      return compiled;
    }();
    return path;
  }

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
  /// Of the parts.
  std::vector<std::string> names(const std::string& directory = "out") const {
    std::vector<std::string> found;
    if (!fs::exists(folder_ / directory)) return found;
    for (const auto& entry : fs::directory_iterator(folder_ / directory)) {
      const std::string name = entry.path().filename();
      if (name.starts_with("part-")) found.push_back(name);
    }
    std::sort(found.begin(), found.end());
    return found;
  }

  bool is_complete() const { return fs::exists(folder_ / "out/_SUCCESS"); }
  void damage(const std::string& name) const { std::ofstream(folder_ / "out" / name) << "?"; }
  void remove_output() const { fs::remove_all(folder_ / "out"); }
  /// Everything but the manifest, which has times.
  std::map<std::string, std::string> results() const {
    std::map<std::string, std::string> found;
    for (const auto& entry : fs::recursive_directory_iterator(folder_ / "out")) {
      const std::string name = fs::relative(entry.path(), folder_ / "out");
      if (entry.is_regular_file() && name != "_manifest.json") found[name] = read_file_at(entry);
    }
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
  const auto before = results();
  for (const auto& [name, change] : std::map<std::string, std::function<void(Options&)>>{
           {"rows_per_part 20", [](Options& other) { other.rows_per_part = 20; }},
           {"tasks \"intent\"", [](Options& other) { other.tasks = "intent"; }},
           {"top 2", [](Options& other) { other.predict.top = 2; }},
           {"threshold 0.5", [](Options& other) { other.predict.threshold = 0.5F; }},
           {"logits true", [](Options& other) { other.format.logits = true; }},
           {"limit 5", [](Options& other) { other.limit = 5; }},
           {"scores false", [](Options& other) { other.write_scores = false; }},
           {"shard \"0/2\"", [](Options& other) { other.shard.count = 2; }},
           {"compress \"gzip\"",
            [](Options& other) { other.compression = rows::Compression::gzip; }},
       }) {
    Options other = job;
    change(other);
    const Status status = run_job(*engine, other).status();
    EXPECT_EQ(status.code(), StatusCode::invalid_argument) << name;
    EXPECT_EQ(status.problem().found, name);
    EXPECT_THAT(status.message(), HasSubstr("--overwrite"));
    EXPECT_EQ(results(), before);
  }
  job.overwrite = true;
  job.rows_per_part = 20;
  ASSERT_TRUE(run_job(*engine, job).ok());
  EXPECT_THAT(names(), ElementsAre("part-00000.jsonl", "part-00001.jsonl"));
}

TEST_F(JobTest, AStoppedJobLeavesWholePartsAndGoesOn) {
  Options job = options(write_rows(2000));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  const auto undisturbed = results();
  remove_output();
  int asked = 0;
  job.stop = [&] { return ++asked > 20; };
  const auto stopped = run_job(*open(2), job);
  EXPECT_EQ(stopped.status().code(), StatusCode::interrupted);
  EXPECT_FALSE(is_complete());
  const auto found = names();
  EXPECT_LT(found.size(), 20u);
  std::vector<int> due(100 * found.size());
  for (size_t i = 0; i < due.size(); ++i) due[i] = static_cast<int>(i);
  EXPECT_EQ(ids(output()), due);

  job.stop = {};
  const auto progress = run_job(*open(2), job);
  ASSERT_TRUE(progress.ok()) << progress.status().message();
  EXPECT_EQ(progress->rows, 2000);
  EXPECT_EQ(progress->parts, 20);
  EXPECT_EQ(progress->resumed_rows, static_cast<int64_t>(due.size()));
  EXPECT_EQ(results(), undisturbed);
}

TEST_F(JobTest, ACompleteJobOnlyVerifies) {
  Options job = options(write_rows(250));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  const auto before = results();
  const std::string manifest = read_file_at(folder_ / "out/_manifest.json");
  const auto again = run_job(*open(1), job);
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_EQ(again->resumed_rows, 250);
  EXPECT_EQ(again->tokens, 0);
  EXPECT_EQ(results(), before);
  EXPECT_EQ(read_file_at(folder_ / "out/_manifest.json"), manifest);
}

TEST_F(JobTest, WhatIsDamagedIsMadeAnew) {
  const std::string bad = "bad\n" + read_file_at(write_rows(250));
  Options job = options(write("bad.jsonl", bad));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  const auto before = results();
  for (const char* name :
       {"part-00001.jsonl", "_scores/part-00002.scores", "rejected/part-00000.jsonl"}) {
    damage(name);
    const auto again = run_job(*open(2), job);
    ASSERT_TRUE(again.ok()) << again.status().message();
    EXPECT_LT(again->resumed_rows, 251);
    EXPECT_GE(again->resumed_rows, 151);
    EXPECT_EQ(results(), before) << name;
  }
}

TEST_F(JobTest, ChangedInputIsRefused) {
  const std::string rows = read_file_at(write_rows(250));
  Options job = options(write("input.jsonl", rows));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  const auto before = results();
  std::string changed = rows;
  changed[changed.rfind("249")] = '8';
  const std::string shorter = rows.substr(0, rows.find("{\"id\":200"));
  for (const std::string& other : {changed, shorter, rows + "{\"text\":\"one more\"}\n"}) {
    write("input.jsonl", other);
    const Status status = run_job(*open(2), job).status();
    EXPECT_EQ(status.code(), StatusCode::invalid_argument) << status.message();
    EXPECT_THAT(status.message(), HasSubstr("has changed"));
    EXPECT_EQ(results(), before);
  }
  // A part that must be made anew knows its rows, too.
  damage("part-00002.jsonl");
  write("input.jsonl", changed);
  EXPECT_THAT(run_job(*open(2), job).status().message(), HasSubstr("part-00002"));
}

TEST_F(JobTest, MoreRowsThanFullPartsHoldAreAChange) {
  const std::string rows = read_file_at(write_rows(200));
  Options job = options(write("input.jsonl", rows));
  job.rows_per_part = 100;
  ASSERT_TRUE(run_job(*open(2), job).ok());
  write("input.jsonl", rows + "{\"text\":\"one more\"}\n");
  EXPECT_THAT(run_job(*open(2), job).status().message(), HasSubstr("has changed"));
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

/// Pairs by ids against a catalogue, and the same pairs written out.
class PairJobTest : public JobTest {
 protected:
  static std::string record(int i, const std::string& more = "") {
    return "\"title\":\"red shoes " + std::to_string(i % 7) + more + "\",\"brand\":\"b" +
           std::to_string(i) + "\",\"price\":" + std::to_string(i);
  }
  std::string write_catalog(int count, const std::string& more = "") const {
    std::string bytes;
    for (int i = 0; i < count; ++i) {
      bytes += "{\"id\":" + std::to_string(i) + "," + record(i, i % 10 == 3 ? more : "") + "}\n";
    }
    return write("catalog.jsonl", bytes);
  }
  std::string write_pairs(int count, int records) const {
    std::string bytes;
    for (int i = 0; i < count; ++i) {
      bytes += "{\"id\":" + std::to_string(i) + ",\"left_id\":\"" + std::to_string(i % records) +
               "\",\"right_id\":" + std::to_string(i * i % records) + "}\n";
    }
    return write("pairs.jsonl", bytes);
  }
  std::string write_written_out(int count, int records, const std::string& more = "") const {
    const auto side = [&](int i) { return "{" + record(i, i % 10 == 3 ? more : "") + "}"; };
    std::string bytes;
    for (int i = 0; i < count; ++i) {
      bytes += "{\"id\":" + std::to_string(i) + ",\"left\":" + side(i % records) +
               ",\"right\":" + side(i * i % records) + "}\n";
    }
    return write("rows.jsonl", bytes);
  }
  Options pairs(const std::string& input) const {
    return {.inputs = {input}, .output_directory = folder_ / "out", .tasks = "duplicate"};
  }
};

TEST_F(PairJobTest, IdPairsAreScoredLikePairsWrittenOut) {
  ASSERT_TRUE(run_job(*open(2), pairs(write_written_out(400, 31))).ok());
  const std::string due = output();
  EXPECT_THAT(ids(due), SizeIs(400));
  remove_output();
  Options job = pairs(write_pairs(400, 31));
  job.catalogs = {write_catalog(31)};
  const auto progress = run_job(*open(2), job);
  ASSERT_TRUE(progress.ok()) << progress.status().message();
  EXPECT_EQ(progress->records, 31);
  EXPECT_EQ(output(), due);
  remove_output();
  job.left_catalogs = job.right_catalogs = std::exchange(job.catalogs, {});
  ASSERT_TRUE(run_job(*open(2), job).ok());
  EXPECT_EQ(output(), due);
}

TEST_F(PairJobTest, ARecordThatComesAgainIsScoredLikeTheFirstTime) {
  const std::string input = write_written_out(300, 5);
  ASSERT_TRUE(run_job(*open(2), pairs(input)).ok());
  // The same rows, each encoded from its text.
  const auto engine = open(1);
  const engine::TaskSet set = *engine->find_tasks("duplicate");
  const model::Task* const task = &engine->metadata().tasks[set.front()].task;
  auto reader = rows::LineReader::open(std::vector<std::string>{input});
  ASSERT_TRUE(reader.ok());
  rows::RowParser parser(model::InputKind::pair);
  rows::LineReader::Chunk chunk;
  std::string due;
  while (!reader->at_end()) {
    ASSERT_TRUE(reader->next(1, chunk).ok());
    for (const auto& line : chunk.lines) {
      model::Row row;
      ASSERT_TRUE(parser.parse(line, row).ok());
      const auto outcomes = engine->predict({&row.input, 1}, set, {});
      ASSERT_TRUE(outcomes.front().status.ok());
      rows::append_prediction(row.id, {&task, 1}, outcomes.front().predictions, {}, due);
    }
  }
  EXPECT_EQ(output(), due);
}

TEST_F(PairJobTest, APairWithoutARecordIsRejected) {
  Options job = pairs(write_pairs(10, 10));
  job.catalogs = {write_catalog(9)};  // 3 x 3 is the first that names record 9
  const auto progress = run_job(*open(1), job);
  ASSERT_TRUE(progress.ok());
  EXPECT_EQ(progress->rejected, 3);
  EXPECT_THAT(ids(output()), ElementsAre(0, 1, 2, 4, 5, 6, 8));
  EXPECT_THAT(rejected_.front(), AllOf(HasSubstr(":4, right_id"), HasSubstr("found 9")));
}

TEST_F(PairJobTest, RejectedRecordsStandInAFile) {
  Options job = pairs(write_pairs(10, 3));
  job.catalogs = {write("catalog.jsonl", read_file_at(write_catalog(3)) + "bad\n")};
  const auto progress = run_job(*open(1), job);
  ASSERT_TRUE(progress.ok());
  EXPECT_EQ(progress->rejected_records, 1);
  EXPECT_THAT(read_file_at(folder_ / "out/rejected/records.jsonl"), HasSubstr("catalog.jsonl:4"));
}

TEST_F(PairJobTest, AnotherCatalogIsAnotherJob) {
  Options job = pairs(write_pairs(30, 10));
  job.catalogs = {write_catalog(10)};
  ASSERT_TRUE(run_job(*open(1), job).ok());
  write_catalog(10, " new");
  EXPECT_THAT(run_job(*open(1), job).status().message(), HasSubstr("catalogs"));
}

TEST_F(PairJobTest, CataloguesServePairsAlone) {
  Options job = options(write_rows(3));
  job.catalogs = {write_catalog(3)};
  EXPECT_EQ(run_job(*open(1), job).status().code(), StatusCode::invalid_argument);
  job = pairs(write_pairs(3, 3));
  job.left_catalogs = {write_catalog(3)};
  EXPECT_THAT(run_job(*open(1), job).status().message(), HasSubstr("--right-catalog"));
  EXPECT_FALSE(fs::exists(folder_ / "out"));
}

TEST_F(PairJobTest, ScoresOfAPreviousRunAreTaken) {
  for (const bool both_orders : {false, true}) {
    fs::remove_all(folder_ / "previous");
    remove_output();
    Options first = pairs(write_written_out(400, 40));
    first.predict.both_orders = both_orders;
    first.output_directory = folder_ / "previous";
    ASSERT_TRUE(run_job(*open(2), first).ok());

    Options second = pairs(write_written_out(400, 40, " new"));
    second.predict.both_orders = both_orders;
    ASSERT_TRUE(run_job(*open(2), second).ok());
    const auto due = results();
    remove_output();
    second.since = first.output_directory;
    const auto progress = run_job(*open(2), second);
    ASSERT_TRUE(progress.ok()) << progress.status().message();
    EXPECT_GT(progress->reused, 250);
    EXPECT_LT(progress->reused, 400);
    EXPECT_EQ(results(), due);
  }
}

TEST_F(PairJobTest, APreviousRunMustServe) {
  Options first = pairs(write_written_out(40, 4));
  first.output_directory = folder_ / "previous";
  first.write_scores = false;
  ASSERT_TRUE(run_job(*open(1), first).ok());
  Options second = pairs(first.inputs[0]);
  second.since = first.output_directory;
  EXPECT_THAT(run_job(*open(1), second).status().message(), HasSubstr("--no-scores"));
  second.since = folder_ / "nowhere";
  EXPECT_EQ(run_job(*open(1), second).status().code(), StatusCode::not_found);
  second.since = second.output_directory = first.output_directory;
  EXPECT_EQ(run_job(*open(1), second).status().code(), StatusCode::invalid_argument);
}

TEST_F(PairJobTest, OtherTasksTakeNothing) {
  Options first = options(write_rows(50));
  first.output_directory = folder_ / "previous";
  ASSERT_TRUE(run_job(*open(1), first).ok());
  Options second = options(first.inputs[0]);
  second.tasks = "urgency";
  second.since = first.output_directory;
  const auto progress = run_job(*open(1), second);
  ASSERT_TRUE(progress.ok()) << progress.status().message();
  EXPECT_EQ(progress->reused, 0);
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
