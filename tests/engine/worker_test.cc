// A worker's steps: the bits of predict() for callers that encode sides once and know answers
// already.
#include <cstring>
#include <filesystem>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiled_models.h"
#include "engine/engine.h"
#include "engine/loaded_model.h"
#include "runtime/allocation_count.h"

namespace tilewise::engine {
namespace {

using model::Content;
using model::PairInput;
using model::Prediction;
using testing::ElementsAre;

class WorkerTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    compile_to(*folder_ / "model.tw");
    // Of two tasks that read pairs, the one cuts its left side alone.
    compile_to(*folder_ / "only_first.tw", [](model::Model& model) {
      for (auto& task : model.tasks) task.task.truncation = model::Truncation::only_first;
    });
  }
  static void TearDownTestSuite() { delete folder_; }

  explicit WorkerTest(const std::string& name = "model.tw")
      : model_(LoadedModel::open(*folder_ / name, {}).value()),
        worker_(model_->create_worker().value()) {}

  TaskSet tasks(const std::string& names) const { return model_->find_tasks(names).value(); }
  const model::Task& task(const TaskSet& set) const {
    return model_->metadata().tasks[set.front()].task;
  }

  std::vector<Outcome> predict(const std::vector<model::Input>& inputs, const TaskSet& set,
                               const PredictOptions& options = {}) {
    std::vector<const model::Input*> pointers;
    for (const model::Input& input : inputs) pointers.push_back(&input);
    std::vector<Outcome> outcomes;
    worker_.predict(pointers, set, options, outcomes);
    return outcomes;
  }

  inline static TemporaryFolder* folder_ = nullptr;
  std::shared_ptr<const LoadedModel> model_;
  Worker worker_;
};

class OnlyFirstTest : public WorkerTest {
 protected:
  OnlyFirstTest() : WorkerTest("only_first.tw") {}
};

/// Records and texts of 0 to 40 words: many pairs are cut.
Content random_content(std::mt19937& random) {
  const auto words = [&] {
    const char* all[] = {"red", "blue", "shoes", "acme", "12", "the", "xyzzy"};
    std::string text;
    for (uint32_t n = random() % 40; n > 0; --n) text += std::string(all[random() % 7]) + " ";
    return text;
  };
  if (random() % 4 == 0) return words();
  return model::Record{{{"title", words()}, {"price", std::to_string(random() % 100)}}};
}

std::vector<model::Input> random_pairs(int count, uint32_t seed) {
  std::mt19937 random(seed);
  std::vector<model::Input> pairs;
  for (int i = 0; i < count; ++i) {
    Content left = random_content(random);
    pairs.push_back(PairInput{std::move(left), random_content(random)});
  }
  return pairs;
}

bool same_bits(std::span<const float> a, std::span<const float> b) {
  return a.size() == b.size() && std::memcmp(a.data(), b.data(), a.size_bytes()) == 0;
}

TEST_F(WorkerTest, SidesThatAreEncodedOnceGiveTheBitsOfThePair) {
  const TaskSet duplicate = tasks("duplicate");
  const auto pairs = random_pairs(60, 1);
  for (const bool both_orders : {false, true}) {
    const PredictOptions options = {.both_orders = both_orders};
    const auto expected = predict(pairs, duplicate, options);
    std::vector<Key> keys;
    for (size_t i = 0; i < pairs.size(); ++i) keys.push_back(worker_.key(i));

    worker_.start(duplicate, options);
    for (const model::Input& input : pairs) {
      const auto& pair = std::get<PairInput>(input);
      std::vector<int32_t> left, right;
      const auto left_tokens = worker_.encode_side(task(duplicate), pair.left, left);
      const auto right_tokens = worker_.encode_side(task(duplicate), pair.right, right);
      ASSERT_TRUE(left_tokens.ok() && right_tokens.ok());
      ASSERT_TRUE(worker_.add_pair({left, *left_tokens}, {right, *right_tokens}).ok());
    }
    worker_.run();
    ASSERT_EQ(worker_.added(), pairs.size());
    std::vector<Prediction> predictions;
    for (size_t i = 0; i < pairs.size(); ++i) {
      worker_.fill(i, predictions);
      const Prediction& due = expected[i].predictions.at(0);
      EXPECT_TRUE(same_bits(predictions.at(0).logits, due.logits)) << i;
      EXPECT_TRUE(same_bits(worker_.values(i), due.logits)) << i;
      EXPECT_EQ(predictions[0].truncated, due.truncated);
      EXPECT_EQ(worker_.key(i), keys[i]);
    }
  }
}

