// Requests through the real-time service: every way of asking gives the bits that the engine gives
// to one input alone.
#include "engine/service.h"

#include <algorithm>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/topology.h"
#include "runtime/allocation_count.h"
#include "service_fixture.h"

namespace tilewise::engine {
namespace {

using testing::HasSubstr;
// ---- numbers

TEST_F(ServiceTest, OneRequestGivesTheBitsOfTheEngine) {
  const auto service = start();
  const auto model = load(*service, path());
  const auto inputs = random_texts(30, 1);
  for (const char* task : {"intent", "tags", "urgency"}) {
    Call call(model, task, inputs);
    ASSERT_TRUE(call.run(*service).status.ok()) << call.request.status.message();
    expect_same_bits(call.values(), alone(inputs, task));
    EXPECT_EQ(call.times_done, 1);
  }
}

TEST_F(ServiceTest, APredictionIsThatOfTheEngine) {
  const auto service = start();
  const auto model = load(*service, path());
  const auto engine = Engine::open(path(), {.replicas = 1, .pin = false}).value();
  const auto inputs = random_texts(10, 2);
  for (const char* task : {"intent", "tags", "urgency", "vector"}) {
    Call call(model, task, inputs);
    call.run(*service);
    const auto outcomes = engine->predict(inputs, engine->find_tasks(task).value(), {.top = 3});
    for (size_t i = 0; i < inputs.size(); ++i) {
      model::Prediction prediction;
      call.request.predict(i, 0, {.top = 3}, prediction);
      const model::Prediction& expected = outcomes[i].predictions[0];
      EXPECT_EQ(prediction.value, expected.value);
      EXPECT_EQ(prediction.embedding, expected.embedding);
      EXPECT_EQ(prediction.out_of_scope, expected.out_of_scope);
      ASSERT_EQ(prediction.labels.size(), expected.labels.size());
      for (size_t l = 0; l < prediction.labels.size(); ++l) {
        EXPECT_EQ(prediction.labels[l].label, expected.labels[l].label);
        EXPECT_EQ(prediction.labels[l].score, expected.labels[l].score);
      }
    }
  }
}

// Requests of several threads, with different tasks and models, fall into passes as they come; none
// may change another.
TEST_F(ServiceTest, ManyCallersOfManyTasksDoNotChangeEachOther) {
  const std::vector<Input> texts = random_texts(40, 3);
  const std::vector<Input> pairs = some_pairs();
  const std::vector<std::string> tasks = {"intent", "tags", "urgency", "duplicate"};
  for (const int32_t replicas : {1, 2}) {
    ServiceOptions options;
    options.replicas.replicas = replicas;
    const auto service = start(options);
    const std::vector<std::shared_ptr<ServedModel>> models = {load(*service, path()),
                                                              load(*service, other_path())};
    std::vector<std::vector<std::vector<float>>> expected(2);
    for (const auto& task : tasks) {
      const auto& inputs = task == "duplicate" ? pairs : texts;
      expected[0].push_back(alone(inputs, task));
      expected[1].push_back(alone(inputs, task, other_path()));
    }
    std::vector<std::thread> threads;
    for (uint32_t caller = 0; caller < 4; ++caller) {
      threads.emplace_back([&, caller] {
        std::mt19937 random(caller);
        for (int round = 0; round < 25; ++round) {
          const size_t m = random() % 2;
          const size_t t = random() % tasks.size();
          const auto& inputs = tasks[t] == "duplicate" ? pairs : texts;
          const size_t first = random() % inputs.size();
          const size_t count = 1 + random() % (inputs.size() - first);
          Call call(models[m], tasks[t],
                    {inputs.begin() + static_cast<std::ptrdiff_t>(first),
                     inputs.begin() + static_cast<std::ptrdiff_t>(first + count)});
          ASSERT_TRUE(call.run(*service).status.ok()) << call.request.status.message();
          const auto width = expected[m][t].size() / inputs.size();
          const float* from = expected[m][t].data() + first * width;
          expect_same_bits(call.values(), {from, from + count * width});
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_F(ServiceTest, SeveralTasksOfOneRequestEqualEachAlone) {
  const auto service = start();
  const auto model = load(*service, path());
  const auto inputs = random_texts(12, 4);
  Call call(model, "urgency,intent,tags", inputs);
  ASSERT_TRUE(call.run(*service).status.ok());
  expect_same_bits(call.values(0), alone(inputs, "urgency"));
  expect_same_bits(call.values(1), alone(inputs, "intent"));
  expect_same_bits(call.values(2), alone(inputs, "tags"));
}

// While the only replica is held, requests with different tasks come together; then one pass
// answers them all.
TEST_F(ServiceTest, OnePassHoldsRequestsOfDifferentTasks) {
  clock_ = &fake_;
  Gate gate;
  const auto service = start({.observer = &gate});
  const auto model = load(*service, path());
  const auto inputs = random_texts(6, 5);
  gate.close();
  Call first(model, "intent", {inputs[0]});
  first.run(*service);
  gate.wait_for_passes(1);
  Call intent(model, "intent", {inputs[1], inputs[2]});
  Call tags(model, "tags", {inputs[3]});
  Call both(model, "urgency,tags", {inputs[4], inputs[5]});
  for (Call* call : {&intent, &tags, &both}) call->submit(*service);
  EXPECT_EQ(service->backlog().sequences, 5);
  gate.open();
  for (Call* call : {&intent, &tags, &both}) call->wait();
  gate.wait_for_passes(2);
  ASSERT_EQ(gate.passes().size(), 2U);
  EXPECT_EQ(gate.passes()[1].sequences, 5);
  expect_same_bits(intent.values(), alone({inputs[1], inputs[2]}, "intent"));
  expect_same_bits(tags.values(), alone({inputs[3]}, "tags"));
  expect_same_bits(both.values(0), alone({inputs[4], inputs[5]}, "urgency"));
  expect_same_bits(both.values(1), alone({inputs[4], inputs[5]}, "tags"));
}

TEST_F(ServiceTest, BothOrdersIsTheMeanOfTheOutputs) {
  const auto service = start({.cache_bytes = 1 << 20});
  const auto model = load(*service, path());
  std::vector<Input> pairs = some_pairs();
  std::vector<Input> swapped;
  for (const Input& input : pairs) {
    const auto& pair = std::get<PairInput>(input);
    swapped.push_back(PairInput{pair.right, pair.left});
  }
  const auto a = alone(pairs, "duplicate");
  const auto b = alone(swapped, "duplicate");
  std::vector<float> mean;
  for (size_t i = 0; i < a.size(); ++i) mean.push_back((a[i] + b[i]) / 2);
  Call one_order(model, "duplicate", pairs);
  expect_same_bits((one_order.run(*service), one_order.values()), a);
  for (int round = 0; round < 2; ++round) {  // half of it, then all of it from the cache
    Call call(model, "duplicate", pairs);
    call.request.both_orders = true;
    ASSERT_TRUE(call.run(*service).status.ok());
    expect_same_bits(call.values(), mean);
    EXPECT_EQ(call.request.cached_inputs, round == 0 ? 0 : 3);
    EXPECT_EQ(call.request.truncated.size(), 3U);
  }
}

TEST_F(ServiceTest, TokensGiveTheBitsOfTheirText) {
  const auto service = start();
  const auto model = load(*service, path());
  const auto texts = random_texts(10, 6);
  Call by_text(model, "intent", texts);
  by_text.run(*service);
  Call by_tokens(model, "intent");
  by_tokens.request.token_inputs = tokenize(*model, texts, "intent");
  for (size_t i = 0; i < texts.size(); i += 2) by_tokens.request.token_inputs[i].types.clear();
  ASSERT_TRUE(by_tokens.run(*service).status.ok()) << by_tokens.request.status.message();
  expect_same_bits(by_tokens.values(), by_text.values());
  EXPECT_EQ(by_tokens.request.tokens, by_text.request.tokens);

  Call pairs(model, "duplicate");
  pairs.request.token_inputs = tokenize(*model, some_pairs(), "duplicate");
  ASSERT_TRUE(pairs.run(*service).status.ok());
  expect_same_bits(pairs.values(), alone(some_pairs(), "duplicate"));
}

TEST_F(ServiceTest, CoresShareAReplicaWithoutChangingIt) {
  const auto topology = read_topology();
  if (!topology.ok() || topology->default_replicas() < 2) GTEST_SKIP() << "one core only";
  ServiceOptions options;
  options.replicas.cores_per_replica = 2;
  const auto service = start(options);
  EXPECT_EQ(service->cores_per_replica(), 2);
  const auto inputs = random_texts(20, 7);
  const auto model = load(*service, path());
  const auto other = load(*service, other_path());  // on the same team
  Call call(model, "intent", inputs);
  ASSERT_TRUE(call.run(*service).status.ok());
  expect_same_bits(call.values(), alone(inputs, "intent"));
  Call second(other, "intent", inputs);
  ASSERT_TRUE(second.run(*service).status.ok());
  expect_same_bits(second.values(), alone(inputs, "intent", other_path()));
}

// ---- the response cache

TEST_F(ServiceTest, TheCacheGivesTheSameBitsAndOnlyTheRestIsComputed) {
  Gate gate;
  const auto service = start({.cache_bytes = 1 << 20, .observer = &gate});
  const auto model = load(*service, path());
  const auto inputs = random_texts(8, 8, 30);
  const auto expected = alone(inputs, "intent");
  Call some(model, "intent", {inputs.begin(), inputs.begin() + 5});
  some.run(*service);
  EXPECT_EQ(some.request.cached_inputs, 0);
  gate.wait_for_passes(1);

  Call rest(model, "intent", inputs);
  ASSERT_TRUE(rest.run(*service).status.ok());
  expect_same_bits(rest.values(), expected);
  EXPECT_EQ(rest.request.cached_inputs, 5);
  gate.wait_for_passes(2);
  EXPECT_EQ(gate.passes()[1].sequences, 3);

  Call all(model, "intent", inputs);
  ASSERT_TRUE(all.run(*service).status.ok());
  expect_same_bits(all.values(), expected);
  EXPECT_EQ(all.request.cached_inputs, 8);
  EXPECT_EQ(all.thread, std::this_thread::get_id());
  EXPECT_EQ(gate.passes().size(), 2U);
  EXPECT_EQ(service->cache().hits, 5 + 8);
  EXPECT_EQ(service->cache().misses, 5 + 3);

  // Another task is another answer; tokens are the same question as their text.
  Call other_task(model, "urgency", inputs);
  other_task.run(*service);
  EXPECT_EQ(other_task.request.cached_inputs, 0);
  expect_same_bits(other_task.values(), alone(inputs, "urgency"));
  Call tokens(model, "intent");
  tokens.request.token_inputs = tokenize(*model, inputs, "intent");
  tokens.run(*service);
  EXPECT_EQ(tokens.request.cached_inputs, 8);
  expect_same_bits(tokens.values(), expected);
}

TEST_F(ServiceTest, AnotherModelNeverAnswersFromTheCacheOfTheFirst) {
  const auto service = start({.cache_bytes = 1 << 20});
  const auto inputs = random_texts(5, 9);
  auto model = load(*service, path());
  Call first(model, "intent", inputs);
  first.run(*service);
  for (const std::string& next : {other_path(), path()}) {  // also the same file once more
    first.request.model = nullptr;
    model = load(*service, next);
    Call call(model, "intent", inputs);
    call.run(*service);
    EXPECT_EQ(call.request.cached_inputs, 0);
    expect_same_bits(call.values(), alone(inputs, "intent", next));
  }
}

TEST_F(ServiceTest, WithoutACacheNothingIsCounted) {
  const auto service = start();
  Call call(load(*service, path()), "intent", random_texts(3, 10));
  call.run(*service);
  EXPECT_EQ(service->cache().hits + service->cache().misses + service->cache().entries, 0);
}

TEST_F(ServiceTest, ItEndsWhenWhatItAdmittedIsAnswered) {
  auto service = start();
  const auto model = load(*service, path());
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(std::make_unique<Call>(model, "intent", random_texts(3, 20)));
    calls.back()->submit(*service);
  }
  service.reset();
  for (const auto& call : calls) {
    EXPECT_EQ(call->times_done, 1);
    EXPECT_TRUE(call->request.status.ok()) << call->request.status.message();
  }
}

TEST_F(ServiceTest, ARequestIsReusedWithOtherTasksAndSizes) {
  const auto service = start();
  const auto model = load(*service, path());
  Call call(model, "intent");
  for (const size_t count : {5U, 1U, 9U}) {
    for (const char* task : {"urgency", "intent", "tags"}) {
      call.request.tasks = model->loaded().find_tasks(task).value();
      call.request.inputs = random_texts(static_cast<int>(count), 30);
      ASSERT_TRUE(call.run(*service).status.ok());
      expect_same_bits(call.values(), alone(call.request.inputs, task));
      EXPECT_EQ(call.request.truncated.size(), count);
    }
  }
  EXPECT_GT(call.request.tokens, 0);
  call.request.clear();
  EXPECT_EQ(call.request.size(), 0U);
  EXPECT_EQ(call.request.model, nullptr);
  EXPECT_EQ(call.request.tokens, 0);
}

// What a connection does all day: its request, the batcher and the replica have the memory of the
// requests before.
TEST_F(ServiceTest, AWarmRequestAllocatesNothing) {
  if (!runtime::allocations()) GTEST_SKIP() << "allocations cannot be counted in this build";
  const auto service = start();
  const auto model = load(*service, path());
  Call texts(model, "urgency,intent", random_texts(6, 31));
  Call pairs(model, "duplicate", some_pairs());
  pairs.request.both_orders = true;
  Call tokens(model, "tags");
  tokens.request.token_inputs = tokenize(*model, texts.request.inputs, "tags");
  const auto run_all = [&] {
    for (Call* call : {&texts, &pairs, &tokens}) {
      ASSERT_TRUE(call->run(*service).status.ok());
    }
  };
  for (int i = 0; i < 5; ++i) run_all();
  const auto before = runtime::allocations();
  for (int i = 0; i < 50; ++i) run_all();
  EXPECT_EQ(*runtime::allocations() - *before, 0);
}

}  // namespace
}  // namespace tilewise::engine
