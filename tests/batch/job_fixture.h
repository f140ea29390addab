// Batch jobs on a tiny model: their input, their output, what they say.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/temporary_folder.h"
#include "batch/job.h"
#include "compile/compile.h"

namespace tilewise::batch {

namespace fs = std::filesystem;

inline const std::string kCheckpoints =
    std::string(TILEWISE_SOURCE_DIR) + "/tests/data/checkpoint/";

inline std::string read_file_at(const fs::path& path) {
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

}  // namespace tilewise::batch
