// The engine on a tiny trained-like model: what the public API, the batch job and the server rely
// on.
#include "engine/engine.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <optional>
#include <random>
#include <string>
#include <thread>

#include <gtest/gtest.h>
#include <unistd.h>

#include "base/thread_limit_fixture.h"
#include "base/topology.h"
#include "compile/compile.h"

namespace tilewise::engine {
namespace {

using model::Input;
using model::PairInput;
using model::Record;
using model::TextInput;

const std::string kCheckpoints = std::string(TILEWISE_SOURCE_DIR) + "/tests/data/checkpoint/";

/// The multi-task checkpoint, compiled once for all tests of this program.
class EngineTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    path_ = (std::filesystem::temp_directory_path() /
             ("tilewise_engine_" + std::to_string(::getpid()) + ".tw"))
                .string();
    auto model = compile::load_model({kCheckpoints + "multi_task", kCheckpoints + "bert"});
    ASSERT_TRUE(model.ok()) << model.status().message();
    const auto report = compile::compile(*std::move(model), {}, path_);
    ASSERT_TRUE(report.ok()) << report.status().message();
  }
  static void TearDownTestSuite() { std::filesystem::remove(path_); }

  static std::shared_ptr<Engine> open(Options options = {}) {
    options.pin = false;
    auto engine = Engine::open(path_, options);
    EXPECT_TRUE(engine.ok()) << engine.status().message();
    return engine.ok() ? *engine : nullptr;
  }

  static TaskSet tasks(const Engine& engine, const std::string& names) {
    auto found = engine.find_tasks(names);
    EXPECT_TRUE(found.ok()) << found.status().message();
    return found.ok() ? *found : TaskSet{};
  }

  inline static std::string path_;
};

Input text(std::string value) { return TextInput{std::move(value)}; }

/// Texts of 0 to 60 words, so that some are cut.
std::vector<Input> random_texts(int count, uint32_t seed) {
  const char* words[] = {"where", "is",  "my",    "parcel", "refund",
                         "the",   "red", "shoes", "xyzzy",  "!"};
  std::mt19937 random(seed);
  std::vector<Input> inputs;
  for (int i = 0; i < count; ++i) {
    std::string value;
    for (uint32_t n = random() % 60; n > 0; --n) value += std::string(words[random() % 10]) + " ";
    inputs.push_back(text(value));
  }
  return inputs;
}

void expect_same(const std::vector<Outcome>& a, const std::vector<Outcome>& b, size_t task_a = 0,
                 size_t task_b = 0) {
  ASSERT_EQ(a.size(), b.size());
  for (size_t i = 0; i < a.size(); ++i) {
    ASSERT_TRUE(a[i].status.ok() && b[i].status.ok()) << i;
    const auto& x = a[i].predictions.at(task_a).logits;
    const auto& y = b[i].predictions.at(task_b).logits;
    ASSERT_EQ(x.size(), y.size());
    ASSERT_EQ(0, std::memcmp(x.data(), y.data(), x.size() * sizeof(float))) << "input " << i;
    EXPECT_EQ(a[i].predictions[task_a].truncated, b[i].predictions[task_b].truncated);
  }
}

TEST_F(EngineTest, BatchedEqualsSingleForAnyNumberOfReplicas) {
  const std::vector<Input> inputs = random_texts(150, 1);
  const auto one = open({.replicas = 1});
  std::vector<Outcome> single;
  for (const Input& input : inputs) {
    single.push_back(one->predict({&input, 1}, tasks(*one, "intent"), {}).at(0));
  }
  for (const int replicas : {1, 2, 3}) {
    const auto engine = open({.replicas = replicas});
    EXPECT_EQ(engine->replicas(), replicas);
    expect_same(single, engine->predict(inputs, tasks(*engine, "intent"), {}));
  }
}

// The bits of one core, from replicas of several. Only as many cores as there are: more for one
// replica are refused; runtime_test has teams of any size.
TEST_F(EngineTest, CoresShareAReplicaWithoutChangingIt) {
  const std::vector<Input> inputs = random_texts(60, 7);
  const auto one = open({.replicas = 1});
  const auto expected = one->predict(inputs, tasks(*one, "intent"), {});
  const auto topology = read_topology();
  ASSERT_TRUE(topology.ok()) << topology.status().message();
  const int32_t most = topology->default_replicas();
  for (int32_t cores = 1; cores <= std::min(most, 3); ++cores) {
    const auto engine = open({.cores_per_replica = cores});
    EXPECT_EQ(engine->cores_per_replica(), cores);
    EXPECT_EQ(engine->replicas(), most / cores);
    expect_same(expected, engine->predict(inputs, tasks(*engine, "intent"), {}));
    const auto pinned = Engine::open(path_, {.replicas = 1, .cores_per_replica = cores});
    ASSERT_TRUE(pinned.ok()) << pinned.status().message();
    expect_same(expected, (*pinned)->predict(inputs, tasks(**pinned, "intent"), {}));
    // More threads than cores: slow, but the same.
    const auto crowded = open({.replicas = most + 1, .cores_per_replica = cores});
    expect_same(expected, crowded->predict(inputs, tasks(*crowded, "intent"), {}));
  }
  const Status refused = Engine::open(path_, {.cores_per_replica = most + 1}).status();
  EXPECT_EQ(refused.code(), StatusCode::unavailable_machine);
  EXPECT_NE(refused.message().find("--cores-per-replica"), std::string::npos) << refused.message();
  EXPECT_EQ(Engine::open(path_, {.cores_per_replica = 0}).status().code(),
            StatusCode::invalid_argument);
}