TEST_F(WorkerTest, ContentInTheCallersMemoryGivesTheSameBits) {
  const TaskSet duplicate = tasks("duplicate");
  const TaskSet intent = tasks("intent");
  const model::Record record{{{"title", "red shoes"}, {"price", "12"}}};
  const auto pair = predict({PairInput{record, "blue"}}, duplicate, {.both_orders = true});
  const auto plain = predict({text("where is my parcel")}, intent);

  const model::FieldView fields[] = {{"title", "red shoes"}, {"price", "12"}};
  worker_.start(duplicate, {.both_orders = true});
  ASSERT_TRUE(worker_.add_pair(model::RecordView(fields), std::string_view("blue")).ok());
  EXPECT_FALSE(worker_.add(model::ContentView(std::string_view("blue"))).ok());
  worker_.run();
  EXPECT_TRUE(same_bits(worker_.values(0), pair[0].predictions.at(0).logits));
  worker_.start(intent, {});
  ASSERT_TRUE(worker_.add(model::ContentView(std::string_view("where is my parcel"))).ok());
  EXPECT_FALSE(worker_.add_pair(std::string_view("a"), std::string_view("b")).ok());
  worker_.run();
  EXPECT_TRUE(same_bits(worker_.values(0), plain[0].predictions.at(0).logits));
}

TEST_F(WorkerTest, ValuesAreThoseOfOneTaskAfterTheOther) {
  const auto texts = random_texts(9, 2);
  const TaskSet three = tasks("vector,intent,urgency");
  const auto outcomes = predict(texts, three);
  for (size_t i = 0; i < texts.size(); ++i) {
    const auto& predictions = outcomes[i].predictions;
    const auto values = worker_.values(i);
    const size_t hidden = values.size() - 5 - 1;
    EXPECT_TRUE(same_bits(values.subspan(hidden, 5), predictions[1].logits));
    EXPECT_EQ(values.back(), predictions[2].value);
    EXPECT_EQ(predictions[0].embedding.size(), hidden);
  }
}

// Answers from before stand where they belong, and only the rest goes through the model.
TEST_F(WorkerTest, WhatIsKnownDoesNotRun) {
  const auto pairs = random_pairs(30, 3);
  const TaskSet duplicate = tasks("duplicate");
  for (const bool both_orders : {false, true}) {
    const PredictOptions options = {.both_orders = both_orders};
    const auto expected = predict(pairs, duplicate, options);
    worker_.reset_counters();
    predict({pairs[4], pairs[29]}, duplicate, options);
    const int64_t tokens = worker_.counters().tokens;

    worker_.reset_counters();
    worker_.start(duplicate, options);
    for (const model::Input& pair : pairs) ASSERT_TRUE(worker_.add(pair).ok());
    for (size_t i = 0; i < pairs.size(); ++i) {
      const float known[] = {static_cast<float>(i)};
      if (i != 4 && i != 29) worker_.answer(i, known);
    }
    worker_.run();
    EXPECT_EQ(worker_.counters().tokens, tokens);
    for (size_t i = 0; i < pairs.size(); ++i) {
      if (i == 4 || i == 29) {
        EXPECT_TRUE(same_bits(worker_.values(i), expected[i].predictions[0].logits)) << i;
      } else {
        EXPECT_THAT(worker_.values(i), ElementsAre(static_cast<float>(i)));
      }
    }
  }
}

TEST_F(WorkerTest, WhereEverythingIsKnownNothingRuns) {
  worker_.start(tasks("duplicate"), {});
  ASSERT_TRUE(worker_.add(PairInput{"a", "b"}).ok());
  const float known[] = {-3.F};
  worker_.answer(0, known);
  worker_.run();
  EXPECT_EQ(worker_.counters().tokens, 0);
  std::vector<Prediction> predictions;
  worker_.fill(0, predictions);
  EXPECT_FALSE(predictions.at(0).over_threshold);
  EXPECT_THAT(predictions[0].logits, ElementsAre(-3.F));
}

