#include "text/input.h"

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <simdjson.h>

#include "text/test_support.h"

namespace tilewise::text {
namespace {

using model::Record;
using testing::Each;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// ---- templates

const model::InputTemplate kProduct = {.fields = {{"title", "COL title VAL "},
                                                  {"brand", "COL brand VAL "},
                                                  {"price", "COL price VAL "}},
                                       .separator = " "};

std::string rendered(const model::InputTemplate& record_template, const model::Content& content) {
  std::string out = ">";
  const Status status = render(record_template, content, out);
  return status.ok() ? out : status.message();
}

TEST(Template, PutsThePiecesInItsOwnOrder) {
  EXPECT_EQ(rendered(kProduct, Record{{{"price", "9.99"}, {"title", "tv"}, {"brand", "sony"}}}),
            ">COL title VAL tv COL brand VAL sony COL price VAL 9.99");
}

TEST(Template, DropsThePieceOfAMissingOrEmptyField) {
  EXPECT_EQ(rendered(kProduct, Record{{{"title", "tv"}, {"brand", ""}, {"price", "9"}}}),
            ">COL title VAL tv COL price VAL 9");
  EXPECT_EQ(rendered(kProduct, Record{{{"brand", "sony"}}}), ">COL brand VAL sony");
  EXPECT_EQ(rendered(kProduct, Record{{{"title", ""}}}), ">");
}

TEST(Template, KeepsWhiteSpaceAndIgnoresOtherFields) {
  EXPECT_EQ(rendered(kProduct, Record{{{"id", "7"}, {"title", "  "}}}), ">COL title VAL   ");
}

TEST(Template, TakesTheLastOfTwoFieldsWithOneName) {
  EXPECT_EQ(rendered(kProduct, Record{{{"title", "old"}, {"title", "new"}}}), ">COL title VAL new");
}

TEST(Template, UsesItsSeparator) {
  const model::InputTemplate plain = {.fields = {{"a", ""}, {"b", ""}}, .separator = " | "};
  EXPECT_EQ(rendered(plain, Record{{{"a", "x"}, {"b", "y"}}}), ">x | y");
}

TEST(Template, LetsPlainTextPass) {
  EXPECT_EQ(rendered(kProduct, std::string("as it is")), ">as it is");
}

TEST(Template, RefusesARecordWithoutItsFields) {
  const std::string message = rendered(kProduct, Record{{{"name", "tv"}, {"maker", "sony"}}});
  EXPECT_THAT(message, HasSubstr("title, brand, price"));
  EXPECT_THAT(message, HasSubstr("name, maker"));
  EXPECT_THAT(rendered(kProduct, Record{}), HasSubstr("no fields"));
}

TEST(Template, RefusesARecordWhereThereIsNoTemplate) {
  EXPECT_THAT(rendered({}, Record{{{"title", "tv"}}}), HasSubstr("no template"));
}

// ---- truncation

std::string shown(const std::optional<Kept>& kept, bool single) {
  if (!kept) return "-";
  if (single) return std::to_string(kept->left);
  return std::to_string(kept->left) + "," + std::to_string(kept->right);
}

// Every combination of small lengths, as `tokenizers` cuts them.
TEST(Truncate, AgreesWithTokenizers) {
  int compared = 0;
  for (const std::string& line : golden_lines("truncation.golden.txt")) {
    std::istringstream fields(line);
    std::string strategy, left, right, expected;
    fields >> strategy >> left >> right;
    const bool single = right == ".:";
    const auto truncation = model::parse_name<model::Truncation>(strategy);
    ASSERT_TRUE(truncation) << line;
    for (int64_t budget = 0; fields >> expected; ++budget, ++compared) {
      const auto kept =
          truncate(std::stoll(left), single ? 0 : std::stoll(right), budget, *truncation);
      EXPECT_EQ(shown(kept, single), expected) << line << " budget " << budget;
    }
  }
  EXPECT_EQ(compared, 3 * 8 * 9 * 16);
}

// ---- sequences

class Sequences : public testing::Test {
 protected:
  // Ids: a is 5, b 6 and so on.
  Sequences() : tokenizer_(small_spec({"a", "b", "c", "d", "e", "##a"})), encoder_(*tokenizer_) {
    task_.name = "task";
    task_.max_tokens = 8;
  }

