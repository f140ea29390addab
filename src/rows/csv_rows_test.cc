#include <fstream>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "rows/reader.h"
#include "rows/writer.h"

namespace tilewise::rows {
namespace {

using model::InputKind;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

/// Reads a file and parses its lines in one way; gives what `show` makes of each, or the message.
template <class Parse>
std::vector<std::string> read_with(const std::string& path, Parse parse) {
  auto reader = LineReader::open({path});
  EXPECT_TRUE(reader.ok()) << reader.status().message();
  std::vector<std::string> results;
  LineReader::Chunk chunk;
  while (!reader->at_end()) {
    const Status status = reader->next(100, chunk);
    EXPECT_TRUE(status.ok()) << status.message();
    if (!status.ok()) break;
    for (const auto& line : chunk.lines) results.push_back(parse(line));
  }
  return results;
}

/// Each row as the line of JSON that means the same.
std::vector<std::string> rows_of(const std::string& path, std::optional<InputKind> kind = {}) {
  RowParser parser(kind);
  return read_with(path, [&](const LineReader::Line& line) {
    model::Row row;
    const Status status = parser.parse(line, row);
    if (!status.ok()) return status.message();
    std::string json;
    append_row(row, json);
    json.pop_back();
    return json + (row.has_id ? "" : " without an id");
  });
}

class CsvRowsTest : public testing::Test {
 protected:
  std::vector<std::string> rows(const std::string& text, std::optional<InputKind> kind = {}) {
    return rows_of(folder_.write("rows.csv", text), kind);
  }
  TemporaryFolder folder_;
};

TEST_F(CsvRowsTest, Texts) {
  EXPECT_THAT(rows("text,label,id\nhello,3,a7\n\"a, \"\"b\"\"\nc\",,\n"),
              ElementsAre(R"({"id":"a7","text":"hello"})",
                          R"({"id":3,"text":"a, \"b\"\nc"} without an id)"));
}

TEST_F(CsvRowsTest, PairsOfRecordsAndOfTexts) {
  EXPECT_THAT(rows("left.title,right_title,left.price,right.price,note\n"
                   "a,b,5.10,,x\n,\"b,c\",,7,\n",
                   InputKind::pair),
              ElementsAre(R"({"id":2,"left":{"title":"a","price":"5.10"},"right":{"title":"b"}})"
                          " without an id",
                          R"({"id":3,"left":{},"right":{"title":"b,c","price":"7"}})"
                          " without an id"));
  EXPECT_THAT(rows("id,left,right\n1,x,y\n"), ElementsAre(R"({"id":"1","left":"x","right":"y"})"));
}

TEST_F(CsvRowsTest, WithoutAKindTheColumnsSayWhatARowIs) {
  EXPECT_THAT(rows("text,left_margin\nt,3\n"), ElementsAre(HasSubstr(R"("text":"t")")));
  EXPECT_THAT(rows("left,right.a,text\nl,r,t\n"),
              ElementsAre(HasSubstr(R"("left":"l","right":{"a":"r"}})")));
  EXPECT_THAT(rows("text,left,right\nt,l,r\n", InputKind::text),
              ElementsAre(HasSubstr(R"("text":"t")")));
}

TEST_F(CsvRowsTest, ABadRowIsAnErrorOfThatRowOnly) {
  const auto results = rows("id,text\n1,a\n2\n3,b,c\n4,\"d\"e\n5,\"f\n6,\n7,g\n");
  ASSERT_EQ(results.size(), 7u);
  EXPECT_EQ(results[0], R"({"id":"1","text":"a"})");
  EXPECT_THAT(results[1],
              AllOf(HasSubstr("rows.csv:3"), HasSubstr("expected 2"), HasSubstr("found 1")));
  EXPECT_THAT(results[2], AllOf(HasSubstr("rows.csv:4"), HasSubstr("found 3")));
  EXPECT_THAT(results[3], AllOf(HasSubstr("rows.csv:5"), HasSubstr("behind the closing quote")));
  EXPECT_THAT(results[4], AllOf(HasSubstr("rows.csv:6"), HasSubstr("not closed")));
  EXPECT_THAT(results[5], AllOf(HasSubstr("rows.csv:7"), HasSubstr("lacks a field"),
                                HasSubstr("the columns id, text")));
  EXPECT_EQ(results[6], R"({"id":"7","text":"g"})");
}

TEST_F(CsvRowsTest, ASideThatIsGivenTwiceIsRefused) {
  EXPECT_THAT(rows("left,left.title,right\na,b,c\n", InputKind::pair),
              ElementsAre(HasSubstr("twice")));
}

TEST_F(CsvRowsTest, InvalidUtf8BecomesReplacementCharacters) {
  EXPECT_THAT(rows("id,text\n\xFF,a\xC3z\n"),
              ElementsAre("{\"id\":\"\uFFFD\",\"text\":\"a\uFFFDz\"}"));
}

// The files: see testdata/make_cells.py.
TEST_F(CsvRowsTest, WhatPythonWroteIsReadAsItMeant) {
  const std::string data = std::string(TILEWISE_SOURCE_DIR) + "/src/rows/testdata/cells";
  const auto expected = rows_of(data + ".jsonl");
  EXPECT_EQ(expected.size(), 120u);
  EXPECT_EQ(rows_of(data + ".csv"), expected);
  EXPECT_EQ(rows_of(data + ".tsv"), expected);
}

/// "LEFT RIGHT ID" or the message.
std::vector<std::string> id_pairs_of(const std::string& path) {
  RowParser parser;
  return read_with(path, [&](const LineReader::Line& line) {
    IdPair pair;
    const Status status = parser.parse_id_pair(line, pair);
    return status.ok() ? pair.left + " " + pair.right + " " + pair.id : status.message();
  });
}

TEST_F(CsvRowsTest, IdPairs) {
  const std::vector<std::string> expected{R"(17 b "17~b")", R"(b 17 "x")", R"(a"b c "a\"b~c")"};
  EXPECT_EQ(id_pairs_of(folder_.write("pairs.csv",
                                      "left_id,right_id,id,text\n"
                                      "17,b,,t\nb,17,x,\n\"a\"\"b\",c,,\n")),
            expected);
  EXPECT_EQ(id_pairs_of(folder_.write("pairs.jsonl",
                                      "{\"left_id\":17,\"right_id\":\"b\",\"text\":[1]}\n"
                                      "{\"id\":\"x\",\"right_id\":\"17\",\"left_id\":\"b\"}\n"
                                      "{\"left_id\":\"a\\\"b\",\"right_id\":\"c\",\"id\":null}\n")),
            expected);
  EXPECT_THAT(id_pairs_of(folder_.write("bad.jsonl",
                                        "{\"left_id\":1}\n{\"left_id\":[1],\"right_id\":2}\n"
                                        "{\"left_id\":1,\"right_id\":2,\"id\":8}\n[]\n")),
              ElementsAre(AllOf(HasSubstr("bad.jsonl:1"), HasSubstr("\"right_id\""),
                                HasSubstr("the fields left_id")),
                          AllOf(HasSubstr("field \"left_id\""), HasSubstr("an array")), "1 2 8",
                          HasSubstr("not a JSON object")));
  EXPECT_THAT(id_pairs_of(folder_.write("bad.csv", "left_id,right_id\na,\n")),
              ElementsAre(HasSubstr("\"right_id\"")));
}

/// "ID: FIELD=VALUE;..." or the message.
std::vector<std::string> records_of(const std::string& path) {
  RowParser parser;
  CatalogRecord record;
  return read_with(path, [&](const LineReader::Line& line) {
    const Status status = parser.parse_record(line, record);
    if (!status.ok()) return status.message();
    std::string text = record.id + ":";
    for (const auto& field : record.record.fields) text += " " + field.name + "=" + field.value;
    return text;
  });
}

TEST_F(CsvRowsTest, RecordsOfACatalogue) {
  const std::vector<std::string> expected{"7: title=a, b text=t price=5.0", "x: title=c"};
  EXPECT_EQ(records_of(
                folder_.write("records.csv", "title,id,text,price,\n\"a, b\",7,t,5.0,9\nc,x,,,\n")),
            expected);
  EXPECT_EQ(records_of(folder_.write("records.jsonl",
                                     "{\"title\":\"a, b\",\"id\":7,\"text\":\"t\",\"price\":5.0}\n"
                                     "{\"title\":\"b\",\"id\":\"x\",\"title\":\"c\"}\n")),
            expected);
  EXPECT_THAT(records_of(folder_.write("bad.jsonl",
                                       "{\"title\":\"a\"}\n{\"id\":1,\"tags\":[]}\n{\"id\":\"\"}\n"
                                       "{\"id\":2,\"a\":null}\n")),
              ElementsAre(AllOf(HasSubstr("\"id\""), HasSubstr("the fields title")),
                          "1: tags=", HasSubstr("lacks a field"), "2: a="));
}

}  // namespace
}  // namespace tilewise::rows
