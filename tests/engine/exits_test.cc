// Adaptive depth from the artifact to the answer: workers, both orders, the service and its cache.
#include <cmath>
#include <map>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "compiled_models.h"
#include "engine/engine.h"
#include "runtime/allocation_count.h"
#include "service_fixture.h"

namespace tilewise::engine {
namespace {

using model::Prediction;

/// Random weights, large enough that some answers are certain.
model::LinearWeights random_head(int32_t outputs, int32_t inputs, uint32_t seed) {
  std::mt19937 random(seed);
  std::normal_distribution<float> normal(0, 3 / std::sqrt(static_cast<float>(inputs)));
  model::LinearWeights head{{{outputs, inputs}, {}}, {{outputs}, {}}};
  for (int32_t i = 0; i < outputs * inputs; ++i) head.weight.values.push_back(normal(random));
  head.bias.values.resize(static_cast<size_t>(outputs));
  return head;
}

/// An exit behind the first of the two layers for "duplicate" and "intent".
void add_exits(model::Model& model) {
  for (model::TaskWithHead& entry : model.tasks) {
    model::Task& task = entry.task;
    const bool is_intent = task.name == "intent";
    if (!is_intent && task.name != "duplicate") continue;
    model::Exit exit{.after_layer = 1, .confidence = is_intent ? 0.8F : 0.7F, .temperature = 0.75F};
    if (task.out_of_scope) exit.below = 0.5F;
    task.exits = {exit};
    entry.exits = {random_head(task.outputs(), model.spec.hidden, is_intent ? 4 : 5)};
  }
}

/// The first layer alone, with the exits in the place of the heads.
void keep_the_first_layer(model::Model& model) {
  add_exits(model);
  model.spec.layers = 1;
  model.weights.layers.resize(1);
  std::erase_if(model.adapter, [](const model::LoraUpdate& update) { return update.layer > 0; });
  for (model::TaskWithHead& entry : model.tasks) {
    if (entry.exits.empty()) continue;
    entry.head = model::Head{.dense = {}, .output = entry.exits[0]};
    entry.exits.clear();
    entry.task.exits.clear();
  }
}

/// Some of each depth must be there, or the test shows nothing.
class ExitsTest : public ServiceTest {
 protected:
  static void SetUpTestSuite() {
    ServiceTest::SetUpTestSuite();
    compile_to(*folder_ / "exits.tw", add_exits);
    compile_to(*folder_ / "first_layer.tw", keep_the_first_layer);
  }
  static std::string exits_path() { return *folder_ / "exits.tw"; }

  static std::vector<Outcome> predict(const std::string& file, const std::string& task,
                                      const std::vector<Input>& inputs,
                                      const PredictOptions& options = {}) {
    const auto engine = Engine::open(file, {.replicas = 2, .pin = false});
    EXPECT_TRUE(engine.ok()) << engine.status().message();
    auto outcomes = (*engine)->predict(inputs, (*engine)->find_tasks(task).value(), options);
    for (const Outcome& outcome : outcomes) {
      EXPECT_TRUE(outcome.status.ok()) << outcome.status.message();
    }
    return outcomes;
  }

