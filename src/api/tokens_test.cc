#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <tilewise/tilewise.h>

#include "base/temporary_folder.h"

namespace tilewise {
namespace {

using testing::HasSubstr;

const std::string kData = TILEWISE_SOURCE_DIR "/tests/data/checkpoint";
// fp32 sums of a few dozen terms in another order than PyTorch's, through two layers.
constexpr float kTolerance = 5e-5f;

template <class Number>
void append(simdjson::dom::element array, std::vector<Number>& to) {
  const simdjson::dom::array items = array;
  for (const simdjson::dom::element item : items) to.push_back(static_cast<Number>(double{item}));
}

/// A task's rows of golden.json: tokens as transformers makes them, outputs as PyTorch does.
struct Golden {
  std::vector<int32_t> ids;
  std::vector<int32_t> types;
  std::vector<int32_t> offsets = {0};
  std::vector<float> outputs;
  std::vector<Content> texts;

  Golden(const std::string& folder, const std::string& task) {
    simdjson::dom::parser parser;
    const simdjson::dom::element file = parser.load(kData + "/golden.json");
    const simdjson::dom::array cases = file["cases"];
    for (const simdjson::dom::element item : cases) {
      if (std::string_view(item["folder"]) != folder || std::string_view(item["task"]) != task)
        continue;
      const simdjson::dom::array rows = item["rows"];
      for (const simdjson::dom::element row : rows) add(row);
    }
  }

  void add(simdjson::dom::element row) {
    append(row["ids"], ids);
    append(row["types"], types);
    offsets.push_back(static_cast<int32_t>(ids.size()));
    simdjson::dom::element values;
    const bool has_logits = row["logits"].get(values) == simdjson::SUCCESS;
    append(has_logits ? values : row["embedding"].value(), outputs);
    std::string_view text;
    if (row["input"]["text"].get(text) == simdjson::SUCCESS) texts.emplace_back(std::string(text));
  }

