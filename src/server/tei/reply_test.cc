#include "server/tei/reply.h"

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/tei/choose_task.h"
#include "server/tei/error.h"

namespace tilewise::server::tei {
namespace {

using testing::HasSubstr;

model::Task task_of(model::TaskKind kind, std::vector<std::string> labels = {},
                    model::InputKind input = model::InputKind::text) {
  model::Task task;
  task.name = "t";
  task.kind = kind;
  task.labels = std::move(labels);
  task.input = input;
  task.max_tokens = 64;
  return task;
}

std::string predicted(const model::Task& task, std::vector<float> values, bool raw = false,
                      int top = 0) {
  model::Prediction scratch;
  std::string out;
  EXPECT_TRUE(append_prediction(task, values, raw, top, scratch, out).ok());
  return out;
}

TEST(AppendPrediction, IsSortedAndOfTheTasksKind) {
  const model::Task intent = task_of(model::TaskKind::multiclass, {"a", "b\"", "c"});
  // Softmax of log 1, log 2, log 1.
  EXPECT_EQ(
      predicted(intent, {0, std::log(2.F), 0}),
      R"([{"score":0.5,"label":"b\""},{"score":0.25,"label":"a"},{"score":0.25,"label":"c"}])");
  EXPECT_EQ(predicted(intent, {0, 2, -1}, true),
            R"([{"score":2,"label":"b\""},{"score":0,"label":"a"},{"score":-1,"label":"c"}])");
  EXPECT_EQ(predicted(intent, {0, 2, -1}, true, 1), R"([{"score":2,"label":"b\""}])");
  EXPECT_EQ(predicted(task_of(model::TaskKind::binary, {"yes"}), {0}),
            R"([{"score":0.5,"label":"yes"}])");
  EXPECT_EQ(predicted(task_of(model::TaskKind::binary, {"yes"}), {-3}, true),
            R"([{"score":-3,"label":"yes"}])");
  EXPECT_EQ(predicted(task_of(model::TaskKind::regression), {4.5}),
            R"([{"score":4.5,"label":"t"}])");
  // Each label for itself, those under the threshold too.
  EXPECT_EQ(predicted(task_of(model::TaskKind::multilabel, {"a", "b"}), {-std::log(3.F), 0}),
            R"([{"score":0.5,"label":"b"},{"score":0.25,"label":"a"}])");
  EXPECT_EQ(
      predicted(task_of(model::TaskKind::multilabel, {"a", "b"}), {-std::log(3.F), 0}, false, 1),
      R"([{"score":0.5,"label":"b"}])");
}

TEST(AppendPrediction, TheDepthBehindTheLogitsIsNoScore) {
  model::Task intent = task_of(model::TaskKind::multiclass, {"a", "b"});
  intent.exits = {{.after_layer = 4, .confidence = 0.9F}};
  EXPECT_EQ(predicted(intent, {0, std::log(3.F), 4}),
            R"([{"score":0.75,"label":"b"},{"score":0.25,"label":"a"}])");
  EXPECT_EQ(predicted(intent, {0, 2, 4}, true),
            R"([{"score":2,"label":"b"},{"score":0,"label":"a"}])");
  model::Task same = task_of(model::TaskKind::binary, {"yes"});
  same.exits = intent.exits;
  EXPECT_EQ(predicted(same, {-3, 4}, true), R"([{"score":-3,"label":"yes"}])");
}

TEST(AppendPrediction, RefusesWhatIsNoNumber) {
  std::string out;
  const std::vector<float> values = {0, std::numeric_limits<float>::quiet_NaN()};
  model::Prediction scratch;
  const model::Task task = task_of(model::TaskKind::multiclass, {"a", "b"});
  EXPECT_EQ(append_prediction(task, values, false, 0, scratch, out).code(), StatusCode::internal);
  EXPECT_EQ(append_ranks(values, {}, out).code(), StatusCode::internal);
  std::vector<float> embedding;
  EXPECT_EQ(make_embedding(values, 0, true, embedding).code(), StatusCode::internal);
}

TEST(AppendRanks, IsSortedWithTheTextsThatWereAskedFor) {
  const std::vector<float> scores = {0.25F, 0.5F, 0.25F};
  std::string out;
  ASSERT_TRUE(append_ranks(scores, {}, out).ok());
  EXPECT_EQ(out, R"([{"index":1,"score":0.5},{"index":0,"score":0.25},{"index":2,"score":0.25}])");
  const std::vector<model::Input> inputs = {
      model::PairInput{std::string("q"), std::string("x")},
      model::PairInput{std::string("q"), model::Record{{{"a", "1"}, {"b", "2"}}}},
      model::PairInput{std::string("q"), model::Record{}}};
  out.clear();
  ASSERT_TRUE(append_ranks(scores, inputs, out).ok());
  EXPECT_EQ(
      out,
      R"([{"index":1,"text":{"a":"1","b":"2"},"score":0.5},{"index":0,"text":"x","score":0.25},)"
      R"({"index":2,"text":{},"score":0.25}])");
}