TEST_F(WorkerTest, AKeyNamesTheSequences) {
  const auto key = [&](const Content& left, const Content& right, bool both_orders = false) {
    worker_.start(tasks("duplicate"), {.both_orders = both_orders});
    EXPECT_TRUE(worker_.add(PairInput{"something", "else"}).ok());
    EXPECT_TRUE(worker_.add(PairInput{left, right}).ok());
    return worker_.key(1);
  };
  const model::Record shoes{{{"title", "Red Shoes"}, {"price", "12"}}};
  const model::Record same{{{"price", "12"}, {"color", "red"}, {"title", "red  shoes"}}};
  EXPECT_EQ(key(shoes, "a"), key(same, "a")) << "the same tokens";
  EXPECT_NE(key(shoes, "a"), key("a", shoes));
  EXPECT_NE(key("a b", ""), key("a", "b"));
  EXPECT_NE(key(shoes, "a"), key(shoes, "a", true));
  // Text behind the cut changes nothing, except that there is a cut.
  std::string full;
  for (int i = 0; i < 40; ++i) full += "red ";
  EXPECT_EQ(key(full + "blue", ""), key(full + "the shoes", ""));
  const std::vector<int32_t> ids(40, 7);
  worker_.start(tasks("duplicate"), {});
  ASSERT_TRUE(worker_.add_pair({std::span(ids).first(37), 37}, {}).ok());
  ASSERT_TRUE(worker_.add_pair({ids, 40}, {}).ok());
  EXPECT_FALSE(worker_.truncated(0));
  EXPECT_TRUE(worker_.truncated(1));
  EXPECT_NE(worker_.key(0), worker_.key(1));
}

// The cut of an odd number of tokens gives the two orders different ones.
TEST_F(WorkerTest, AKeyOfBothOrdersNamesBoth) {
  const TaskSet duplicate = tasks("duplicate");
  std::vector<int32_t> a(40, 7), b(40, 7);
  b[18] = 8;  // 37 tokens stay: 18 of the one side and 19 of the other
  const auto keys = [&](bool both_orders) {
    worker_.start(duplicate, {.both_orders = both_orders});
    EXPECT_TRUE(worker_.add_pair({a, 40}, {a, 40}).ok());
    EXPECT_TRUE(worker_.add_pair({b, 40}, {a, 40}).ok());
    return std::pair(worker_.key(0), worker_.key(1));
  };
  EXPECT_EQ(keys(false).first, keys(false).second) << "the token is behind the cut of this order";
  EXPECT_NE(keys(true).first, keys(true).second);
}

TEST_F(OnlyFirstTest, APairThatCannotBeCutInOneOrderLeavesNoHalf) {
  const TaskSet duplicate = tasks("duplicate");
  std::string full;
  for (int i = 0; i < 50; ++i) full += "red ";
  const std::vector<model::Input> pairs = {PairInput{"a", "b"}, PairInput{full, "b"},
                                           PairInput{"c", "d"}};
  const PredictOptions both = {.both_orders = true};
  const auto outcomes = predict(pairs, duplicate, both);
  EXPECT_EQ(outcomes[1].status.code(), StatusCode::invalid_input);
  const auto alone = predict({pairs[2]}, duplicate, both);
  ASSERT_TRUE(outcomes[2].status.ok());
  EXPECT_TRUE(same_bits(outcomes[2].predictions.at(0).logits, alone[0].predictions.at(0).logits));
}

TEST_F(WorkerTest, WarmStepsAllocateNothing) {
  if (!runtime::allocations()) GTEST_SKIP() << "allocations cannot be counted in this build";
  const TaskSet duplicate = tasks("duplicate");
  const auto pairs = random_pairs(20, 4);
  std::vector<int32_t> ids(40, 7);
  std::vector<Prediction> predictions;
  const float known[] = {1.F};
  const auto batch = [&] {
    worker_.start(duplicate, {.both_orders = true});
    for (const model::Input& pair : pairs) ASSERT_TRUE(worker_.add(pair).ok());
    ASSERT_TRUE(worker_.add_pair({ids, 40}, {ids, 40}).ok());
    for (size_t i = 0; i < worker_.added(); ++i) {
      if (worker_.key(i).low % 2 == 0) worker_.answer(i, known);
    }
    worker_.run();
    for (size_t i = 0; i < worker_.added(); ++i) worker_.fill(i, predictions);
  };
  for (int i = 0; i < 3; ++i) batch();
  const auto before = runtime::allocations();
  for (int i = 0; i < 10; ++i) batch();
  EXPECT_EQ(*runtime::allocations() - *before, 0);
}

}  // namespace
}  // namespace tilewise::engine
