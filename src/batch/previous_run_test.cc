#include "batch/previous_run.h"

#include <random>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace tilewise::batch {
namespace {

using engine::Key;
using testing::ElementsAre;
using testing::HasSubstr;

struct Row {
  Key key;
  std::vector<float> values;
};

class PreviousRunTest : public testing::Test {
 protected:
  std::string write(const std::string& name, const std::vector<Row>& rows, size_t width) {
    ScoreWriter writer(width);
    std::string file = writer.header();
    std::string bytes;
    for (const Row& row : rows) append_score(row.key, row.values, bytes);
    writer.add(bytes);
    return folder_.write(name, file + bytes + writer.footer());
  }

  PreviousRun open(std::vector<std::string> files, size_t width) {
    auto run = PreviousRun::open({.score_files = std::move(files), .width = width});
    EXPECT_TRUE(run.ok()) << run.status().message();
    return *std::move(run);
  }

  TemporaryFolder folder_;
};

TEST_F(PreviousRunTest, FindsTheRowsOfAllItsFiles) {
  const auto run = open({write("a", {{{1, 1}, {1.5F, 2}}, {{2, 2}, {3, 4}}}, 2), write("b", {}, 2),
                         write("c", {{{3, 3}, {5, 6}}}, 2)},
                        2);
  EXPECT_EQ(run.size(), 3U);
  EXPECT_THAT(run.find({1, 1}).value(), ElementsAre(1.5F, 2));
  EXPECT_THAT(run.find({2, 2}).value(), ElementsAre(3, 4));
  EXPECT_THAT(run.find({3, 3}).value(), ElementsAre(5, 6));
  EXPECT_FALSE(run.find({4, 4}));
}

TEST_F(PreviousRunTest, HalfAKeyIsNone) {
  const auto run = open({write("a", {{{1, 1}, {1}}, {{1, 2}, {2}}}, 1)}, 1);
  EXPECT_THAT(run.find({1, 1}).value(), ElementsAre(1));
  EXPECT_THAT(run.find({1, 2}).value(), ElementsAre(2));
  EXPECT_FALSE(run.find({1, 3}));
  EXPECT_FALSE(run.find({2, 1}));
}

TEST_F(PreviousRunTest, OfEqualKeysTheFirstCounts) {
  const auto run =
      open({write("a", {{{1, 1}, {1}}, {{1, 1}, {2}}}, 1), write("b", {{{1, 1}, {3}}}, 1)}, 1);
  EXPECT_EQ(run.size(), 1U);
  EXPECT_THAT(run.find({1, 1}).value(), ElementsAre(1));
}

TEST_F(PreviousRunTest, MayBeEmpty) {
  EXPECT_FALSE(open({}, 1).find({1, 1}));
  EXPECT_FALSE(open({write("a", {}, 1)}, 1).find({0, 0}));
}

TEST_F(PreviousRunTest, ManyThreadsMayAsk) {
  std::mt19937_64 random(1);
  std::vector<Row> rows(20'000);
  for (size_t i = 0; i < rows.size(); ++i) {
    rows[i] = {{random(), random()}, {static_cast<float>(i)}};
  }
  const auto run = open({write("a", rows, 1)}, 1);
  std::vector<std::thread> threads;
  std::vector<size_t> found(3);
  for (size_t& count : found) {
    threads.emplace_back([&] {
      for (const Row& row : rows) {
        const auto values = run.find(row.key);
        count += values && (*values)[0] == row.values[0] ? 1 : 0;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_THAT(found, testing::Each(rows.size()));
}

TEST_F(PreviousRunTest, WhatDoesNotFitIsRefused) {
  const std::string good = write("good", {{{1, 1}, {1}}}, 1);
  const std::string wide = write("wide", {{{1, 1}, {1, 2}}}, 2);
  const auto refusal = [](PreviousRun::Options options) {
    return PreviousRun::open(options).status();
  };
  const Status other = refusal({.score_files = {good, wide}, .width = 1});
  EXPECT_EQ(other.code(), StatusCode::invalid_input);
  EXPECT_THAT(other.message(), HasSubstr("wide"));
  EXPECT_EQ(refusal({.score_files = {good, "/nonexistent"}, .width = 1}).code(),
            StatusCode::not_found);
  EXPECT_EQ(
      refusal({.score_files = {good}, .width = 1, .temporary_directory = "/nonexistent"}).code(),
      StatusCode::io_error);
  EXPECT_EQ(refusal({.score_files = {good}, .width = 1, .stop = [] { return true; }}).code(),
            StatusCode::interrupted);
}

}  // namespace
}  // namespace tilewise::batch