TEST_F(EngineTest, WithoutThreadsItSaysSo) {
  const std::optional<int> result = without_threads([] {
    const Status status = Engine::open(path_, {.replicas = 2}).status();
    if (status.code() == StatusCode::io_error) return 1;  // nobody may not read it
    const bool names_flag = status.message().find("--replicas 2") != std::string::npos;
    return status.code() == StatusCode::unavailable_machine && names_flag ? 0 : 2;
  });
  if (!result || *result == 1) GTEST_SKIP() << "the number of threads cannot be limited here";
  EXPECT_EQ(*result, 0);
}

TEST_F(EngineTest, SeveralTasksInOnePassEqualEachAlone) {
  const auto engine = open({.replicas = 2});
  const std::vector<Input> inputs = random_texts(40, 2);
  const TaskSet both = tasks(*engine, "intent,tags");
  ASSERT_EQ(both.size(), 2U);
  const auto together = engine->predict(inputs, both, {});
  expect_same(together, engine->predict(inputs, tasks(*engine, "intent"), {}), 0, 0);
  expect_same(together, engine->predict(inputs, tasks(*engine, "tags"), {}), 1, 0);
}

TEST_F(EngineTest, ABadInputFailsAlone) {
  const auto engine = open({.replicas = 2});
  std::vector<Input> inputs = random_texts(9, 3);
  const auto good = engine->predict(inputs, tasks(*engine, "intent"), {});
  std::vector<Input> mixed;
  for (const Input& input : inputs) {
    mixed.push_back(input);
    mixed.push_back(
        PairInput{std::string("a"), std::string("b")});  // a pair for a task that takes one text
  }
  const auto outcomes = engine->predict(mixed, tasks(*engine, "intent"), {});
  std::vector<Outcome> survivors;
  for (size_t i = 0; i < outcomes.size(); ++i) {
    if (i % 2 == 0)
      survivors.push_back(outcomes[i]);
    else
      EXPECT_EQ(outcomes[i].status.code(), StatusCode::invalid_input)
          << outcomes[i].status.message();
  }
  expect_same(survivors, good);
}

TEST_F(EngineTest, BothOrdersIsTheMeanOfTheLogits) {
  const auto engine = open({.replicas = 1});
  const Record left{{{"title", "red shoes"}, {"price", "12"}}};
  const Record right{{{"title", "blue shoes"}, {"brand", "acme"}}};
  const TaskSet duplicate = tasks(*engine, "duplicate");
  const std::vector<Input> inputs = {PairInput{left, right}, PairInput{right, left}};
  const auto ordered = engine->predict(inputs, duplicate, {});
  const auto mean = engine->predict(inputs, duplicate, {.both_orders = true});
  const float a = ordered[0].predictions[0].logits[0];
  const float b = ordered[1].predictions[0].logits[0];
  EXPECT_NE(a, b);
  EXPECT_EQ(mean[0].predictions[0].logits[0], (a + b) / 2);
  EXPECT_EQ(mean[1].predictions[0].logits[0], (a + b) / 2);
}

TEST_F(EngineTest, AForcedLevelReallyRuns) {
  for (const Isa isa : supported_isas(cpu_features())) {
    const auto engine = Engine::open(path_, {.isa = isa, .replicas = 1, .pin = false});
    if (!engine.ok()) {
      EXPECT_EQ(engine.status().code(), StatusCode::invalid_argument) << engine.status().message();
      continue;
    }
    if (isa == Isa::portable || isa == Isa::avx2) {
      EXPECT_EQ((*engine)->kernels().isa, isa);
    }
    ASSERT_EQ(::setenv("TILEWISE_ISA", name_of(isa), 1), 0);
    EXPECT_EQ(open({.replicas = 1})->kernels().isa, (*engine)->kernels().isa);
    ::unsetenv("TILEWISE_ISA");
  }
  ASSERT_EQ(::setenv("TILEWISE_ISA", "abacus", 1), 0);
  const auto unknown = Engine::open(path_);
  ::unsetenv("TILEWISE_ISA");
  EXPECT_EQ(unknown.status().code(), StatusCode::invalid_argument);
  EXPECT_NE(unknown.status().message().find("abacus"), std::string::npos);
}

TEST_F(EngineTest, TasksAreFoundOrRefusedByName) {
  const auto engine = open({.replicas = 1});
  EXPECT_EQ(tasks(*engine, "intent,intent").size(), 1U);
  const Status unknown = engine->find_tasks("nope").status();
  EXPECT_EQ(unknown.code(), StatusCode::not_found);
  EXPECT_NE(unknown.message().find("intent"), std::string::npos) << unknown.message();
  EXPECT_EQ(engine->find_tasks("").status().code(), StatusCode::invalid_argument);
  EXPECT_EQ(engine->find_tasks("duplicate,intent").status().code(), StatusCode::invalid_argument);
}

TEST_F(EngineTest, ManyThreadsMayAskAtOnce) {
  const auto engine = open({.replicas = 2});
  const std::vector<Input> inputs = random_texts(30, 4);
  const TaskSet intent = tasks(*engine, "intent");
  const auto expected = engine->predict(inputs, intent, {});
  std::vector<std::vector<Outcome>> answers(6);
  std::vector<std::thread> threads;
  for (auto& answer : answers) {
    threads.emplace_back([&] { answer = engine->predict(inputs, intent, {}); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const auto& answer : answers) expect_same(expected, answer);
}

TEST_F(EngineTest, WhatIsNoArtifactIsRefused) {
  EXPECT_EQ(Engine::open("/nonexistent/model.tw").status().code(), StatusCode::not_found);
  EXPECT_EQ(Engine::open(kCheckpoints + "golden.json").status().code(), StatusCode::invalid_input);
}

}  // namespace
}  // namespace tilewise::engine
