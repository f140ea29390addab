#include "checkpoint/tasks_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "checkpoint/test_checkpoint.h"

namespace tilewise::checkpoint {
namespace {

using model::InputKind;
using model::Pooling;
using model::TaskKind;
using testing::AllOf;
using testing::HasSubstr;

TasksContext context() {
  TasksContext context;
  context.spec.max_positions = 64;
  context.spec.layers = 6;
  context.longest = 64;
  return context;
}

TasksFile read(const std::string& json, Report& report, const TasksContext& with = context()) {
  const auto file = JsonFile::parse(json, "tasks.json");
  EXPECT_TRUE(file.ok()) << json;
  return read_tasks(*file, with, report);
}

// As of a folder whose config.json is broken: another problem, of which the reader hears elsewhere.
TEST(TasksFile, ExitsWithoutKnownLayersAreRead) {
  Report report;
  read(R"({"tasks": [{"name": "same", "kind": "binary", "input": "pair", "labels": ["same"], "pooling": "mean",
           "exits": [{"after_layer": 2147483647, "head": "h", "confidence": 0.9}]}]})",
       report, {});
  EXPECT_THAT(report.first_problem().message(), HasSubstr("exits[0].after_layer"));
}

TEST(TasksFile, ReadsEveryField) {
  Report report;
  const TestCheckpoint folder("multi_task");
  const TasksFile file = read(folder.read("tasks.json"), report);
  ASSERT_TRUE(report.ok()) << report.first_problem().message();
  ASSERT_EQ(file.tasks.size(), 5u);
  EXPECT_EQ(file.backbone_sha256->size(), 64u);

  const model::Task& duplicate = file.tasks[0];
  EXPECT_EQ(duplicate.name, "duplicate");
  EXPECT_EQ(duplicate.kind, TaskKind::binary);
  EXPECT_EQ(duplicate.input, InputKind::pair);
  EXPECT_EQ(duplicate.threshold, -0.68f);
  EXPECT_EQ(duplicate.max_tokens, 40);
  ASSERT_EQ(duplicate.record_template.fields.size(), 3u);
  EXPECT_EQ(duplicate.record_template.fields[1].name, "brand");
  EXPECT_EQ(duplicate.record_template.fields[1].prefix, "COL brand VAL ");
  EXPECT_EQ(duplicate.record_template.separator, " ");

  const model::Task& intent = file.tasks[1];
  EXPECT_EQ(intent.temperature, 1.5f);
  ASSERT_TRUE(intent.out_of_scope);
  EXPECT_EQ(intent.out_of_scope->below, 1.5f);
  EXPECT_EQ(intent.labels.size(), 5u);

  EXPECT_EQ(file.tasks[2].pooling, Pooling::cls);
  EXPECT_EQ(file.tasks[3].kind, TaskKind::regression);
  EXPECT_TRUE(file.tasks[4].normalize);
}

TEST(TasksFile, Defaults) {
  Report report;
  const TasksFile file =
      read(R"({"tasks": [{"name": "t", "kind": "regression", "input": "text", "pooling": "cls"}]})",
           report);
  ASSERT_TRUE(report.ok()) << report.first_problem().message();
  EXPECT_EQ(file.tasks[0].max_tokens, 64);
  EXPECT_EQ(file.tasks[0].truncation, model::Truncation::longest_first);
  EXPECT_EQ(file.tasks[0].temperature, 1);
  EXPECT_FALSE(file.tasks[0].threshold);
}

TEST(TasksFile, ReadsExits) {
  Report report;
  const TasksFile file = read(R"({"tasks": [
      {"name": "same", "kind": "binary", "input": "pair", "pooling": "mean", "labels": ["same"],
       "exits": [{"after_layer": 2, "head": "same.exit2", "confidence": 0.975},
                 {"after_layer": 5, "head": "b", "confidence": 1, "temperature": 1.25}]},
      {"name": "none", "kind": "regression", "input": "text", "pooling": "cls"},
      {"name": "intent", "kind": "multiclass", "input": "text", "pooling": "mean",
       "labels": ["x", "y", "z"], "out_of_scope": {"score": "logsumexp", "below": 9},
       "exits": [{"after_layer": 1, "head": "c", "confidence": 0.34, "below": -2.5}]}]})",
                              report);
  ASSERT_TRUE(report.ok()) << report.first_problem().message();
  const std::vector<model::Exit> same = {{.after_layer = 2, .confidence = 0.975f},
                                         {.after_layer = 5, .confidence = 1, .temperature = 1.25f}};
  EXPECT_EQ(file.tasks[0].exits, same);
  EXPECT_TRUE(file.tasks[1].exits.empty());
  const std::vector<model::Exit> intent = {{.after_layer = 1, .confidence = 0.34f, .below = -2.5f}};
  EXPECT_EQ(file.tasks[2].exits, intent);
  const std::vector<std::vector<std::string>> heads = {{"same.exit2", "b"}, {}, {"c"}};
  EXPECT_EQ(file.exit_heads, heads);
}

