#include <cstring>
#include <optional>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <tilewise/columns.h>
#include <tilewise/tilewise.h>

#include "base/temporary_folder.h"

namespace tilewise {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

const std::string kData = TILEWISE_SOURCE_DIR "/tests/data/checkpoint";

using Texts = std::vector<std::optional<std::string>>;

/// Texts in Arrow's three layouts, as others would write them.
struct Memory {
  std::string bytes;
  std::vector<int32_t> offsets32 = {0};
  std::vector<int64_t> offsets64 = {0};
  std::vector<int32_t> views;
  std::vector<uint8_t> validity;
  const char* buffers[1] = {};
  int64_t rows = 0;

  explicit Memory(const Texts& texts)
      : validity(texts.size() / 8 + 1), rows(static_cast<int64_t>(texts.size())) {
    for (size_t i = 0; i < texts.size(); ++i) {
      if (texts[i]) validity[i / 8] |= static_cast<uint8_t>(1 << (i % 8));
      add(texts[i].value_or(""));
    }
    buffers[0] = bytes.data();
  }

  StringColumn column32() const {
    return StringColumn::of_offsets(offsets32.data(), bytes.data(), rows, validity.data());
  }
  StringColumn column64() const {
    return StringColumn::of_offsets(offsets64.data(), bytes.data(), rows, validity.data());
  }
  StringColumn column_of_views() const {
    return StringColumn::of_views(views.data(), buffers, rows, validity.data());
  }

 private:
  void add(const std::string& text) {
    int32_t view[4] = {static_cast<int32_t>(text.size()), 0, 0, 0};
    if (text.size() <= 12) {
      std::memcpy(view + 1, text.data(), text.size());
    } else {
      std::memcpy(view + 1, text.data(), 4);
      view[3] = static_cast<int32_t>(bytes.size());
    }
    views.insert(views.end(), view, view + 4);
    bytes += text;
    offsets32.push_back(static_cast<int32_t>(bytes.size()));
    offsets64.push_back(static_cast<int64_t>(bytes.size()));
  }
};

const Texts kTexts = {
    "where is my parcel",       "",  std::nullopt, "refund", "twelve bytes", "hello", std::nullopt,
    "caf\u00e9 shoes, size 42", "a", "b"};

TEST(StringColumn, ReadsEveryLayout) {
  const Memory memory(kTexts);
  for (const StringColumn& column :
       {memory.column32(), memory.column64(), memory.column_of_views()}) {
    ASSERT_EQ(column.rows(), 10);
    for (int64_t i = 0; i < column.rows(); ++i) {
      const auto& text = kTexts[static_cast<size_t>(i)];
      EXPECT_EQ(column.has(i), text.has_value());
      EXPECT_EQ(column[i], text.value_or(""));
    }
  }
  EXPECT_EQ(memory.column32()[0].data(), memory.bytes.data());  // where it lies
  EXPECT_EQ(memory.column_of_views()[0].data(), memory.bytes.data());
}

TEST(StringColumn, IsASliceOfALongerOne) {
  const Memory memory(kTexts);
  const auto slice = StringColumn::of_offsets(memory.offsets32.data(), memory.bytes.data(), 2,
                                              memory.validity.data(), 5);
  EXPECT_EQ(slice[0], "hello");
  EXPECT_FALSE(slice.has(1));
  const auto views =
      StringColumn::of_views(memory.views.data(), memory.buffers, 1, memory.validity.data(), 7);
  EXPECT_EQ(views[0], *kTexts[7]);
  EXPECT_EQ(StringColumn().rows(), 0);
}

class Columns : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TemporaryFolder;
    const Status status =
        compile(kData + "/multi_task", path(), {.backbone = kData + "/bert", .precision = "fp32"});
    ASSERT_TRUE(status.ok()) << status.message();
  }
  static void TearDownTestSuite() { delete folder_; }

  static std::string path() { return *folder_ / "model.tw"; }
  static Model open() {
    auto model = Model::open(path(), {.replicas = 2, .pin = false});
    EXPECT_TRUE(model.ok()) << model.status().message();
    return *std::move(model);
  }

  static TemporaryFolder* folder_;
};
TemporaryFolder* Columns::folder_ = nullptr;

/// More rows than a share has, some of them null.
Texts many_texts() {
  Texts texts;
  for (int i = 0; i < 700; ++i) {
    texts.push_back(i % 97 == 5 ? std::nullopt
                                : std::optional("parcel " + std::string(i % 7, 'x') + " refund"));
  }
  return texts;
}

TEST_F(Columns, AnswersAreThoseOfPredict) {
  const Model model = open();
  const Texts texts = many_texts();
  const Memory memory(texts);
  std::vector<Content> contents;
  for (const auto& text : texts) contents.emplace_back(text.value_or(""));
  for (const ContentColumn& column :
       {ContentColumn(memory.column32()), ContentColumn(memory.column_of_views())}) {
    const auto columns = model.predict_columns("intent", column,
                                               {.predict = {.top = 2}, .logits = true, .stop = {}});
    const auto expected = model.predict("intent", contents, {.top = 2});
    ASSERT_TRUE(columns.ok() && expected.ok()) << columns.status().message();
    ASSERT_EQ(columns->rows, 700);
    ASSERT_EQ(columns->logits.size(), 700u * 5);
    const std::vector<std::string> labels = model.tasks()[1].labels;
    for (size_t i = 0; i < 700; ++i) {
      SCOPED_TRACE(i);
      if (!texts[i]) {
        EXPECT_EQ(columns->labels[i], -1);
        EXPECT_EQ(columns->ranked_ends[i], columns->ranked_ends[i - 1]);
        continue;
      }
      const Prediction& answer = *(*expected)[i];
      EXPECT_EQ(labels[static_cast<size_t>(columns->labels[i])], answer.label);
      EXPECT_EQ(columns->scores[i], answer.labels[0].score);
      EXPECT_EQ(columns->logits[5 * i + 4], answer.logits[4]);
      EXPECT_EQ(columns->out_of_scope[i] != 0, answer.out_of_scope);
      const auto end = static_cast<size_t>(columns->ranked_ends[i]);
      EXPECT_EQ(columns->ranked_scores[end - 1], answer.labels[1].score);
      EXPECT_EQ(labels[static_cast<size_t>(columns->ranked_labels[end - 1])],
                answer.labels[1].label);
    }
    ASSERT_EQ(columns->failures.size(), 8u);
    EXPECT_EQ(columns->failures[1].row, 102);
    EXPECT_EQ(columns->failures[1].status.code(), StatusCode::invalid_input);
  }
}

