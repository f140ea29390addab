#include "rows/csv.h"

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::rows {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

constexpr size_t kNoLimit = size_t{1} << 40;

/// The records of a text that comes in pieces of up to `piece` bytes.
std::vector<std::string> split(const std::string& text, size_t piece, size_t max_bytes = kNoLimit) {
  CsvScanner scanner(',', max_bytes);
  std::vector<std::string> records;
  size_t begin = 0, end = 0;
  while (begin < text.size()) {
    const bool is_last = end == text.size();
    const auto found =
        begin < end ? scanner.find_end(std::string_view(text).substr(begin, end - begin), is_last)
                    : std::nullopt;
    if (found) {
      records.push_back(text.substr(begin, *found));
      begin += *found + 1;
      end = std::max(end, std::min(begin, text.size()));
    } else {
      end = std::min(text.size(), end + piece);
    }
  }
  return records;
}

std::vector<std::string> cells_of(std::string_view record, char delimiter = ',') {
  std::vector<std::string> result;
  CsvCells cells(record, delimiter);
  std::string_view cell;
  CsvCells::Next next;
  while ((next = cells.next(cell)) == CsvCells::Next::cell) result.emplace_back(cell);
  if (next == CsvCells::Next::unclosed) result.emplace_back("<unclosed>");
  if (next == CsvCells::Next::text_after_closing) result.emplace_back("<text after closing>");
  return result;
}

// Expected: Python's csv.reader, but for the two that RFC 4180 does not know.
TEST(CsvCells, AreReadAsPythonDoes) {
  EXPECT_THAT(cells_of("a,b"), ElementsAre("a", "b"));
  EXPECT_THAT(cells_of(""), ElementsAre(""));
  EXPECT_THAT(cells_of(","), ElementsAre("", ""));
  EXPECT_THAT(cells_of("a,"), ElementsAre("a", ""));
  EXPECT_THAT(cells_of("\"\""), ElementsAre(""));
  EXPECT_THAT(cells_of("\"\",\"\""), ElementsAre("", ""));
  EXPECT_THAT(cells_of("\"a\"\"b\",c"), ElementsAre("a\"b", "c"));
  EXPECT_THAT(cells_of("\"\"\"\",x"), ElementsAre("\"", "x"));
  EXPECT_THAT(cells_of("\"a,\"\"\"\"\n,b\",\"c\""), ElementsAre("a,\"\"\n,b", "c"));
  EXPECT_THAT(cells_of("a\"b,c"), ElementsAre("a\"b", "c"));
  EXPECT_THAT(cells_of("24\" screen,a\"\"b"), ElementsAre("24\" screen", "a\"\"b"));
  EXPECT_THAT(cells_of(" \"a,b\""), ElementsAre(" \"a", "b\""));
  EXPECT_THAT(cells_of("a,b\tc", '\t'), ElementsAre("a,b", "c"));
  EXPECT_THAT(cells_of("x,\"a"), ElementsAre("x", "<unclosed>"));
  EXPECT_THAT(cells_of("\"a\"\""), ElementsAre("<unclosed>"));
  EXPECT_THAT(cells_of("\""), ElementsAre("<unclosed>"));
  EXPECT_THAT(cells_of("\"a\"b,c"), ElementsAre("<text after closing>"));
}

TEST(CsvScanner, LineEndsInQuotesBelongToTheirRecord) {
  for (const size_t piece : {1, 2, 3, 7, 1000}) {
    EXPECT_THAT(split("a,b\nc,d\n", piece), ElementsAre("a,b", "c,d"));
    EXPECT_THAT(split("a,\"b\nc\"\nd\n", piece), ElementsAre("a,\"b\nc\"", "d"));
    EXPECT_THAT(split("\"a\r\n\"\"\n\",\"\n\"\r\nd", piece),
                ElementsAre("\"a\r\n\"\"\n\",\"\n\"\r", "d"));
    EXPECT_THAT(split("24\" screen\n5\" disk\n", piece), ElementsAre("24\" screen", "5\" disk"))
        << "a quote within a cell is a character";
    EXPECT_THAT(split("\n\n\"\"\n", piece), ElementsAre("", "", "\"\""));
    EXPECT_THAT(split("\"a\n\"\r", piece), ElementsAre("\"a\n\"\r"));
  }
}

TEST(CsvScanner, AQuoteThatIsNotClosedCostsItsLineAlone) {
  for (const size_t piece : {1, 2, 3, 7, 1000}) {
    // Its text would go on to the first quote of the next row, behind which no cell may go on.
    EXPECT_THAT(split("1,\"a\n2,\"b\"\n3,\"c\"\n", piece),
                ElementsAre("1,\"a", "2,\"b\"", "3,\"c\""));
    EXPECT_THAT(split("1,\"a\n2,b\n3,c\n", piece), ElementsAre("1,\"a", "2,b", "3,c"));
    EXPECT_THAT(split("1,\"a\n2,b", piece), ElementsAre("1,\"a", "2,b"));
    EXPECT_THAT(split("1,\"a\"x\n2,b", piece), ElementsAre("1,\"a\"x", "2,b"));
    EXPECT_THAT(split("1,\"a\"x,\"\n2,b", piece), ElementsAre("1,\"a\"x,\"", "2,b"));
  }
}

TEST(CsvScanner, ARecordThatIsTooLongEndsWithItsFirstLine) {
  for (const size_t piece : {1, 2, 3, 7, 1000}) {
    EXPECT_THAT(split("\"a\nbcd\nefg\"\nh\n", piece, 8), ElementsAre("\"a", "bcd", "efg\"", "h"));
    EXPECT_THAT(split("\"a\nbcd\nef\"\nh\n", piece, 10), ElementsAre("\"a\nbcd\nef\"", "h"));
  }
}

TEST(CsvScanner, OfALineThatIsTooLongTheEndIsFound) {
  CsvScanner scanner(',', 4);
  EXPECT_EQ(scanner.find_end("\"aaaaaaa", false), std::nullopt);
  EXPECT_EQ(scanner.find_end("\"aaaa\"aaa", false), std::nullopt) << "five bytes are kept";
  EXPECT_EQ(scanner.find_end("\"aaaa,\"\nb", false), 7u) << "quotes count no more";
  EXPECT_EQ(scanner.find_end("b\nc", false), 1u);
}

// How the bytes arrive must not matter, for any of them.
TEST(CsvScanner, RecordsDoNotDependOnHowTheBytesCome) {
  std::mt19937 random(5);
  constexpr std::string_view kAlphabet = "a\"\",\n\r";
  for (int round = 0; round < 3000; ++round) {
    std::string text;
    for (size_t i = random() % 40; i > 0; --i) text += kAlphabet[random() % kAlphabet.size()];
    const size_t limit = round % 3 == 0 ? 5 + random() % 20 : kNoLimit;
    const auto whole = split(text, 1000, limit);
    for (const size_t piece : {1, 2, 5}) ASSERT_EQ(split(text, piece, limit), whole) << text;
    std::string joined;
    for (const std::string& record : whole) joined += record + "\n";
    if (!text.empty() && text.back() != '\n') joined.pop_back();
    ASSERT_EQ(joined, text) << "nothing is lost";
  }
}

TEST(CsvHeader, SaysWhatColumnsHold) {
  const auto header = CsvHeader::parse(
      "id,text,left,right,left_id,right_id,left.title,right_title,leftover,left.,\"a,b\",,",
      Format::csv);
  ASSERT_TRUE(header.ok()) << header.status().message();
  std::vector<std::string> columns;
  for (const CsvColumn& column : header->columns)
    columns.push_back(std::to_string(static_cast<int>(column.role)) + column.field);
  EXPECT_THAT(columns, ElementsAre("1", "2", "3", "4", "7", "8", "5title", "6title", "0", "0", "0",
                                   "0", "0"));
  EXPECT_EQ(header->columns[10].name, "a,b");
  EXPECT_TRUE(header->has(CsvRole::left_field));
  EXPECT_FALSE(CsvHeader::parse("id\ttext", Format::tsv)->has(CsvRole::left));
}

TEST(CsvHeader, RefusesWhatCannotBeMeant) {
  EXPECT_THAT(CsvHeader::parse("id,a,id", Format::csv).status().message(),
              AllOf(HasSubstr("twice"), HasSubstr("id")));
  EXPECT_THAT(CsvHeader::parse("left.a,left_a", Format::csv).status().message(),
              HasSubstr("twice"));
  EXPECT_THAT(CsvHeader::parse("id,\"a", Format::csv).status().message(), HasSubstr("not closed"));
}

}  // namespace
}  // namespace tilewise::rows