TEST(TasksFile, ExitsNeedTheirOwnHeads) {
  TasksContext own = context();
  own.checkpoint_head = true;
  Report report;
  read(
      R"({"tasks": [{"name": "t", "kind": "binary", "input": "pair", "labels": ["same"],
          "exits": [{"after_layer": 2, "head": "a", "confidence": 0.9}]}]})",
      report, own);
  EXPECT_THAT(report.first_problem().message(),
              AllOf(HasSubstr("tasks[0].exits"), HasSubstr("heads.safetensors")));
}

TEST(TasksFile, OwnClassifierStandsOnCls) {
  TasksContext own = context();
  own.checkpoint_head = true;
  Report report;
  const TasksFile file =
      read(R"({"tasks": [{"name": "t", "kind": "binary", "input": "pair", "labels": ["same"]}]})",
           report, own);
  ASSERT_TRUE(report.ok()) << report.first_problem().message();
  EXPECT_EQ(file.tasks[0].pooling, Pooling::cls);
  read(
      R"({"tasks": [{"name": "t", "kind": "binary", "input": "pair", "labels": ["same"], "pooling": "mean"}]})",
      report, own);
  EXPECT_THAT(report.first_problem().message(),
              AllOf(HasSubstr("tasks[0].pooling"), HasSubstr("heads.safetensors")));
}

TEST(TasksFile, OneBadTaskDoesNotHideTheOthers) {
  Report report;
  const TasksFile file = read(R"({"tasks": [
      {"name": "a", "kind": "ranking", "input": "text", "pooling": "cls"},
      {"name": "b", "kind": "regression", "input": "text", "pooling": "cls"},
      {"name": "c", "kind": "regression", "input": "texts", "pooling": "max"}]})",
                              report);
  ASSERT_EQ(file.tasks.size(), 1u);
  EXPECT_EQ(file.tasks[0].name, "b");
  EXPECT_THAT(problems(std::move(report).take_findings()),
              AllOf(HasSubstr("task a: "), HasSubstr("\"ranking\""), HasSubstr("task c: "),
                    HasSubstr("\"texts\""), HasSubstr("\"max\"")));
}

struct BadTask {
  const char* name;
  const char* fields;  ///< of a task named "t"
  const char* where;
  const char* detail;
};
void PrintTo(const BadTask& bad, std::ostream* out) { *out << bad.name; }
class BadTasks : public testing::TestWithParam<BadTask> {};

TEST_P(BadTasks, AreRefusedWithTheirField) {
  Report report;
  const TasksFile file =
      read(std::string(R"({"tasks": [{"name": "t", )") + GetParam().fields + "}]}", report);
  EXPECT_TRUE(file.tasks.empty());
  ASSERT_EQ(report.problems(), 1) << problems(std::move(report).take_findings());
  EXPECT_THAT(report.first_problem().message(),
              AllOf(HasSubstr(std::string("tasks.json: tasks[0]") + GetParam().where),
                    HasSubstr(GetParam().detail)));
}

#define BINARY R"("kind": "binary", "input": "text", "pooling": "mean", "labels": ["x"])"
#define MULTICLASS \
  R"("kind": "multiclass", "input": "text", "pooling": "mean", "labels": ["x", "y"])"
#define THREE_CLASSES \
  R"("kind": "multiclass", "input": "text", "pooling": "mean", "labels": ["x", "y", "z"])"