TEST(ScoreOf, IsAProbabilityUnlessRaw) {
  model::Prediction scratch;
  EXPECT_FLOAT_EQ(score_of(task_of(model::TaskKind::binary), std::vector<float>{0}, false, scratch),
                  0.5F);
  EXPECT_FLOAT_EQ(score_of(task_of(model::TaskKind::binary), std::vector<float>{2}, true, scratch),
                  2);
  EXPECT_FLOAT_EQ(
      score_of(task_of(model::TaskKind::regression), std::vector<float>{7}, false, scratch), 7);
}

TEST(MakeEmbedding, CutsThenScales) {
  const std::vector<float> values = {3, 4, 12};
  std::vector<float> embedding;
  ASSERT_TRUE(make_embedding(values, 0, false, embedding).ok());
  EXPECT_EQ(embedding, values);
  ASSERT_TRUE(make_embedding(values, 2, true, embedding).ok());
  EXPECT_EQ(embedding, (std::vector<float>{0.6F, 0.8F}));
  EXPECT_THAT(make_embedding(values, 4, true, embedding).message(), HasSubstr("at most 3"));
}

TEST(AppendInfo, HasTheFieldsOfTei) {
  artifact::Metadata metadata;
  metadata.precision = model::Precision::bf16;
  metadata.provenance.sources = {{"model.safetensors", "abc"}};
  const model::Task task = task_of(model::TaskKind::multiclass, {"x", "y"});
  engine::TaskEntry served{"m.t", {}, &task};
  served.target.model_name = "m";
  Settings settings;
  std::string out;
  append_info(served, metadata, std::span(&served, 1), settings, out);
  for (const char* part :
       {R"("model_id":"m")", R"("model_sha":"abc")", R"("model_dtype":"bfloat16")",
        R"("served_model_name":"m.t")",
        R"("model_type":{"classifier":{"id2label":{"0":"x","1":"y"},"label2id":{"x":0,"y":1}}})",
        R"("max_input_length":64)", R"("max_client_batch_size":256)", R"("auto_truncate":false)",
        R"("sha":null)"}) {
    EXPECT_THAT(out, HasSubstr(part));
  }
}

TEST(WriteError, HasTheFormOfTei) {
  HttpResponse response;
  write_error(overloaded({.what = "full"}), 0.2, response);
  EXPECT_EQ(response.status, 429);
  EXPECT_EQ(response.body, R"({"error":"full.","error_type":"Overloaded"})");
  ASSERT_EQ(response.headers.size(), 1U);
  EXPECT_EQ(response.headers[0].second, "1");
  write_error(invalid_argument({.what = "bad"}), 0, response);
  EXPECT_EQ(response.status, 422);
  write_error(unsupported({.what = "bad"}), 0, response);
  EXPECT_EQ(response.status, 424);
  write_error(unavailable({.what = "bad"}), 0, response);
  EXPECT_EQ(response.status, 503);
  write_empty_error("inputs", response);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.body, R"({"error":"`inputs` cannot be empty","error_type":"Empty"})");
}

class ChooseOnly : public testing::Test {
 protected:
  const model::Task duplicate = task_of(model::TaskKind::binary, {"d"}, model::InputKind::pair);
  const model::Task intent = task_of(model::TaskKind::multiclass, {"x", "y"});
  const model::Task price = task_of(model::TaskKind::regression);
  const model::Task vector = task_of(model::TaskKind::embedding);
  const std::vector<engine::TaskEntry> all = {{"m.duplicate", {}, &duplicate},
                                              {"m.intent", {}, &intent},
                                              {"m.price", {}, &price},
                                              {"m.vector", {}, &vector}};
};

TEST_F(ChooseOnly, TakesTheOneThatSuits) {
  const auto chosen = [&](const Wanted& wanted, size_t from = 0) {
    return (*choose_only(std::span(all).subspan(from), wanted))->name;
  };
  EXPECT_EQ(chosen({Purpose::embed, {}}), "m.vector");
  EXPECT_EQ(chosen({Purpose::rerank, model::InputKind::pair}), "m.duplicate");
  // A classifier first, a regression where there is none.
  EXPECT_EQ(chosen({Purpose::predict, model::InputKind::text}), "m.intent");
  EXPECT_EQ(chosen({Purpose::predict, model::InputKind::text}, 2), "m.price");
  EXPECT_EQ(chosen({Purpose::predict, model::InputKind::pair}), "m.duplicate");
}

TEST_F(ChooseOnly, NamesTheChoices) {
  const std::string several = choose_only(all, {Purpose::anything, {}}).status().message();
  EXPECT_THAT(several, HasSubstr("m.duplicate, m.intent, m.price, m.vector"));
  const std::string none =
      choose_only(std::span(all).first(1), {Purpose::embed, {}}).status().message();
  EXPECT_THAT(none, HasSubstr("an embedding"));
  EXPECT_THAT(none, HasSubstr("m.duplicate"));
  EXPECT_THAT(choose_only({}, {Purpose::embed, {}}).status().message(), HasSubstr("no tasks"));
}

}  // namespace
}  // namespace tilewise::server::tei