  Status append(const model::Input& input) { return encoder_.append(task_, input, tokens_); }
  Status append_pair(std::string left, std::string right) {
    task_.input = model::InputKind::pair;
    return append(model::PairInput{std::move(left), std::move(right)});
  }

  OwnedTokenizer tokenizer_;
  InputEncoder encoder_;
  model::Task task_;
  PackedTokens tokens_;
};

TEST_F(Sequences, OfOneText) {
  ASSERT_TRUE(append(model::TextInput{"a b"}).ok());
  EXPECT_THAT(tokens_.ids, ElementsAre(2, 5, 6, 3));
  EXPECT_THAT(tokens_.types, ElementsAre(0, 0, 0, 0));
  EXPECT_THAT(tokens_.offsets, ElementsAre(0, 4));
  EXPECT_THAT(tokens_.truncated, ElementsAre(false));
}

TEST_F(Sequences, OfAPair) {
  ASSERT_TRUE(append_pair("a b", "c").ok());
  EXPECT_THAT(tokens_.ids, ElementsAre(2, 5, 6, 3, 7, 3));
  EXPECT_THAT(tokens_.types, ElementsAre(0, 0, 0, 0, 1, 1));
}

// RoBERTa's frame has two separators, both before the second text's type.
TEST_F(Sequences, OfAPairMayHaveTwoSeparators) {
  model::TokenizerSpec spec = small_spec({"a", "b", "c", "d", "e"});
  spec.pair_separators = 2;
  spec.second_type = 0;
  const OwnedTokenizer roberta(spec);
  encoder_.use(*roberta);
  ASSERT_TRUE(append_pair("a b", "c").ok());
  EXPECT_THAT(tokens_.ids, ElementsAre(2, 5, 6, 3, 3, 7, 3));
  EXPECT_THAT(tokens_.types, Each(0));
  tokens_.clear();
  ASSERT_TRUE(append_pair("a b c d", "e a b c").ok());
  EXPECT_THAT(tokens_.ids, ElementsAre(2, 5, 6, 3, 3, 9, 5, 3)) << "4 tokens beside 4 special ones";
  task_.max_tokens = 3;
  EXPECT_THAT(append_pair("a", "b").message(), HasSubstr("at least 4"));
  encoder_.use(*tokenizer_);
}

TEST_F(Sequences, LieEndToEnd) {
  ASSERT_TRUE(append(model::TextInput{"a"}).ok());
  ASSERT_TRUE(append(model::TextInput{""}).ok());
  ASSERT_TRUE(append(model::TextInput{"b c d e a b c"}).ok());
  EXPECT_THAT(tokens_.offsets, ElementsAre(0, 3, 5, 13));
  EXPECT_THAT(tokens_.truncated, ElementsAre(false, false, true));
  EXPECT_EQ(tokens_.sequences(), 3);
  EXPECT_EQ(tokens_.tokens(), 13);
  tokens_.clear();
  EXPECT_EQ(tokens_.sequences(), 0);
  EXPECT_EQ(tokens_.tokens(), 0);
  EXPECT_THAT(tokens_.ids, IsEmpty());
}

TEST_F(Sequences, AreCutToTheirTask) {
  ASSERT_TRUE(append(model::TextInput{"a b c d e a"}).ok());
  EXPECT_THAT(tokens_.ids, ElementsAre(2, 5, 6, 7, 8, 9, 5, 3)) << "exactly as long as allowed";
  EXPECT_THAT(tokens_.truncated, ElementsAre(false));
  tokens_.clear();
  ASSERT_TRUE(append_pair("a b c d", "e a b c").ok());
  EXPECT_THAT(tokens_.ids, ElementsAre(2, 5, 6, 3, 9, 5, 6, 3)) << "5 tokens: 2 and 3";
  EXPECT_THAT(tokens_.truncated, ElementsAre(true));
}

TEST_F(Sequences, AreCutOnTheSideThatTheTaskSays) {
  task_.truncation = model::Truncation::only_first;
  ASSERT_TRUE(append_pair("a b c d", "e a b c").ok());
  EXPECT_THAT(tokens_.ids, ElementsAre(2, 5, 3, 9, 5, 6, 7, 3));
  tokens_.clear();
  task_.truncation = model::Truncation::only_second;
  ASSERT_TRUE(append_pair("a b c d", "e a b c").ok());
  EXPECT_THAT(tokens_.ids, ElementsAre(2, 5, 6, 7, 8, 3, 9, 3));
}

TEST_F(Sequences, MayHoldSpecialTokensAlone) {
  task_.max_tokens = 3;
  ASSERT_TRUE(append_pair("a", "b").ok());
  EXPECT_THAT(tokens_.ids, ElementsAre(2, 3, 3));
  EXPECT_THAT(tokens_.types, ElementsAre(0, 0, 1));
  EXPECT_THAT(tokens_.truncated, ElementsAre(true));
}

TEST_F(Sequences, ComeFromRecords) {
  task_.record_template = {.fields = {{"x", "a "}, {"y", ""}}, .separator = " "};
  ASSERT_TRUE(append(model::TextInput{Record{{{"y", "c"}, {"x", "b"}}}}).ok());
  EXPECT_THAT(tokens_.ids, ElementsAre(2, 5, 6, 7, 3));
}

TEST_F(Sequences, CanBeVeryLong) {
  std::string text;
  for (int i = 0; i < 500'000; ++i) text += "a ";
  ASSERT_TRUE(append(model::TextInput{text}).ok());
  EXPECT_EQ(tokens_.tokens(), 8);
}

/// The letters of one side of a sequence of the fixture's tokenizer; `[` and `]` around and `|`
/// between the sides, as the golden file has them.
std::string letters(const PackedTokens& tokens, bool pair) {
  std::string sides[2];
  for (size_t i = 0; i < tokens.ids.size(); ++i) {
    if (tokens.ids[i] >= 5) sides[tokens.types[i]] += static_cast<char>('a' + tokens.ids[i] - 5);
  }
  return "[" + sides[0] + (pair ? "|" + sides[1] : "") + "]";
}

/// "[abc]" -> "a b c".
std::string spaced(const std::string& bracketed) {
  std::string text;
  for (const char letter : bracketed.substr(1, bracketed.size() - 2)) {
    text += letter;
    text += ' ';
  }
  return text;
}

TEST_F(Sequences, AreCutOnTheLeftAsTokenizersDoes) {
  int compared = 0;
  for (const std::string& line : golden_lines("truncation_left.golden.txt")) {
    std::istringstream fields(line);
    std::string strategy, left, right, expected;
    fields >> strategy >> left >> right;
    right.pop_back();  // the colon
    const bool pair = right != ".";
    task_.truncation = model::parse_name<model::Truncation>(strategy).value();
    task_.input = pair ? model::InputKind::pair : model::InputKind::text;
    for (int budget = 0; fields >> expected; ++budget, ++compared) {
      task_.max_tokens = budget + (pair ? 3 : 2);
      tokens_.clear();
      const model::Input input = pair ? model::Input(model::PairInput{spaced(left), spaced(right)})
                                      : model::Input(model::TextInput{spaced(left)});
      const Status status =
          encoder_.append(task_, input, tokens_, {.overlong = Overlong::cut_left});
      EXPECT_EQ(status.ok() ? letters(tokens_, pair) : "-", expected) << line << " at " << budget;
    }
  }
  EXPECT_EQ(compared, 3 * 4 * 5 * 12);
}

TEST_F(Sequences, CanBeThoseOfBothOrders) {
  ASSERT_TRUE(append_pair("a b", "c").ok());
  ASSERT_TRUE(append_pair("c", "a b").ok());
  const PackedTokens expected = tokens_;
  tokens_.clear();
  const model::PairInput pair{"a b", "c"};
  ASSERT_TRUE(encoder_.append(task_, pair, tokens_, {.both_orders = true}).ok());
  EXPECT_EQ(tokens_.ids, expected.ids);
  EXPECT_EQ(tokens_.types, expected.types);
  EXPECT_EQ(tokens_.offsets, expected.offsets);
}

// Every combination of small lengths: a side of which only the first max_tokens are kept is cut as
// the whole text is, in both orders.
TEST_F(Sequences, ComeFromSidesThatAreEncodedAlready) {
  const std::string words = "a b c d e a b c d e ";
  task_.input = model::InputKind::pair;
  const auto side = [&](const std::string& text, std::vector<int32_t>& ids) {
    const int64_t tokens = encoder_.encode_side(task_, model::Content(text), ids).value();
    EXPECT_EQ(tokens, static_cast<int64_t>(text.size() / 2));
    EXPECT_LE(ids.size(), static_cast<size_t>(task_.max_tokens));
    return Side{ids, tokens};
  };
  for (const char* truncation : {"longest_first", "only_first", "only_second"}) {
    task_.truncation = model::parse_name<model::Truncation>(truncation).value();
    for (int combination = 0; combination < 11 * 11 * 5 * 2; ++combination) {
      const std::string left = words.substr(0, 2 * (combination % 11));
      const std::string right = words.substr(0, 2 * (combination / 11 % 11));
      task_.max_tokens = 3 + combination / 121 % 5;
      const EncodeOptions options = {.both_orders = combination / 605 == 1};
      std::vector<int32_t> left_ids, right_ids;
      PackedTokens expected;
      const Status due = encoder_.append(task_, model::PairInput{left, right}, expected, options);
      tokens_.clear();
      const Status status = encoder_.append_pair(task_, side(left, left_ids),
                                                 side(right, right_ids), tokens_, options);
      EXPECT_EQ(status.message(), due.message());
      EXPECT_EQ(tokens_.ids, expected.ids);
      EXPECT_EQ(tokens_.types, expected.types);
      EXPECT_EQ(tokens_.offsets, expected.offsets);
      EXPECT_EQ(tokens_.truncated, expected.truncated);
    }
  }
}

/// What was refused leaves nothing behind.
void expect_refused(const Status& status, const PackedTokens& tokens, const std::string& reason) {
  EXPECT_EQ(status.code(), StatusCode::invalid_input);
  EXPECT_THAT(status.message(), HasSubstr(reason));
  EXPECT_THAT(tokens.ids, IsEmpty());
  EXPECT_THAT(tokens.types, IsEmpty());
  EXPECT_EQ(tokens.sequences(), 0);
  EXPECT_THAT(tokens.truncated, IsEmpty());
}

TEST_F(Sequences, AreRefusedAsTooLongOnlyWhereThatIsAsked) {
  const EncodeOptions refuse = {.overlong = Overlong::refuse};
  ASSERT_TRUE(encoder_.append(task_, model::TextInput{"a b c d e a"}, tokens_, refuse).ok());
  EXPECT_EQ(tokens_.tokens(), 8) << "exactly as long as allowed";
  tokens_.clear();
  expect_refused(encoder_.append(task_, model::TextInput{"a b c d e a b"}, tokens_, refuse),
                 tokens_, "expected at most 8 tokens; found 9 tokens");
  task_.input = model::InputKind::pair;
  expect_refused(encoder_.append(task_, model::PairInput{"a b c", "a b c"}, tokens_, refuse),
                 tokens_, "found 9 tokens");
}

TEST_F(Sequences, RefuseThePairOfATextTask) {
  expect_refused(append(model::PairInput{"a", "b"}), tokens_, "expected one text; found a pair");
}

TEST_F(Sequences, RefuseTheTextOfAPairTask) {
  task_.input = model::InputKind::pair;
  expect_refused(append(model::TextInput{"a"}), tokens_, "expected a pair; found one text");
}

TEST_F(Sequences, RefuseARecordOnEitherSideThatDoesNotFit) {
  task_.input = model::InputKind::pair;
  task_.record_template = {.fields = {{"title", ""}}, .separator = " "};
  const Record good{{{"title", "a"}}}, bad{{{"name", "a"}}};
  expect_refused(append(model::PairInput{good, bad}), tokens_, "title");
  expect_refused(append(model::PairInput{bad, good}), tokens_, "title");
}

TEST_F(Sequences, RefuseATaskWithoutRoomForSpecialTokens) {
  task_.max_tokens = 1;
  expect_refused(append(model::TextInput{"a"}), tokens_, "max_tokens of task task");
  task_.max_tokens = 2;
  expect_refused(append_pair("a", "b"), tokens_, "at least 3");
}

TEST_F(Sequences, RefuseWhatTheOneSideCannotMakeShortEnough) {
  task_.truncation = model::Truncation::only_first;
  expect_refused(append_pair("a", "a b c d e"), tokens_, "only_first");
  // The one order can be cut, the other cannot: there is no half of both.
  const model::PairInput pair{"a b c d e", "a"};
  EXPECT_TRUE(append(pair).ok());
  tokens_.clear();
  expect_refused(encoder_.append(task_, pair, tokens_, {.both_orders = true}), tokens_,
                 "only_first");
}

// ---- the real model

std::string backbone_folder() {
  const char* folder = std::getenv("TILEWISE_BACKBONE");
  return folder ? folder : "";
}

const std::string kShared = TILEWISE_SOURCE_DIR "/../shared/";
const std::string kReference = kShared + "models/minilm-product-search/reference_outputs.jsonl";

TEST(RealModel, GivesTheTokensOfTheReferenceOutputs) {
  if (backbone_folder().empty())
    GTEST_SKIP() << "TILEWISE_BACKBONE names no folder with tokenizer.json";
  if (!std::filesystem::exists(kReference))
    GTEST_SKIP() << "no reference outputs beside the repository";
  const auto spec = read_tokenizer(backbone_folder());
  ASSERT_TRUE(spec.ok()) << spec.status().message();
  const OwnedTokenizer tokenizer(*spec);
  InputEncoder encoder(*tokenizer);
  simdjson::dom::parser parser;
  std::ifstream file(kReference);
  int rows = 0;
  for (std::string line; std::getline(file, line); ++rows) {
    const simdjson::dom::element row = parser.parse(line);
    model::Task task;
    task.max_tokens = 128;
    std::string_view left, right;
    PackedTokens tokens;
    model::Input input;
    if (row["text_a"].get(left) == simdjson::SUCCESS &&
        row["text_b"].get(right) == simdjson::SUCCESS) {
      task.input = model::InputKind::pair;
      input = model::PairInput{std::string(left), std::string(right)};
    } else {
      ASSERT_EQ(row["text"].get(left), simdjson::SUCCESS) << line;
      input = model::TextInput{std::string(left)};
    }
    ASSERT_TRUE(encoder.append(task, input, tokens).ok());
    std::vector<int32_t> ids, types;
    for (const auto id : row["input_ids"].get_array())
      ids.push_back(static_cast<int32_t>(int64_t(id)));
    for (const auto t : row["token_type_ids"].get_array())
      types.push_back(static_cast<int32_t>(int64_t(t)));
    EXPECT_EQ(tokens.ids, ids) << line;
    EXPECT_EQ(tokens.types, types) << line;
  }
  EXPECT_EQ(rows, 128);
}

Record record_of(simdjson::dom::object object) {
  Record record;
  for (const auto [name, value] : object) {
    std::string_view text;
    if (value.get(text) == simdjson::SUCCESS)
      record.fields.push_back({std::string(name), std::string(text)});
  }
  return record;
}

/// The row of the data sets with an id like "amazon-google:test:17".
simdjson::dom::element data_row(simdjson::dom::parser& parser, std::string_view id) {
  std::string name(id.substr(0, id.rfind(':')));
  name[name.find(':')] = '.';
  std::ifstream file(kShared + "data/pairs/" + name + ".jsonl");
  for (std::string line; std::getline(file, line);) {
    if (line.find("\"" + std::string(id) + "\"") != std::string::npos) return parser.parse(line);
  }
  ADD_FAILURE() << id;
  return {};
}

TEST(RealModel, RendersTheRecordsOfTheReferenceOutputs) {
  if (!std::filesystem::exists(kReference))
    GTEST_SKIP() << "no reference outputs beside the repository";
  model::InputTemplate ditto;
  for (const std::string field : {"title", "brand", "price", "description"}) {
    ditto.fields.push_back({field, "COL " + field + " VAL "});
  }
  simdjson::dom::parser parser, data_parser;
  std::ifstream file(kReference);
  int pairs = 0;
  for (std::string line; std::getline(file, line);) {
    const simdjson::dom::element expected = parser.parse(line);
    std::string_view left;
    if (expected["text_a"].get(left) != simdjson::SUCCESS) continue;
    const simdjson::dom::element row = data_row(data_parser, expected["id"]);
    std::string text_a, text_b;
    ASSERT_TRUE(render(ditto, record_of(row["left"]), text_a).ok());
    ASSERT_TRUE(render(ditto, record_of(row["right"]), text_b).ok());
    EXPECT_EQ(text_a, left);
    EXPECT_EQ(text_b, std::string_view(expected["text_b"]));
    ++pairs;
  }
  EXPECT_EQ(pairs, 64);
}

}  // namespace
}  // namespace tilewise::text