  int32_t rows() const { return static_cast<int32_t>(offsets.size()) - 1; }
  TokenBatch batch() const { return {ids.data(), types.data(), offsets.data(), rows()}; }
};

class Tokens : public testing::Test {
 protected:
  static Model open(const std::string& folder, const std::string& backbone = "") {
    const TemporaryFolder files;
    const std::string path = files / "model.tw";
    const std::string from = backbone.empty() ? "" : kData + "/" + backbone;
    const Status status =
        compile(kData + "/" + folder, path, {.backbone = from, .precision = "fp32"});
    EXPECT_TRUE(status.ok()) << status.message();
    auto model = Model::open(path, {.replicas = 2, .pin = false});
    EXPECT_TRUE(model.ok()) << model.status().message();
    return *std::move(model);
  }
};

TEST_F(Tokens, GiveWhatPyTorchGives) {
  const Model model = open("multi_task", "bert");
  for (const TaskInfo& task : model.tasks()) {
    SCOPED_TRACE(task.name);
    const Golden golden("multi_task", task.name);
    const auto outputs = model.run_tokens(task.name, golden.batch());
    ASSERT_TRUE(outputs.ok()) << outputs.status().message();
    EXPECT_EQ(outputs->size(), static_cast<size_t>(golden.rows() * task.outputs));
    EXPECT_THAT(*outputs, testing::Pointwise(testing::FloatNear(kTolerance), golden.outputs));
  }
}

TEST_F(Tokens, AreTheTextsBitForBit) {
  const Model model = open("multi_task", "bert");
  const Golden golden("multi_task", "intent");
  const auto answers = model.predict("intent", golden.texts);
  const auto outputs = model.run_tokens("intent", golden.batch());
  ASSERT_TRUE(answers.ok() && outputs.ok());
  std::vector<float> logits;
  for (const Result<Prediction>& answer : *answers)
    logits.insert(logits.end(), answer->logits.begin(), answer->logits.end());
  EXPECT_EQ(*outputs, logits);
}

TEST_F(Tokens, ManyAtOnceAreAsEachAloneBitForBit) {
  const Model model = open("multi_task", "bert");
  const Golden golden("multi_task", "intent");
  Golden many = golden;
  constexpr int kTimes = 200;  // so that there are several shares
  for (int i = 1; i < kTimes; ++i) {
    for (int32_t r = 0; r < golden.rows(); ++r)
      many.offsets.push_back(static_cast<int32_t>(i * golden.ids.size()) + golden.offsets[r + 1]);
    many.ids.insert(many.ids.end(), golden.ids.begin(), golden.ids.end());
    many.types.insert(many.types.end(), golden.types.begin(), golden.types.end());
  }
  std::vector<float> alone;
  for (int32_t r = 0; r < golden.rows(); ++r) {
    const int32_t offsets[] = {0, golden.offsets[r + 1] - golden.offsets[r]};
    const auto one =
        model.run_tokens("intent", {golden.ids.data() + golden.offsets[r],
                                    golden.types.data() + golden.offsets[r], offsets, 1});
    ASSERT_TRUE(one.ok()) << one.status().message();
    alone.insert(alone.end(), one->begin(), one->end());
  }
  const auto together = [&] {
    const auto outputs = model.run_tokens("intent", many.batch());
    ASSERT_TRUE(outputs.ok());
    ASSERT_EQ(outputs->size(), kTimes * alone.size());
    for (size_t i = 0; i < outputs->size(); ++i)
      ASSERT_EQ((*outputs)[i], alone[i % alone.size()]) << i;
  };
  std::thread other(together);
  together();
  other.join();
}

TEST_F(Tokens, NoTypesAreZeros) {
  const Model model = open("multi_task", "bert");
  const Golden golden("multi_task", "intent");  // single texts: all types are 0
  TokenBatch batch = golden.batch();
  const auto with = model.run_tokens("intent", batch);
  batch.types = nullptr;
  const auto without = model.run_tokens("intent", batch);
  ASSERT_TRUE(with.ok() && without.ok());
  EXPECT_EQ(*with, *without);
}

TEST_F(Tokens, MayBeMoreThanTheTaskTakesButNotThanTheEncoder) {
  const Model model = open("multi_task", "bert");
  ASSERT_EQ(model.tasks()[1].max_tokens, 40);
  const std::vector<int32_t> ids(65, 7);
  const int32_t all[] = {0, 64};
  EXPECT_TRUE(model.run_tokens("intent", {ids.data(), nullptr, all, 1}).ok());
  const int32_t more[] = {0, 65};
  const Status status = model.run_tokens("intent", {ids.data(), nullptr, more, 1}).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_argument);
  EXPECT_THAT(status.message(), HasSubstr("1 to 64 tokens; found 65"));
}

TEST_F(Tokens, NoSequencesNoOutputs) {
  const auto outputs = open("bert").run_tokens("embedding", {});
  ASSERT_TRUE(outputs.ok());
  EXPECT_TRUE(outputs->empty());
}

TEST_F(Tokens, WrongCallsSayWhatIsWrong) {
  const Model model = open("multi_task", "bert");
  const std::vector<int32_t> offsets = {0, 2, 5};
  const auto message = [&](std::vector<int32_t> ids, std::vector<int32_t> types) {
    const Status status =
        model.run_tokens("intent", {ids.data(), types.data(), offsets.data(), 2}).status();
    EXPECT_EQ(status.code(), StatusCode::invalid_argument);
    return status.message();
  };
  EXPECT_THAT(message({1, 2, 3, 4000, 5}, {0, 0, 0, 0, 0}), HasSubstr("sequence 1, token 1; "));
  EXPECT_THAT(message({1, -2, 3, 4, 5}, {0, 0, 0, 0, 0}), HasSubstr("sequence 0, token 1; "));
  EXPECT_THAT(message({1, 2, 3, 4, 5}, {0, 0, 0, 0, 2}), HasSubstr("sequence 1, token 2; "));
  const int32_t ids[] = {1};
  const int32_t descending[] = {0, -1};
  EXPECT_EQ(model.run_tokens("intent", {ids, nullptr, descending, 1}).status().code(),
            StatusCode::invalid_argument);
  EXPECT_EQ(model.run_tokens("intents", {}).status().code(), StatusCode::not_found);
}

TEST_F(Tokens, FamilyWithoutTypesTakesZerosAlone) {
  const Model model = open("distilbert_classifier");
  const Golden golden("distilbert_classifier", "classification");
  const auto outputs = model.run_tokens("classification", golden.batch());
  ASSERT_TRUE(outputs.ok()) << outputs.status().message();
  EXPECT_THAT(*outputs, testing::Pointwise(testing::FloatNear(kTolerance), golden.outputs));
  Golden wrong = golden;
  wrong.types.back() = 1;
  const Status status = model.run_tokens("classification", wrong.batch()).status();
  EXPECT_THAT(status.message(), HasSubstr("no token types"));
}

TEST_F(Tokens, StopsWhenTold) {
  const Model model = open("multi_task", "bert");
  const std::vector<int32_t> ids(4'000'000, 7);
  std::vector<int32_t> offsets;
  for (int32_t i = 0; i <= 4'000'000; i += 40) offsets.push_back(i);
  int asked = 0;
  const auto outputs = model.run_tokens("vector", {ids.data(), nullptr, offsets.data(), 100'000},
                                        [&] { return ++asked == 1; });
  EXPECT_EQ(outputs.status().code(), StatusCode::interrupted);
  EXPECT_EQ(asked, 1);
}

}  // namespace
}  // namespace tilewise