#define EXITS(fields) R"(, "exits": [{"head": "h", )" fields "}]"
#define EMBEDDING R"("kind": "embedding", "input": "text", "pooling": "mean")"
const BadTask kBadTasks[] = {
    {"kind_missing", R"("input": "text", "pooling": "mean")", ".kind", "missing"},
    {"kind_unknown", R"("kind": "ranking", "input": "text")", ".kind", "ranking"},
    {"input_missing", R"("kind": "embedding", "pooling": "mean")", ".input", "missing"},
    {"pooling_missing", R"("kind": "embedding", "input": "text")", ".pooling", "missing"},
    {"pooling_unknown", R"("kind": "embedding", "input": "text", "pooling": "max")", ".pooling",
     "max"},
    {"labels_missing", R"("kind": "binary", "input": "text", "pooling": "mean")", ".labels",
     "missing"},
    {"labels_of_binary",
     R"("kind": "binary", "input": "text", "pooling": "mean", "labels": ["no", "yes"])", ".labels",
     "one label"},
    {"one_class", R"("kind": "multiclass", "input": "text", "pooling": "mean", "labels": ["x"])",
     ".labels", "at least 2"},
    {"same_label_twice",
     R"("kind": "multiclass", "input": "text", "pooling": "mean", "labels": ["x", "x"])", ".labels",
     "distinct"},
    {"empty_label", R"("kind": "multilabel", "input": "text", "pooling": "mean", "labels": [""])",
     ".labels", "non-empty"},
    {"labels_of_numbers",
     R"("kind": "multilabel", "input": "text", "pooling": "mean", "labels": [1])", ".labels",
     "array of strings"},
    {"labels_of_regression",
     R"("kind": "regression", "input": "text", "pooling": "mean", "labels": ["x"])", ".labels",
     "does not suit"},
    {"threshold_of_multiclass", MULTICLASS R"(, "threshold": 0)", ".threshold", "does not suit"},
    {"threshold_is_text", BINARY R"(, "threshold": "high")", ".threshold", "high"},
    {"threshold_beyond_fp32", BINARY R"(, "threshold": 1e300)", ".threshold", "a number"},
    {"temperature_zero", BINARY R"(, "temperature": 0)", ".temperature", "over 0"},
    {"temperature_negative", BINARY R"(, "temperature": -1)", ".temperature", "over 0"},
    {"temperature_below_fp32", BINARY R"(, "temperature": 1e-300)", ".temperature", "over 0"},
    {"temperature_of_embedding", EMBEDDING R"(, "temperature": 2)", ".temperature",
     "does not suit"},
    {"normalize_of_binary", BINARY R"(, "normalize": true)", ".normalize", "does not suit"},
    {"out_of_scope_of_binary", BINARY R"(, "out_of_scope": {"score": "logsumexp", "below": 1})",
     ".out_of_scope", "does not suit"},
    {"out_of_scope_score", MULTICLASS R"(, "out_of_scope": {"score": "max", "below": 1})",
     ".out_of_scope.score", "max"},
    {"out_of_scope_no_below", MULTICLASS R"(, "out_of_scope": {"score": "logsumexp"})",
     ".out_of_scope.below", "missing"},
    {"max_tokens_beyond_positions", EMBEDDING R"(, "max_tokens": 65)", ".max_tokens",
     "from 3 to 64"},
    {"max_tokens_without_room", EMBEDDING R"(, "max_tokens": 2)", ".max_tokens", "from 3 to 64"},
    {"max_tokens_without_room_for_a_pair",
     R"("kind": "embedding", "input": "pair", "pooling": "cls", "max_tokens": 3)", ".max_tokens",
     "from 4 to 64"},
    {"truncation_unknown", EMBEDDING R"(, "truncation": "middle")", ".truncation", "middle"},
    {"only_second_of_a_text", EMBEDDING R"(, "truncation": "only_second")", ".truncation",
     "single text"},
    {"template_without_fields", EMBEDDING R"(, "template": {})", ".template.fields", "missing"},
    {"template_empty", EMBEDDING R"(, "template": {"fields": []})", ".template.fields",
     "at least one"},
    {"template_field_is_text", EMBEDDING R"(, "template": {"fields": ["title"]})",
     ".template.fields", "each field once"},
    {"template_field_twice", EMBEDDING R"(, "template": {"fields": [["a", ""], ["a", ""]]})",
     ".template.fields", "each field once"},
    {"template_field_of_three", EMBEDDING R"(, "template": {"fields": [["a", "", ""]]})",
     ".template.fields", "each field once"},
    {"exits_of_embedding", EMBEDDING EXITS(R"("after_layer": 2, "confidence": 0.9)"), ".exits",
     "does not suit"},
    {"exits_no_array", BINARY R"(, "exits": {})", ".exits", "an array"},
    {"exit_is_a_number", BINARY R"(, "exits": [2])", ".exits[0]", "an object"},
    {"exit_without_layer", BINARY EXITS(R"("confidence": 0.9)"), ".exits[0].after_layer",
     "missing"},
    {"exit_after_no_layer", BINARY EXITS(R"("after_layer": 0, "confidence": 0.9)"),
     ".exits[0].after_layer", "from 1 to 5"},
    {"exit_after_the_last_layer", BINARY EXITS(R"("after_layer": 6, "confidence": 0.9)"),
     ".exits[0].after_layer", "from 1 to 5"},
    {"exit_twice", BINARY R"(, "exits": [{"after_layer": 2, "confidence": 0.9, "head": "h"},
                                         {"after_layer": 2, "confidence": 0.9, "head": "i"}])",
     ".exits[1].after_layer", "from 3 to 5"},
    {"exit_behind_the_last",
     BINARY R"(, "exits": [{"after_layer": 5, "confidence": 0.9, "head": "h"},
                           {"after_layer": 5, "confidence": 0.9, "head": "i"}])",
     ".exits", "upwards"},
    {"exit_without_confidence", BINARY EXITS(R"("after_layer": 2)"), ".exits[0].confidence",
     "missing"},
    {"exit_that_all_take", BINARY EXITS(R"("after_layer": 2, "confidence": 0.5)"),
     ".exits[0].confidence", "over 1/2"},
    {"exit_that_all_classes_take", THREE_CLASSES EXITS(R"("after_layer": 2, "confidence": 0.333)"),
     ".exits[0].confidence", "over 1/3"},
    {"exit_that_none_takes", BINARY EXITS(R"("after_layer": 2, "confidence": 1.01)"),
     ".exits[0].confidence", "up to 1"},
    {"exit_confidence_is_text", BINARY EXITS(R"("after_layer": 2, "confidence": "high")"),
     ".exits[0].confidence", "high"},
    {"exit_temperature_zero",
     BINARY EXITS(R"("after_layer": 2, "confidence": 0.9, "temperature": 0)"),
     ".exits[0].temperature", "over 0"},
    {"exit_below_without_scope", BINARY EXITS(R"("after_layer": 2, "confidence": 0.9, "below": 3)"),
     ".exits[0].below", "no out_of_scope"},
    {"exit_scope_without_below",
     MULTICLASS R"(, "out_of_scope": {"score": "logsumexp", "below": 1})" EXITS(
         R"("after_layer": 2, "confidence": 0.9)"),
     ".exits[0].below", "missing"},
    {"exit_without_head", BINARY R"(, "exits": [{"after_layer": 2, "confidence": 0.9}])",
     ".exits[0].head", "missing"},
    {"exit_misspelt", BINARY EXITS(R"("after_layer": 2, "confidence": 0.9, "bellow": 3)"),
     ".exits[0].bellow", "not known"},
    {"misspelt_field", BINARY R"(, "treshold": 1)", ".treshold", "not known"},
};
INSTANTIATE_TEST_SUITE_P(, BadTasks, testing::ValuesIn(kBadTasks),
                         [](const auto& b) { return std::string(b.param.name); });