  /// Logits and depths of one task, as the service's values are.
  static std::vector<float> values(const std::vector<Outcome>& outcomes) {
    std::vector<float> all;
    for (const Outcome& outcome : outcomes) {
      const Prediction& prediction = outcome.predictions.at(0);
      all.insert(all.end(), prediction.logits.begin(), prediction.logits.end());
      all.push_back(prediction.depth);
    }
    return all;
  }
};

std::vector<Input> pairs(int count) {
  std::vector<Input> result;
  const auto left = random_texts(count, 71), right = random_texts(count, 72);
  for (size_t i = 0; i < left.size(); ++i) {
    result.push_back(PairInput{std::get<model::TextInput>(left[i]).text,
                               std::get<model::TextInput>(right[i]).text});
  }
  return result;
}

TEST_F(ExitsTest, AnAnswerIsThatOfItsDepth) {
  for (const std::string task : {"intent", "duplicate"}) {
    const auto inputs = task == "intent" ? random_texts(60, 70) : pairs(60);
    const auto found = predict(exits_path(), task, inputs);
    const auto full = predict(path(), task, inputs);
    const auto first = predict(*folder_ / "first_layer.tw", task, inputs);
    const float temperature = task == "intent" ? 1.5F : 1.0F;  // of the tasks of the checkpoint
    std::map<float, int> depths;
    for (size_t i = 0; i < inputs.size(); ++i) {
      const Prediction& prediction = found[i].predictions[0];
      ++depths[prediction.depth];
      std::vector<float> expected = full[i].predictions[0].logits;
      if (prediction.depth == 1) {
        expected = first[i].predictions[0].logits;
        for (float& logit : expected) logit *= temperature / 0.75F;
        EXPECT_FALSE(prediction.out_of_scope);
      } else {
        EXPECT_EQ(prediction.out_of_scope, full[i].predictions[0].out_of_scope);
      }
      expect_same_bits(prediction.logits, expected);
    }
    EXPECT_GT(depths[1], 5) << task;
    EXPECT_GT(depths[2], 5) << task;
    EXPECT_EQ(depths[1] + depths[2], 60);
  }
}

TEST_F(ExitsTest, FullDepthIsTheModelWithoutExits) {
  const auto inputs = random_texts(30, 73);
  const auto found = predict(exits_path(), "intent", inputs, {.full_depth = true});
  const auto full = predict(path(), "intent", inputs);
  for (size_t i = 0; i < inputs.size(); ++i) {
    EXPECT_EQ(found[i].predictions[0].depth, 2);
    EXPECT_EQ(full[i].predictions[0].depth, 0);  // has no exits
    expect_same_bits(found[i].predictions[0].logits, full[i].predictions[0].logits);
  }
}

TEST_F(ExitsTest, TheDepthOfBothOrdersIsTheirMean) {
  const auto inputs = pairs(60);
  std::vector<Input> swapped;
  for (const Input& input : inputs) {
    const auto& pair = std::get<PairInput>(input);
    swapped.push_back(PairInput{pair.right, pair.left});
  }
  const auto one = predict(exits_path(), "duplicate", inputs);
  const auto other = predict(exits_path(), "duplicate", swapped);
  const auto both = predict(exits_path(), "duplicate", inputs, {.both_orders = true});
  std::map<float, int> depths;
  for (size_t i = 0; i < inputs.size(); ++i) {
    const Prediction &a = one[i].predictions[0], &b = other[i].predictions[0];
    const Prediction& mean = both[i].predictions[0];
    EXPECT_EQ(mean.depth, (a.depth + b.depth) / 2);
    EXPECT_EQ(mean.logits[0], (a.logits[0] + b.logits[0]) / 2);
    ++depths[mean.depth];
  }
  EXPECT_GT(depths[1.5F], 0);
}

TEST_F(ExitsTest, AWorkersValuesCarryTheDepthAndItsKeyTheQuestion) {
  const auto model = LoadedModel::open(exits_path(), {}).value();
  Worker worker = model->create_worker().value();
  const auto inputs = random_texts(20, 74);
  const TaskSet tasks = model->find_tasks("intent,urgency").value();
  std::map<bool, std::vector<Key>> keys;
  for (const bool full_depth : {false, true}) {
    worker.start(tasks, {.full_depth = full_depth});
    for (const Input& input : inputs) ASSERT_TRUE(worker.add(input).ok());
    worker.run();
    std::vector<Prediction> predictions;
    for (size_t i = 0; i < inputs.size(); ++i) {
      worker.fill(i, predictions);
      const auto width = static_cast<size_t>(model->output_width(tasks[0]));
      EXPECT_EQ(width, predictions[0].logits.size() + 1);
      ASSERT_EQ(worker.values(i).size(), width + 1);  // "urgency" is a regression
      EXPECT_EQ(worker.values(i)[width - 1], predictions[0].depth);
      EXPECT_EQ(worker.values(i)[width], predictions[1].value);
      EXPECT_EQ(predictions[1].depth, 0);
      keys[full_depth].push_back(worker.key(i));
    }
  }
  for (size_t i = 0; i < inputs.size(); ++i) EXPECT_FALSE(keys[false][i] == keys[true][i]) << i;
  EXPECT_EQ(worker.counters().token_layers, 2 * worker.counters().tokens);  // "urgency" has no exit

  worker.reset_counters();
  worker.start({tasks[0]}, {});
  for (const Input& input : inputs) ASSERT_TRUE(worker.add(input).ok());
  worker.run();
  EXPECT_GT(worker.counters().token_layers, worker.counters().tokens);
  EXPECT_LT(worker.counters().token_layers, 2 * worker.counters().tokens);
}

TEST_F(ExitsTest, TheServiceAnswersAsTheEngineAtEitherDepth) {
  ServiceOptions options;
  options.replicas.replicas = 2;
  const auto service = start(options);
  const auto model = load(*service, exits_path());
  const auto inputs = random_texts(40, 75);
  const auto adaptive = values(predict(exits_path(), "intent", inputs));
  const auto full = values(predict(exits_path(), "intent", inputs, {.full_depth = true}));
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 20; ++i) {
    calls.push_back(
        std::make_unique<Call>(model, i % 3 == 2 ? "intent,urgency" : "intent", inputs));
    calls.back()->request.full_depth = i % 2 == 1;
    calls.back()->submit(*service);
  }
  for (int i = 0; i < 20; ++i) {
    calls[i]->wait();
    ASSERT_TRUE(calls[i]->request.status.ok());
    expect_same_bits(calls[i]->values(), i % 2 == 1 ? full : adaptive);
  }
}

TEST_F(ExitsTest, TheCacheKeepsBothDepthsApart) {
  const auto service = start({.cache_bytes = 1 << 20});
  const auto model = load(*service, exits_path());
  const auto inputs = random_texts(40, 76);
  const auto adaptive = values(predict(exits_path(), "intent", inputs));
  const auto full = values(predict(exits_path(), "intent", inputs, {.full_depth = true}));
  for (int round = 0; round < 2; ++round) {
    for (const bool full_depth : {false, true}) {
      Call call(model, "intent", inputs);
      call.request.full_depth = full_depth;
      ASSERT_TRUE(call.run(*service).status.ok());
      expect_same_bits(call.values(), full_depth ? full : adaptive);
      EXPECT_EQ(call.request.cached_inputs, round == 0 ? 0 : 40);
    }
  }
  // A task without exits has but one depth.
  Call first(model, "urgency", inputs), second(model, "urgency", inputs);
  second.request.full_depth = true;
  first.run(*service);
  second.run(*service);
  EXPECT_EQ(second.request.cached_inputs, 40);
}

TEST_F(ExitsTest, PassesReportTheLayersOfTheirTokens) {
  Gate gate;
  const auto service = start({.observer = &gate});
  const auto model = load(*service, exits_path());
  for (const bool full_depth : {false, true}) {
    Call call(model, "intent", random_texts(40, 77));
    call.request.full_depth = full_depth;
    call.run(*service);
  }
  gate.wait_for_passes(2);
  int64_t tokens[2] = {}, token_layers[2] = {};  // a request may take several passes
  for (const PassReport& pass : gate.passes()) {
    const bool is_full = pass.token_layers == 2 * pass.tokens;
    tokens[is_full] += pass.tokens;
    token_layers[is_full] += pass.token_layers;
  }
  EXPECT_GT(tokens[0], 0);
  EXPECT_LT(token_layers[0], 2 * tokens[0]);
  EXPECT_GT(token_layers[0], tokens[0]);
  EXPECT_GT(tokens[1], 0);
}

TEST_F(ExitsTest, RequestsForOtherTasksKeepNobodyInThePass) {
  Gate gate;
  const auto service = start({.observer = &gate});
  const auto model = load(*service, exits_path());
  gate.close();
  Call held(model, "intent", {text("refund")});
  held.run(*service);
  gate.wait_for_passes(1);
  Call intents(model, "intent", random_texts(8, 78)), duplicates(model, "duplicate", pairs(8));
  for (Call* call : {&intents, &duplicates}) call->submit(*service);
  gate.open();
  int64_t expected = 0, tokens = 0;
  for (Call* call : {&intents, &duplicates}) {
    call->wait();
    const auto& offsets = call->request.own.packed.offsets;
    for (size_t i = 0; i < 8; ++i) {
      const int64_t length = offsets[i + 1] - offsets[i];
      tokens += length;
      expected += length * static_cast<int64_t>(call->request.values(i, 0).back());
    }
  }
  ASSERT_LT(expected, 2 * tokens);
  int64_t found = 0;
  for (size_t passes = 1; tokens > 0; ++passes) {  // one pass, if all of them fit
    gate.wait_for_passes(passes + 1);
    found += gate.passes()[passes].token_layers;
    tokens -= gate.passes()[passes].tokens;
  }
  EXPECT_EQ(found, expected);
}

TEST_F(ExitsTest, LeavingEarlyAllocatesNothing) {
  if (!runtime::allocations()) GTEST_SKIP() << "allocations cannot be counted in this build";
  const auto model = LoadedModel::open(exits_path(), {}).value();
  Worker worker = model->create_worker().value();
  const auto inputs = pairs(40);
  const TaskSet tasks = model->find_tasks("duplicate").value();
  const auto batch = [&] {
    worker.start(tasks, {.both_orders = true});
    for (const Input& input : inputs) ASSERT_TRUE(worker.add(input).ok());
    worker.run();
  };
  for (int i = 0; i < 3; ++i) batch();
  const auto before = runtime::allocations();
  for (int i = 0; i < 10; ++i) batch();
  EXPECT_EQ(*runtime::allocations() - *before, 0);
}

}  // namespace
}  // namespace tilewise::engine
