#include "rows/csv_writer.h"

#include <limits>

#include <gtest/gtest.h>

#include "rows/writer.h"

namespace tilewise::rows {
namespace {

using model::Prediction;
using model::Task;
using model::TaskKind;

// Expected: Python's csv.writer(lineterminator="\n").
TEST(CsvWriter, QuotesWhatNeedsIt) {
  std::string out;
  CsvWriter line(',', out);
  for (const char* cell : {"a", "", "a b", "a,b", "a\"b", "a\nb", "a\r\nb", "\t", "'", "\""})
    line.cell(cell);
  line.end_line();
  line.cell("next");
  EXPECT_EQ(out, "a,,a b,\"a,b\",\"a\"\"b\",\"a\nb\",\"a\r\nb\",\t,',\"\"\"\"\nnext");

  std::string tabs;
  CsvWriter tsv('\t', tabs);
  for (const char* cell : {"a,b", "a\tb"}) tsv.cell(cell);
  EXPECT_EQ(tabs, "a,b\t\"a\tb\"");
}

TEST(CsvWriter, IdsLoseWhatJsonAddedToThem) {
  const std::string ids[] = {"a7", "a\"b", "a\\b/\n\r\t\x01\x1F\x7F", "\xC3\xA9", "\\u0041", ""};
  for (const std::string& id : ids) {
    std::string json, out, expected;
    append_json_string(id, json);
    CsvWriter(',', out).id_cell(json);
    CsvWriter(',', expected).cell(id);
    EXPECT_EQ(out, expected) << json;
  }
  std::string number;
  CsvWriter(',', number).id_cell("-1.50e3");
  EXPECT_EQ(number, "-1.50e3");
}

Task make_task(const std::string& name, TaskKind kind, std::vector<std::string> labels = {}) {
  Task task;
  task.name = name;
  task.kind = kind;
  task.labels = std::move(labels);
  return task;
}

std::string written(const std::vector<Task>& tasks, const std::vector<Prediction>& predictions,
                    OutputOptions options = {}, int32_t top = 1, Format format = Format::csv) {
  std::vector<const Task*> pointers;
  for (const Task& task : tasks) pointers.push_back(&task);
  options.format = format;
  const ResultWriter writer(pointers, options, top);
  std::string out;
  writer.append_header(out);
  writer.append("\"x,1\"", predictions, out);
  return out;
}

const Task kBinary = make_task("duplicate", TaskKind::binary, {"duplicate"});
const Task kIntent = make_task("intent", TaskKind::multiclass, {"refund", "say \"hi\"", "other"});

TEST(ResultWriter, JsonLinesHaveNoHeader) {
  EXPECT_EQ(written({kBinary}, {Prediction{.score = 0.5f}}, {}, 1, Format::json_lines),
            "{\"id\":\"x,1\",\"score\":0.5,\"label\":null}\n");
}

TEST(ResultWriter, Binary) {
  EXPECT_EQ(written({kBinary}, {Prediction{.score = 0.93f, .over_threshold = true}}),
            "id,score,label,truncated\n\"x,1\",0.93,duplicate,false\n");
  EXPECT_EQ(written({kBinary}, {Prediction{.logits = {-2.5f}, .score = 0.07f, .truncated = true}},
                    {.logits = true}),
            "id,score,label,logits,truncated\n\"x,1\",0.07,,[-2.5],true\n");
  EXPECT_EQ(written({kBinary}, {Prediction{.score = 0.5f}}, {}, 1, Format::tsv),
            "id\tscore\tlabel\ttruncated\nx,1\t0.5\t\tfalse\n");
}

TEST(ResultWriter, MulticlassHasAsManyLabelsAsWereAskedFor) {
  const Prediction one{.labels = {{1, 0.75f}}};
  EXPECT_EQ(written({kIntent}, {one}),
            "id,label,score,truncated\n\"x,1\",\"say \"\"hi\"\"\",0.75,false\n");
  const Prediction two{.logits = {1.f, 2.5f}, .labels = {{2, 0.75f}, {0, 0.25f}}};
  EXPECT_EQ(written({kIntent}, {two}, {.logits = true}, 2),
            "id,label,score,label_2,score_2,logits,truncated\n"
            "\"x,1\",other,0.75,refund,0.25,\"[1,2.5]\",false\n");
  EXPECT_EQ(written({kIntent}, {two}, {}, 0),
            "id,label,score,label_2,score_2,label_3,score_3,truncated\n"
            "\"x,1\",other,0.75,refund,0.25,,,false\n");
  Task scoped = kIntent;
  scoped.out_of_scope = model::OutOfScope{.below = 1};
  EXPECT_EQ(written({scoped}, {Prediction{.labels = {{0, 1.f}}, .out_of_scope = true}}, {}, 9),
            "id,label,score,label_2,score_2,label_3,score_3,out_of_scope,truncated\n"
            "\"x,1\",refund,1,,,,,true,false\n");
}

TEST(ResultWriter, ListsStandAsTheyDoInJsonLines) {
  const Task tags = make_task("tags", TaskKind::multilabel, {"a", "b"});
  EXPECT_EQ(written({tags}, {Prediction{.labels = {{0, 0.5f}, {1, 0.25f}}}}),
            "id,labels,truncated\n\"x,1\",\"[{\"\"label\"\":\"\"a\"\",\"\"score\"\":0.5},"
            "{\"\"label\"\":\"\"b\"\",\"\"score\"\":0.25}]\",false\n");
  EXPECT_EQ(written({tags}, {Prediction{}}), "id,labels,truncated\n\"x,1\",[],false\n");
  const Task vector = make_task("vector", TaskKind::embedding);
  EXPECT_EQ(written({vector}, {Prediction{.embedding = {0.5f, -1e-9f}}}, {.logits = true}),
            "id,embedding,truncated\n\"x,1\",\"[0.5,-1e-09]\",false\n");
  const Task price = make_task("price", TaskKind::regression);
  EXPECT_EQ(written({price}, {Prediction{.value = -1.5f}}),
            "id,value,truncated\n\"x,1\",-1.5,false\n");
  EXPECT_EQ(written({price}, {Prediction{.value = std::numeric_limits<float>::quiet_NaN()}}),
            "id,value,truncated\n\"x,1\",,false\n");
}

TEST(ResultWriter, TheDepthIsAColumnWhereATaskHasExits) {
  Task duplicate = kBinary;
  duplicate.exits = {{.after_layer = 2, .confidence = 0.9f}};
  EXPECT_EQ(written({duplicate}, {Prediction{.logits = {2.5f}, .score = 0.93f, .depth = 2}},
                    {.logits = true}),
            "id,score,label,logits,depth,truncated\n\"x,1\",0.93,,[2.5],2,false\n");
  EXPECT_EQ(written({kIntent, duplicate},
                    {Prediction{.labels = {{0, 1.f}}}, Prediction{.score = 0.5f, .depth = 4.5f}}),
            "id,intent.label,intent.score,intent.truncated,duplicate.score,duplicate.label,"
            "duplicate.depth,duplicate.truncated\n\"x,1\",refund,1,false,0.5,,4.5,false\n");
}

TEST(ResultWriter, SeveralTasksPutTheirNamesBeforeTheColumns) {
  const Task odd = make_task("a,b", TaskKind::regression);
  EXPECT_EQ(written({kBinary, odd}, {Prediction{.score = 0.5f}, Prediction{.value = 2.f}}),
            "id,duplicate.score,duplicate.label,duplicate.truncated,\"a,b.value\","
            "\"a,b.truncated\"\n\"x,1\",0.5,,false,2,false\n");
}

}  // namespace
}  // namespace tilewise::rows
