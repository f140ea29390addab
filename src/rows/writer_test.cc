#include "rows/writer.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include <gtest/gtest.h>

#include "rows/reader.h"

namespace tilewise::rows {
namespace {

using model::Prediction;
using model::Task;
using model::TaskKind;

Task make_task(const std::string& name, TaskKind kind, std::vector<std::string> labels = {}) {
  Task task;
  task.name = name;
  task.kind = kind;
  task.labels = std::move(labels);
  return task;
}

std::string line(const std::string& id, const std::vector<Task>& tasks,
                 const std::vector<Prediction>& predictions, const OutputOptions& options = {}) {
  std::vector<const Task*> pointers;
  for (const Task& task : tasks) pointers.push_back(&task);
  std::string out;
  append_prediction(id, pointers, predictions, options, out);
  return out;
}

const Task kBinary = make_task("duplicate", TaskKind::binary, {"duplicate"});
const Task kMulticlass =
    make_task("intent", TaskKind::multiclass, {"refund", "say \"hi\"", "other"});

TEST(Writer, Binary) {
  Prediction over{.logits = {2.5f}, .score = 0.93f, .over_threshold = true};
  Prediction under{.logits = {-2.5f}, .score = 0.07f, .over_threshold = false};
  EXPECT_EQ(line("\"a7\"", {kBinary}, {over}),
            "{\"id\":\"a7\",\"score\":0.93,\"label\":\"duplicate\"}\n");
  EXPECT_EQ(line("17", {kBinary}, {under}), "{\"id\":17,\"score\":0.07,\"label\":null}\n");
}

TEST(Writer, MulticlassEscapesLabelsAndSaysWhatIsOutOfScope) {
  Prediction prediction{.labels = {{1, 0.75f}, {0, 0.25f}}};
  EXPECT_EQ(line("1", {kMulticlass}, {prediction}),
            "{\"id\":1,\"labels\":[{\"label\":\"say "
            "\\\"hi\\\"\",\"score\":0.75},{\"label\":\"refund\",\"score\":0.25}]}\n");
  prediction.labels.resize(1);
  prediction.out_of_scope = true;
  EXPECT_EQ(line("1", {kMulticlass}, {prediction}),
            "{\"id\":1,\"labels\":[{\"label\":\"say "
            "\\\"hi\\\"\",\"score\":0.75}],\"out_of_scope\":true}\n");
}

TEST(Writer, MultilabelRegressionAndEmbedding) {
  const Task tags = make_task("tags", TaskKind::multilabel, {"a", "b"});
  EXPECT_EQ(line("1", {tags}, {Prediction{}}), "{\"id\":1,\"labels\":[]}\n");
  const Task price = make_task("price", TaskKind::regression);
  EXPECT_EQ(line("1", {price}, {Prediction{.value = -1.5f}}), "{\"id\":1,\"value\":-1.5}\n");
  const Task vector = make_task("vector", TaskKind::embedding);
  EXPECT_EQ(line("1", {vector}, {Prediction{.embedding = {0.5f, 0.f, -1e-9f}}}),
            "{\"id\":1,\"embedding\":[0.5,0,-1e-09]}\n");
}

TEST(Writer, LogitsAndTruncationAreSaidWhereTheyApply) {
  const Prediction prediction{.logits = {1.5f, -2.f}, .labels = {{0, 0.5f}}, .truncated = true};
  EXPECT_EQ(line("1", {kMulticlass}, {prediction}, {.logits = true}),
            "{\"id\":1,\"labels\":[{\"label\":\"refund\",\"score\":0.5}],\"logits\":[1.5,-2],"
            "\"truncated\":true}\n");
  const Task vector = make_task("vector", TaskKind::embedding);
  EXPECT_EQ(line("1", {vector}, {Prediction{.embedding = {1.f}}}, {.logits = true}),
            "{\"id\":1,\"embedding\":[1]}\n");
}

TEST(Writer, SeveralTasksStandUnderTheirNames) {
  EXPECT_EQ(line("\"x\"", {kBinary, kMulticlass},
                 {Prediction{.score = 0.5f}, Prediction{.labels = {{2, 1.f}}}}),
            "{\"id\":\"x\",\"duplicate\":{\"score\":0.5,\"label\":null},"
            "\"intent\":{\"labels\":[{\"label\":\"other\",\"score\":1}]}}\n");
}

TEST(Writer, TheDepthIsSaidWhereATaskHasExits) {
  Task intent = kMulticlass;
  intent.exits = {{.after_layer = 2, .confidence = 0.9f}};
  const Prediction early{.logits = {1.5f}, .labels = {{0, 0.5f}}, .truncated = true, .depth = 2};
  EXPECT_EQ(line("1", {intent}, {early}, {.logits = true}),
            "{\"id\":1,\"labels\":[{\"label\":\"refund\",\"score\":0.5}],\"logits\":[1.5],"
            "\"depth\":2,\"truncated\":true}\n");
  // The mean of two orders; the other task has no exits, so whatever its prediction holds is none.
  Task duplicate = kBinary;
  duplicate.exits = intent.exits;
  EXPECT_EQ(line("1", {duplicate, kMulticlass},
                 {Prediction{.score = 0.5f, .depth = 4.5f},
                  Prediction{.labels = {{2, 1.f}}, .depth = 3}}),
            "{\"id\":1,\"duplicate\":{\"score\":0.5,\"label\":null,\"depth\":4.5},"
            "\"intent\":{\"labels\":[{\"label\":\"other\",\"score\":1}]}}\n");
}

TEST(Writer, RowsAreWrittenAsTheyAreRead) {
  const std::string lines[] = {
      "{\"id\":7,\"text\":\"a\\nb\"}\n", "{\"id\":\"x\",\"left\":\"l\",\"right\":{}}\n",
      "{\"id\":1.0,\"left\":{\"a\":\"1.50\",\"b\":\"\"},\"right\":{\"c\":\"\\\"\"}}\n"};
  RowParser parser;
  for (const std::string& text : lines) {
    model::Row row;
    ASSERT_TRUE(parser.parse(text, {"lines", 1}, row).ok());
    std::string out;
    append_row(row, out);
    EXPECT_EQ(out, text);
  }
}

TEST(Writer, JsonStringsAreEscaped) {
  std::string out;
  append_json_string(std::string_view("a\"b\\c\n\r\t\x01\0\x7F\xC3\xA9", 13), out);
  EXPECT_EQ(out, "\"a\\\"b\\\\c\\n\\r\\t\\u0001\\u0000\x7F\xC3\xA9\"");
}

TEST(Writer, FloatsReadBackEqual) {
  std::mt19937 random(7);
  for (int i = 0; i < 100000; ++i) {
    const uint32_t bits = random();
    float value = 0;
    std::memcpy(&value, &bits, sizeof value);
    if (!std::isfinite(value)) continue;
    std::string text;
    append_float(value, text);
    EXPECT_EQ(std::strtof(text.c_str(), nullptr), value) << text;
    EXPECT_LE(text.size(), 15u) << text;  // sign, 9 digits, point, exponent "e-45"
  }
}

TEST(Writer, WhatJsonCannotExpressIsNull) {
  std::string out;
  append_float(std::numeric_limits<float>::quiet_NaN(), out);
  append_float(-std::numeric_limits<float>::infinity(), out);
  EXPECT_EQ(out, "nullnull");
}

}  // namespace
}  // namespace tilewise::rows