void expect_bad_file(const std::string& json, const std::string& message) {
  Report report;
  read(json, report);
  ASSERT_FALSE(report.ok()) << json;
  EXPECT_THAT(report.first_problem().message(), HasSubstr(message));
}

TEST(TasksFile, TheFileAsAWhole) {
  expect_bad_file("[]", "a JSON object");
  expect_bad_file("{}", "tasks.json: tasks");
  expect_bad_file(R"({"tasks": []})", "at least one task");
  expect_bad_file(R"({"tasks": [3]})", "tasks[0]");
  expect_bad_file(R"({"tasks": {}})", "an array");
  expect_bad_file(R"({"tasks": [], "models": []})", "models");
  expect_bad_file(R"({"tasks": [], "backbone": {"sha256": "ABC"}})", "64 lower-case");
  expect_bad_file(R"({"tasks": [], "backbone": "minilm"})", "an object");
}

TEST(TasksFile, Names) {
  for (const char* name : {"", "a,b", "a b", "a/b", "\\u00e9"}) {
    expect_bad_file(std::string(R"({"tasks": [{"name": ")") + name + R"(", )" EMBEDDING "}]}",
                    "tasks[0].name");
  }
  expect_bad_file(R"({"tasks": [{)" EMBEDDING "}]}", "tasks[0].name");
  expect_bad_file(R"({"tasks": [{"name": "t", )" EMBEDDING R"(}, {"name": "t", )" EMBEDDING "}]}",
                  "no other task");
}

}  // namespace
}  // namespace tilewise::checkpoint
