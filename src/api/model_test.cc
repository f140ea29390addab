// The public API on artifacts compiled from the tiny checkpoints, against what PyTorch computed
// from them.
#include <cmath>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include <tilewise/tilewise.h>

namespace tilewise {
namespace {

namespace dom = simdjson::dom;
namespace fs = std::filesystem;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kData = TILEWISE_SOURCE_DIR "/tests/data/checkpoint";
// fp32 sums of a few dozen terms in another order than PyTorch's, through two layers.
constexpr float kTolerance = 5e-5f;

double sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

Content to_content(dom::element value) {
  if (value.is_string()) return std::string(value.get_string().value());
  Record record;
  const dom::object fields = value;
  for (const dom::key_value_pair field : fields) {
    record.emplace_back(std::string(field.key), field.value.is_string()
                                                    ? std::string(field.value.get_string().value())
                                                    : simdjson::minify(field.value));
  }
  return record;
}

std::vector<float> to_floats(dom::element array) {
  std::vector<float> values;
  const dom::array items = array;
  for (const dom::element item : items) values.push_back(static_cast<float>(double{item}));
  return values;
}

/// A task's inputs and outputs from golden.json.
struct Golden {
  std::vector<Content> texts;
  std::vector<Pair> pairs;
  std::vector<std::vector<float>> outputs;  ///< logits, or the embedding
  std::vector<bool> truncated;
};

Golden golden(const std::string& folder, const std::string& task) {
  Golden golden;
  dom::parser parser;
  const dom::element file = parser.load(kData + "/golden.json");
  const dom::array cases = file["cases"];
  for (const dom::element item : cases) {
    if (std::string_view(item["folder"]) != folder || std::string_view(item["task"]) != task)
      continue;
    const dom::array rows = item["rows"];
    for (const dom::element row : rows) {
      dom::element text;
      if (row["input"]["text"].get(text) == simdjson::SUCCESS) {
        golden.texts.push_back(to_content(text));
      } else {
        golden.pairs.push_back(
            {to_content(row["input"]["left"]), to_content(row["input"]["right"])});
      }
      dom::element logits;
      const bool has_logits = row["logits"].get(logits) == simdjson::SUCCESS;
      golden.outputs.push_back(to_floats(has_logits ? logits : row["embedding"].value()));
      golden.truncated.push_back(bool{row["truncated"]});
    }
  }
  return golden;
}

void expect_near(const std::vector<float>& found, const std::vector<float>& expected) {
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], kTolerance) << i;
}

class Api : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    std::string pattern = (fs::temp_directory_path() / "tilewise-api-XXXXXX").string();
    folder_ = mkdtemp(pattern.data());
    const Status status = compile(kData + "/multi_task", path("model.tw"),
                                  {.backbone = kData + "/bert", .precision = "fp32"});
    ASSERT_TRUE(status.ok()) << status.message();
  }
  static void TearDownTestSuite() { fs::remove_all(folder_); }

  static std::string path(const std::string& file) { return (fs::path(folder_) / file).string(); }
  static Model open(const OpenOptions& options = {}) {
    Result<Model> model = Model::open(path("model.tw"), options);
    EXPECT_TRUE(model.ok()) << model.status().message();
    return *std::move(model);
  }

  static std::string folder_;
};
std::string Api::folder_;

TEST_F(Api, TellsItsTasks) {
  const std::vector<TaskInfo> tasks = open().tasks();
  ASSERT_EQ(tasks.size(), 5u);
  EXPECT_EQ(tasks[0].name, "duplicate");
  EXPECT_EQ(tasks[0].kind, "binary");
  EXPECT_EQ(tasks[0].input, "pair");
  EXPECT_THAT(tasks[0].labels, ElementsAre("duplicate"));
  EXPECT_EQ(tasks[0].max_tokens, 40);
  EXPECT_EQ(tasks[4].kind, "embedding");
}

