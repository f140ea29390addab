#include "server/sagemaker/rows_call.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::server::sagemaker {
namespace {

using testing::HasSubstr;

TEST(BodyFormat, KnowsTheNamesInUse) {
  EXPECT_EQ(body_format("application/json"), BodyFormat::json);
  EXPECT_EQ(body_format("Application/JSON; charset=utf-8"), BodyFormat::json);
  EXPECT_EQ(body_format(""), BodyFormat::json);
  EXPECT_EQ(body_format("application/jsonlines"), BodyFormat::json_lines);
  EXPECT_EQ(body_format("application/x-ndjson;q=1"), BodyFormat::json_lines);
  EXPECT_EQ(body_format("text/csv"), BodyFormat::other);
}

TEST(Attribute, IsFoundByName) {
  EXPECT_EQ(attribute("task=a,b; top = 3 ;x", "task"), "a,b");
  EXPECT_EQ(attribute("task=a,b; top = 3 ;x", "top"), "3");
  EXPECT_EQ(attribute("task=a,b; top = 3 ;x", "x"), "");
  EXPECT_EQ(attribute("", "task"), "");
  EXPECT_EQ(attribute(";;=;task", "task"), "");
}

TEST(ParseRows, ABadRowCostsOnlyItself) {
  const auto rows = parse_rows(
      "{\"id\":\"a\",\"text\":\"x\"}\r\n\n{\"text\":7}\n{\"id\":9,\"text\":\"y\"}\nnonsense",
      model::InputKind::text);
  ASSERT_EQ(rows.size(), 4U);
  EXPECT_TRUE(rows[0].status.ok());
  EXPECT_EQ(rows[0].row.id, "\"a\"");
  EXPECT_EQ(rows[1].row.id, "3");
  EXPECT_THAT(rows[1].status.message(), HasSubstr("body:3"));
  EXPECT_TRUE(rows[2].status.ok());
  EXPECT_EQ(rows[2].row.id, "9");
  EXPECT_EQ(rows[3].row.id, "5");
  EXPECT_FALSE(rows[3].status.ok());
  EXPECT_TRUE(parse_rows("\n \r\n", model::InputKind::text).empty());
  EXPECT_TRUE(parse_rows("", model::InputKind::pair).empty());
}

TEST(ParseRow, MayGoOverSeveralLines) {
  const ParsedRow row =
      parse_row("{\n \"left\": \"a\",\n \"right\": \"b\"\n}\n", model::InputKind::pair);
  EXPECT_TRUE(row.status.ok()) << row.status.message();
  EXPECT_EQ(row.row.id, "1");
}

}  // namespace
}  // namespace tilewise::server::sagemaker