TEST_F(Columns, RecordsLackWhatIsNull) {
  const Model model = open();
  const Memory title({"steel mug", std::nullopt, "red shoe"});
  const Memory price({"12.5", std::nullopt, std::nullopt});
  const Memory colour({"grey", "red", std::nullopt});
  const RecordColumn left{
      {{"price", price.column32()}, {"colour", colour.column64()}, {"title", title.column32()}}, 3};
  const Memory right({"mug", "cup", "red shoes"});
  const auto columns =
      model.score_columns("duplicate", left, right.column32(),
                          {.predict = {.both_orders = true}, .logits = true, .stop = {}});
  const auto expected = model.score("duplicate",
                                    {{Record{{"title", "steel mug"}, {"price", "12.5"}}, "mug"},
                                     {Record{{"title", "red shoe"}}, "red shoes"}},
                                    {.both_orders = true});
  ASSERT_TRUE(columns.ok() && expected.ok()) << columns.status().message();
  EXPECT_THAT(columns->logits,
              ElementsAre((*expected)[0]->logits[0], 0, (*expected)[1]->logits[0]));
  EXPECT_THAT(columns->scores, ElementsAre((*expected)[0]->score, 0, (*expected)[1]->score));
  ASSERT_EQ(columns->failures.size(), 1u);
  EXPECT_EQ(columns->failures[0].row, 1);
  EXPECT_THAT(columns->failures[0].status.message(), HasSubstr("found colour"));
}

TEST_F(Columns, EveryOtherKind) {
  const Model model = open();
  const Memory memory({"where is my parcel", std::nullopt, "Refund?"});
  const std::vector<Content> contents = {"where is my parcel", "Refund?"};
  const auto tags = model.predict_columns("tags", memory.column32(), {});
  const auto urgency = model.predict_columns("urgency", memory.column32(), {});
  const auto vector = model.predict_columns("vector", memory.column32(), {});
  ASSERT_TRUE(tags.ok() && urgency.ok() && vector.ok());
  const auto expected_tags = model.predict("tags", contents);
  EXPECT_EQ(tags->ranked_ends[2], static_cast<int64_t>((*expected_tags)[0]->labels.size() +
                                                       (*expected_tags)[1]->labels.size()));
  EXPECT_EQ(tags->ranked_ends[0], tags->ranked_ends[1]);
  EXPECT_TRUE(tags->scores.empty() && tags->labels.empty() && tags->logits.empty());
  const auto expected_urgency = model.predict("urgency", contents);
  EXPECT_THAT(urgency->values,
              ElementsAre((*expected_urgency)[0]->value, 0, (*expected_urgency)[1]->value));
  const auto size = static_cast<size_t>(model.tasks()[4].outputs);
  ASSERT_EQ(vector->embeddings.size(), 3 * size);
  EXPECT_EQ(vector->embeddings[2 * size], (*model.predict("vector", contents))[1]->embedding[0]);
  EXPECT_EQ(vector->embeddings[size], 0);
}

TEST_F(Columns, NoRows) {
  const auto answers = open().predict_columns("intent", StringColumn(), {});
  ASSERT_TRUE(answers.ok());
  EXPECT_EQ(answers->rows, 0);
  EXPECT_TRUE(answers->scores.empty());
}

TEST_F(Columns, StopsWhenTold) {
  const Model model = open();
  const Memory memory(Texts(200'000, "where is my parcel"));
  int asked = 0;
  ColumnOptions options;
  options.stop = [&] { return ++asked == 1; };
  const auto answers = model.predict_columns("vector", memory.column32(), options);
  ASSERT_FALSE(answers.ok());
  EXPECT_EQ(answers.status().code(), StatusCode::interrupted);
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(model.predict("intent", {"still here"}).ok());
}

TEST_F(Columns, WrongCallsSayWhatIsWrong) {
  const Model model = open();
  const Memory two({"a", "b"});
  const Memory one({"a"});
  const auto code = [](const Result<AnswerColumns>& answers) { return answers.status().code(); };
  EXPECT_EQ(code(model.predict_columns("intents", one.column32(), {})), StatusCode::not_found);
  EXPECT_EQ(code(model.predict_columns("duplicate", one.column32(), {})),
            StatusCode::invalid_argument);
  EXPECT_EQ(code(model.score_columns("intent", one.column32(), one.column32(), {})),
            StatusCode::invalid_argument);
  EXPECT_EQ(code(model.score_columns("duplicate", one.column32(), two.column32(), {})),
            StatusCode::invalid_argument);
  EXPECT_EQ(code(model.predict_columns("intent", one.column32(),
                                       {.predict = {.both_orders = true}, .stop = {}})),
            StatusCode::invalid_argument);
  EXPECT_EQ(
      code(model.predict_columns("intent", one.column32(), {.predict = {.top = -1}, .stop = {}})),
      StatusCode::invalid_argument);
}

}  // namespace
}  // namespace tilewise