TEST_F(Api, ScoresPairsOfTextsAndRecords) {
  const Golden expected = golden("multi_task", "duplicate");
  ASSERT_EQ(expected.pairs.size(), 14u);
  const auto answers = open().score("duplicate", expected.pairs);
  ASSERT_TRUE(answers.ok()) << answers.status().message();
  ASSERT_EQ(answers->size(), expected.pairs.size());
  int duplicates = 0;
  for (size_t i = 0; i < answers->size(); ++i) {
    SCOPED_TRACE(i);
    const Result<Prediction>& answer = (*answers)[i];
    ASSERT_TRUE(answer.ok()) << answer.status().message();
    const float logit = expected.outputs[i][0];
    expect_near(answer->logits, {logit});
    EXPECT_NEAR(answer->score, sigmoid(logit), kTolerance);
    EXPECT_EQ(answer->truncated, expected.truncated[i]);
    EXPECT_EQ(answer->label.has_value(), logit >= -0.68f);
    duplicates += answer->label.has_value();
  }
  EXPECT_GT(duplicates, 0);
  EXPECT_LT(duplicates, 14);
}

TEST_F(Api, ClassifiesTexts) {
  const Golden expected = golden("multi_task", "intent");
  const auto answers = open().predict("intent", expected.texts, {.top = 0});
  ASSERT_TRUE(answers.ok());
  for (size_t i = 0; i < answers->size(); ++i) {
    SCOPED_TRACE(i);
    const Prediction& answer = *(*answers)[i];
    const std::vector<float>& logits = expected.outputs[i];
    expect_near(answer.logits, logits);
    double sum = 0;
    double energy = 0;
    for (const float z : logits) sum += std::exp(double{z} / 1.5), energy += std::exp(double{z});
    const auto best =
        static_cast<size_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    ASSERT_EQ(answer.labels.size(), 5u);
    EXPECT_EQ(answer.label, open().tasks()[1].labels[best]);
    EXPECT_NEAR(answer.labels[0].score, std::exp(logits[best] / 1.5) / sum, kTolerance);
    EXPECT_EQ(answer.out_of_scope, std::log(energy) < 1.5);
  }
}

TEST_F(Api, EveryOtherKind) {
  const Model model = open();
  const Golden tags = golden("multi_task", "tags");
  const Golden urgency = golden("multi_task", "urgency");
  const Golden vector = golden("multi_task", "vector");
  const auto tag_answers = model.predict("tags", tags.texts);
  const auto urgency_answers = model.predict("urgency", urgency.texts);
  const auto vector_answers = model.predict("vector", vector.texts);
  ASSERT_TRUE(tag_answers.ok() && urgency_answers.ok() && vector_answers.ok());
  for (size_t i = 0; i < tags.texts.size(); ++i) {
    SCOPED_TRACE(i);
    const auto over = std::count_if(tags.outputs[i].begin(), tags.outputs[i].end(),
                                    [](float z) { return z >= 0.25f; });
    EXPECT_EQ((*tag_answers)[i]->labels.size(), static_cast<size_t>(over));
    EXPECT_NEAR((*urgency_answers)[i]->value, urgency.outputs[i][0], kTolerance);
    expect_near((*vector_answers)[i]->embedding, vector.outputs[i]);
    EXPECT_TRUE((*vector_answers)[i]->logits.empty());
  }
}

TEST_F(Api, ThresholdAndBothOrders) {
  const Model model = open();
  const std::vector<Pair> pairs = {{"red shoe", "red shoes"}, {"red shoes", "red shoe"}};
  const auto plain = model.score("duplicate", pairs);
  const auto both = model.score("duplicate", pairs, {.both_orders = true});
  const auto strict = model.score("duplicate", pairs, {.threshold = 100.0f});
  ASSERT_TRUE(plain.ok() && both.ok() && strict.ok());
  const float mean = ((*plain)[0]->logits[0] + (*plain)[1]->logits[0]) / 2;
  EXPECT_NE((*plain)[0]->logits[0], (*plain)[1]->logits[0]);
  EXPECT_NEAR((*both)[0]->logits[0], mean, 1e-6f);  // one rounding of a value of size 1
  EXPECT_FLOAT_EQ((*both)[0]->logits[0], (*both)[1]->logits[0]);
  EXPECT_FALSE((*strict)[0]->label);
}

