#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "rows/reader.h"

namespace tilewise::rows {
namespace {

using model::InputKind;
using testing::HasSubstr;

constexpr Position kHere{"in.jsonl", 7};

model::Row parsed(std::string_view line, std::optional<InputKind> kind = std::nullopt) {
  RowParser parser(kind);
  model::Row row;
  const Status status = parser.parse(line, kHere, row);
  EXPECT_TRUE(status.ok()) << line << ": " << status.message();
  return row;
}

std::string refused(std::string_view line, std::optional<InputKind> kind = std::nullopt) {
  RowParser parser(kind);
  model::Row row;
  const Status status = parser.parse(line, kHere, row);
  EXPECT_EQ(status.code(), StatusCode::invalid_input) << line;
  EXPECT_THAT(status.problem().where, testing::StartsWith("in.jsonl:7")) << line;
  return status.message();
}

std::string text_of(const model::Row& row) {
  return std::get<std::string>(std::get<model::TextInput>(row.input).text);
}

/// "name=value, ..." of a record.
std::string fields_of(const model::Content& content) {
  std::string out;
  for (const auto& field : std::get<model::Record>(content).fields)
    out += field.name + "=" + field.value + ";";
  return out;
}

TEST(RowParser, TextRow) {
  const model::Row row = parsed(R"({"id": "a7", "text": "hello", "label": 3})");
  EXPECT_EQ(row.id, "\"a7\"");
  EXPECT_EQ(text_of(row), "hello");
}

TEST(RowParser, PairOfRecordsAndOfStrings) {
  const model::Row records =
      parsed(R"({"left": {"title": "a", "price": 5.10}, "right": {"title": "b"}, "label": 0})");
  const auto& pair = std::get<model::PairInput>(records.input);
  EXPECT_EQ(fields_of(pair.left), "title=a;price=5.10;");
  EXPECT_EQ(fields_of(pair.right), "title=b;");

  const model::Row mixed = parsed(R"({"left": "x", "right": {}})");
  EXPECT_EQ(std::get<std::string>(std::get<model::PairInput>(mixed.input).left), "x");
  EXPECT_EQ(fields_of(std::get<model::PairInput>(mixed.input).right), "");
}

TEST(RowParser, IdIsAStringANumberOrTheLineNumber) {
  EXPECT_EQ(parsed(R"({"id":17 ,"text":""})").id, "17");
  EXPECT_EQ(parsed(R"({"id":-1.50e3,"text":""})").id, "-1.50e3") << "the spelling stays";
  EXPECT_EQ(parsed(R"({"id":12345678901234567890123,"text":""})").id, "12345678901234567890123");
  EXPECT_EQ(parsed("{\"id\":\"t\\u00e9\\n\\/\",\"text\":\"\"}").id, "\"t\xC3\xA9\\n/\"")
      << "escaped anew";
  EXPECT_EQ(parsed(R"({"text":""})").id, "7");
  EXPECT_EQ(parsed(R"({"id":null,"text":""})").id, "7");
  EXPECT_THAT(refused(R"({"id":[1],"text":""})"), HasSubstr("field \"id\""));
  EXPECT_THAT(refused(R"({"id":true,"text":""})"), HasSubstr("found true or false"));
}

TEST(RowParser, StringsAreUnescaped) {
  EXPECT_EQ(text_of(parsed(R"({"text":"a\"\\\/\b\f\n\r\t\u00e9\ud83d\ude00"})")),
            "a\"\\/\b\f\n\r\t\xC3\xA9\xF0\x9F\x98\x80");
  EXPECT_EQ(text_of(parsed(R"({"t\u0065xt":"key"})")), "key");
  EXPECT_EQ(text_of(parsed(R"({"text":"\u0000"})")), std::string(1, '\0'));
}

TEST(RowParser, WhatUtf8CannotExpressBecomesAReplacementCharacter) {
  EXPECT_EQ(text_of(parsed("{\"text\":\"a\xFF\xC3z\"}")), "a\uFFFD\uFFFDz");
  EXPECT_EQ(text_of(parsed(R"({"text":"a\ud83dz"})")), "a\uFFFDz");
}

TEST(RowParser, EmptyAndVeryLongTextsAreRows) {
  EXPECT_EQ(text_of(parsed(R"({"text":""})")), "");
  const std::string million(1'000'000, 'x');
  EXPECT_EQ(text_of(parsed("{\"text\":\"" + million + "\"}")), million);
}

TEST(RowParser, ScalarsOfARecordKeepTheirSpelling) {
  const model::Row row = parsed(
      R"({"left":{"a":1.0,"b":1e5 ,"c":-0.10,"d":true,"e":false,"f":null,"g":18446744073709551616},"right":"r"})");
  EXPECT_EQ(fields_of(std::get<model::PairInput>(row.input).left),
            "a=1.0;b=1e5;c=-0.10;d=true;e=false;f=;g=18446744073709551616;");
}

TEST(RowParser, OfRepeatedKeysTheLastCounts) {
  EXPECT_EQ(text_of(parsed(R"({"text":"a","text":"b"})")), "b");
  EXPECT_EQ(parsed(R"({"id":1,"id":"z","text":"b"})").id, "\"z\"");
  const model::Row row = parsed(R"({"left":{"a":1,"b":2,"a":3,"b":null},"right":"r"})");
  EXPECT_EQ(fields_of(std::get<model::PairInput>(row.input).left), "a=3;b=;");
  EXPECT_THAT(refused(R"({"text":"a","text":null})"), HasSubstr("lacks a field"));
}

TEST(RowParser, RecordsAreFlat) {
  EXPECT_THAT(refused(R"({"left":{"tags":["a"]},"right":"r"})"), HasSubstr("field \"left.tags\""));
  EXPECT_THAT(refused(R"({"left":"l","right":{"a":{"b":1}}})"), HasSubstr("field \"right.a\""));
}

TEST(RowParser, MissingFieldsAreNamedWithWhatIsThere) {
  EXPECT_THAT(refused("{}"), HasSubstr("found no fields"));
  EXPECT_THAT(refused(R"({"query":"a","n":1})", InputKind::text),
              AllOf(HasSubstr("expected \"text\""), HasSubstr("found the fields query, n")));
  EXPECT_THAT(refused(R"({"left":"a"})"), HasSubstr("expected \"right\""));
  EXPECT_THAT(refused(R"({"right":"a"})"), HasSubstr("expected \"left\""));
  EXPECT_THAT(refused(R"({"text":null})", InputKind::text), HasSubstr("expected \"text\""));
  EXPECT_LT(refused("{\"" + std::string(100000, 'k') + "\":1}").size(), 1000u)
      << "a message stays short";
}

TEST(RowParser, TheKindSaysWhichFieldsCount) {
  EXPECT_EQ(text_of(parsed(R"({"left":[1],"text":"t"})", InputKind::text)), "t");
  EXPECT_TRUE(std::holds_alternative<model::PairInput>(
      parsed(R"({"text":5,"left":"l","right":"r"})", InputKind::pair).input));
  EXPECT_THAT(refused(R"({"text":"t"})", InputKind::pair), HasSubstr("expected \"left\""));
}

TEST(RowParser, WrongTypes) {
  EXPECT_THAT(refused(R"({"text":5})"),
              AllOf(HasSubstr("field \"text\""), HasSubstr("found a number")));
  EXPECT_THAT(refused(R"({"text":["a"]})"), HasSubstr("found an array"));
  EXPECT_THAT(refused(R"({"left":true,"right":"r"})"), HasSubstr("field \"left\""));
  EXPECT_THAT(refused(R"(["text"])"), HasSubstr("the row is not a JSON object"));
  EXPECT_THAT(refused(R"("text")"), HasSubstr("found a string"));
  EXPECT_THAT(refused("12"), HasSubstr("found a number"));
}

TEST(RowParser, BrokenJsonAnywhereInTheLine) {
  for (const char* line : {"{",
                           "{\"text\":\"a\"",
                           "{\"text\":\"a}",
                           "{\"text\":\"a\"}}",
                           "{\"text\":\"a\"} x",
                           "{\"text\":\"a\"}{\"text\":\"b\"}",
                           "{\"text\" \"a\"}",
                           "{\"text\":\"a\",}",
                           "{\"text\":\"a\" \"b\":1}",
                           "{text:\"a\"}",
                           "{\"text\":\"\\q\"}",
                           "{\"text\":\"\\u12\"}",
                           "{\"text\":\"a\",\"label\":tru}",
                           "{\"text\":\"a\",\"label\":nul}",
                           "{\"text\":\"a\",\"label\":01}",
                           "{\"text\":\"a\",\"label\":1.}",
                           "{\"text\":\"a\",\"label\":[1,]}",
                           "{\"text\":\"a\",\"label\":{\"b\"}}",
                           "{\"text\":\"a\",\"label\":[\"\\q\"]}",
                           "{\"text\":\"a\",\"label\":nonsense}",
                           "{\"left\":{\"a\":1.2.3},\"right\":\"r\"}",
                           "{\"left\":{\"a\":nil},\"right\":\"r\"}",
                           "{\"text\":\"tab\there\"}",
                           "hello",
                           "\xFF\xFE{\"text\":\"a\"}"}) {
    EXPECT_THAT(refused(line), HasSubstr("JSON")) << line;
  }
}

TEST(RowParser, DeepNestingIsRefusedWithoutHarm) {
  const std::string deep(1'000'000, '[');
  EXPECT_THAT(refused("{\"text\":\"a\",\"x\":" + deep), HasSubstr("JSON"));
  EXPECT_THAT(
      refused("{\"text\":\"a\",\"x\":" + std::string(1000, '[') + std::string(1000, ']') + "}"),
      HasSubstr("JSON"));
  EXPECT_EQ(
      text_of(parsed("{\"x\":" + std::string(60, '[') + std::string(60, ']') + ",\"text\":\"a\"}")),
      "a");
}

TEST(RowParser, SaysWhetherARowHasAnIdOfItsOwn) {
  EXPECT_TRUE(parsed(R"({"id":7,"text":""})").has_id);
  EXPECT_FALSE(parsed(R"({"id":null,"text":""})").has_id);
  RowParser parser;
  model::Row row;
  ASSERT_TRUE(parser.parse(R"({"id":"a","text":""})", kHere, row).ok());
  ASSERT_TRUE(parser.parse(R"({"text":""})", kHere, row).ok());
  EXPECT_FALSE(row.has_id) << "the last row's id is gone";
}

TEST(RowParser, ALineOverTheLimitIsRefused) {
  LineReader::Line line{.text = R"({"text":""})", .position = kHere, .max_bytes = 11};
  RowParser parser;
  model::Row row;
  EXPECT_TRUE(parser.parse(line, row).ok());
  line.max_bytes = 10;
  EXPECT_THAT(parser.parse(line, row).message(), HasSubstr("at most 10 bytes"));
  EXPECT_THAT(refused(std::string(kMaxLineBytes + 1, ' ')), HasSubstr("too long"));
}

TEST(RowParser, OneBadRowDoesNotHarmTheNext) {
  RowParser parser;
  model::Row row;
  EXPECT_FALSE(parser.parse("{\"text\":\"a\",\"x\":[[[", kHere, row).ok());
  ASSERT_TRUE(parser.parse("{\"text\":\"b\"}", kHere, row).ok());
  EXPECT_EQ(text_of(row), "b");
}

TEST(RowParser, ContentIsARecordWhereItIsOneJsonObject) {
  RowParser parser;
  model::Content content;
  ASSERT_TRUE(
      parser.parse_content(R"( {"title": "a\u00e9", "price": 5.0} )", "left", content).ok());
  EXPECT_EQ(fields_of(content), "title=a\u00e9;price=5.0;");
  for (const std::string_view text :
       {"", "plain", "{", "{curly} text", R"({"a": 1} and more)", R"({"a": {"b": ]})", R"([1])"}) {
    ASSERT_TRUE(parser.parse_content(text, "left", content).ok()) << text;
    EXPECT_EQ(std::get<std::string>(content), text);
  }
  const Status nested = parser.parse_content(R"({"a": {"b": 1}})", "left[3]", content);
  EXPECT_EQ(nested.code(), StatusCode::invalid_input);
  EXPECT_THAT(nested.message(), HasSubstr("left[3].a"));
}

TEST(RowParser, ARecordOfACatalogueMayHoldListsThatNobodyCompares) {
  RowParser parser;
  CatalogRecord entry;
  const auto parse = [&](std::string_view line) {
    return parser.parse_record({.text = line, .position = kHere}, entry);
  };
  ASSERT_TRUE(parse(R"({"id":7,"title":"a","images":["x",{"y":[]}],"price":5.0})").ok());
  EXPECT_EQ(entry.id, "7");
  EXPECT_EQ(fields_of(entry.record), "title=a;images=;price=5.0;");
  ASSERT_TRUE(parse(R"({"id":7,"title":"a","title":["b"]})").ok());
  EXPECT_EQ(fields_of(entry.record), "title=;");
  EXPECT_FALSE(parse(R"({"id":7,"title":"a","images":["x",]})").ok());
  EXPECT_FALSE(parse(R"({"id":["7"],"title":"a"})").ok());
}

TEST(RowParser, ManyFieldsAreReadInReasonableTime) {
  std::string line = "{\"right\":\"r\",\"left\":{";
  for (int i = 0; i < 200'000; ++i) line += "\"f" + std::to_string(i) + "\":1,";
  line += "\"f0\":2}}";
  const model::Row row = parsed(line);  // a quadratic search would take minutes
  const auto& record = std::get<model::Record>(std::get<model::PairInput>(row.input).left);
  EXPECT_EQ(record.fields.size(), 200'000u);
  EXPECT_EQ(record.fields.back().value, "2");
}

}  // namespace
}  // namespace tilewise::rows