TEST_F(Api, TextAloneEqualsTextAmongOthersBitForBit) {
  const Golden expected = golden("multi_task", "intent");
  const Model model = open({.replicas = 2, .pin = false});
  EXPECT_EQ(model.replicas(), 2);
  const auto together = model.predict("intent", expected.texts);
  for (size_t i = 0; i < expected.texts.size(); ++i) {
    const auto alone = model.predict("intent", {expected.texts[i]});
    EXPECT_EQ((*together)[i]->logits, (*alone)[0]->logits);
  }
}

TEST_F(Api, CopiesShareAndThreadsMayCallAtOnce) {
  const Golden expected = golden("multi_task", "duplicate");
  std::vector<std::thread> threads;
  {
    const Model model = open({.replicas = 2, .pin = false});
    for (int t = 0; t < 4; ++t) {
      threads.emplace_back([copy = model, &expected] {
        for (int round = 0; round < 3; ++round) {
          const auto answers = copy.score("duplicate", expected.pairs);
          ASSERT_TRUE(answers.ok());
          for (size_t i = 0; i < answers->size(); ++i)
            expect_near((*answers)[i]->logits, expected.outputs[i]);
        }
      });
    }
  }  // the copies keep the model alive
  for (std::thread& thread : threads) thread.join();
}

TEST_F(Api, ABadInputFailsAlone) {
  const auto answers = open().predict("intent", {"refund", Record{{"title", "mug"}}, ""});
  ASSERT_TRUE(answers.ok());
  ASSERT_EQ(answers->size(), 3u);
  EXPECT_TRUE((*answers)[0].ok());
  EXPECT_EQ((*answers)[1].status().code(),
            StatusCode::invalid_input);  // a record, and the task has no template
  EXPECT_TRUE((*answers)[2].ok());
}

TEST_F(Api, NoInputsNoAnswers) {
  const auto answers = open().predict("intent", {});
  ASSERT_TRUE(answers.ok());
  EXPECT_TRUE(answers->empty());
}

void expect_error(const Status& status, StatusCode code, const std::string& message) {
  EXPECT_EQ(status.code(), code) << status.message();
  EXPECT_THAT(status.message(), HasSubstr(message));
}

TEST_F(Api, WrongCallsSayWhatIsWrong) {
  const Model model = open();
  expect_error(model.predict("intents", {"x"}).status(), StatusCode::not_found,
               "duplicate, intent, tags");
  expect_error(model.predict("intent,tags", {"x"}).status(), StatusCode::not_found, "intent,tags");
  expect_error(model.predict("duplicate", {"x"}).status(), StatusCode::invalid_argument, "score()");
  expect_error(model.score("intent", {{"x", "y"}}).status(), StatusCode::invalid_argument,
               "predict()");
  expect_error(model.predict("intent", {"x"}, {.top = -1}).status(), StatusCode::invalid_argument,
               "top");
  expect_error(model.predict("intent", {"x"}, {.both_orders = true}).status(),
               StatusCode::invalid_argument, "both_orders");
}

TEST_F(Api, OpenRefusesWhatItCannotOpen) {
  std::ofstream(path("foreign.tw")) << "not a model";
  expect_error(Model::open(path("nothing.tw")).status(), StatusCode::not_found, "nothing.tw");
  expect_error(Model::open(path("foreign.tw")).status(), StatusCode::invalid_input, "foreign.tw");
  expect_error(Model::open(path("model.tw"), {.isa = "sse9"}).status(),
               StatusCode::invalid_argument, "sse9");
  expect_error(Model::open(path("model.tw"), {.replicas = -1}).status(),
               StatusCode::invalid_argument, "replicas");
  expect_error(Model::open(path("model.tw"), {.cores_per_replica = 0}).status(),
               StatusCode::invalid_argument, "cores_per_replica");
  expect_error(Model::open(path("model.tw"), {.cores_per_replica = 4096}).status(),
               StatusCode::unavailable_machine, "4096");
}

TEST_F(Api, ForcedInstructionSetRuns) {
#if defined(__x86_64__)
  const Golden expected = golden("multi_task", "intent");
  const Model model = open({.isa = "portable"});
  EXPECT_EQ(model.isa(), "portable");
  const auto answers = model.predict("intent", expected.texts);
  ASSERT_TRUE(answers.ok());
  for (size_t i = 0; i < answers->size(); ++i)
    expect_near((*answers)[i]->logits, expected.outputs[i]);
#else
  GTEST_SKIP() << "written for x86-64, where portable is not the best";
#endif
}

TEST_F(Api, CompileRefusesWhatItCannotCompile) {
  expect_error(compile("/nonexistent", path("x.tw")), StatusCode::not_found, "/nonexistent");
  expect_error(compile(kData + "/bert", path("x.tw"), {.precision = "int4"}),
               StatusCode::invalid_argument, "int4");
  expect_error(compile(kData + "/multi_task", path("x.tw")), StatusCode::not_found, "backbone");
  expect_error(compile(kData + "/bert", "/nonexistent/x.tw"), StatusCode::io_error, "/nonexistent");
  EXPECT_FALSE(fs::exists(path("x.tw")));
}

TEST_F(Api, CompilesInt8WithRowsAndWithout) {
  const std::string folder = kData + "/multi_task";
  CompileOptions options{.backbone = kData + "/bert", .precision = "int8"};
  const Golden expected = golden("multi_task", "intent");
  for (const bool is_calibrated : {false, true}) {
    SCOPED_TRACE(is_calibrated);
    if (is_calibrated) {
      options.calibration = {
          {.task = "intent", .texts = expected.texts},
          {.task = "duplicate", .pairs = {{Record{{"title", "mug"}}, Record{{"title", "cup"}}}}}};
    }
    const Status status = compile(folder, path("int8.tw"), options);
    ASSERT_TRUE(status.ok()) << status.message();
    const auto model = Model::open(path("int8.tw"));
    ASSERT_TRUE(model.ok()) << model.status().message();
    const auto answers = model->predict("intent", expected.texts);
    ASSERT_TRUE(answers.ok()) << answers.status().message();
    for (size_t i = 0; i < answers->size(); ++i) {
      const std::vector<float>& logits = (*answers)[i]->logits;
      ASSERT_EQ(logits.size(), expected.outputs[i].size());
      for (size_t j = 0; j < logits.size(); ++j) {
        // As tests/parity/tiny_models_test.py: 26 roundings of bf16 and 8 layers of int8.
        EXPECT_NEAR(logits[j], expected.outputs[i][j], 0.15 * std::max(1.0f, std::abs(logits[j])));
      }
    }
  }
  options.calibration = {{.task = "intents", .texts = {"a"}}};
  expect_error(compile(folder, path("x.tw"), options), StatusCode::invalid_argument, "intents");
  options = {.backbone = kData + "/bert", .calibration = {{.task = "intent", .texts = {"a"}}}};
  expect_error(compile(folder, path("x.tw"), options), StatusCode::invalid_argument, "int8");
  EXPECT_FALSE(fs::exists(path("x.tw")));
}

TEST_F(Api, EveryTinyCheckpointCompilesAndAnswers) {
  const struct {
    const char* folder;
    const char* task;
  } kCases[] = {{"bert", "embedding"},
                {"bert_sharded", "classification"},
                {"bert_f16", "classification"},
                {"bert_bf16", "classification"},
                {"distilbert_classifier", "classification"},
                {"sentence_transformer", "embedding"},
                {"cross_encoder", "classification"}};
  for (const auto& [folder, task] : kCases) {
    SCOPED_TRACE(folder);
    const Status status = compile(kData + "/" + folder, path("other.tw"), {.precision = "fp32"});
    ASSERT_TRUE(status.ok()) << status.message();
    const auto model = Model::open(path("other.tw"));
    ASSERT_TRUE(model.ok()) << model.status().message();
    const Golden expected = golden(folder, task);
    const auto answers = expected.pairs.empty() ? model->predict(task, expected.texts)
                                                : model->score(task, expected.pairs);
    ASSERT_TRUE(answers.ok()) << answers.status().message();
    for (size_t i = 0; i < answers->size(); ++i) {
      SCOPED_TRACE(i);
      const Prediction& answer = *(*answers)[i];
      expect_near(answer.embedding.empty() ? answer.logits : answer.embedding, expected.outputs[i]);
    }
  }
}

TEST(Version, IsThatOfTheProject) { EXPECT_STREQ(version(), "0.1.0"); }

}  // namespace
}  // namespace tilewise
