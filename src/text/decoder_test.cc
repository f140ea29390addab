#include "text/decoder.h"

#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <simdjson.h>

#include "text/test_support.h"

namespace tilewise::text {
namespace {

// decoded.golden.jsonl is what Hugging Face makes of the same ids; see make_decoded.py beside it.
TEST(Decoder, IsThatOfHuggingFace) {
  const OwnedTokenizer tokenizer(golden_spec("decoder"));
  simdjson::dom::parser parser;
  const std::vector<std::string> lines = golden_lines("decoded.golden.jsonl");
  ASSERT_GT(lines.size(), 200U);
  for (const std::string& line : lines) {
    simdjson::dom::element row;
    ASSERT_EQ(parser.parse(line).get(row), simdjson::SUCCESS);
    std::vector<int32_t> ids;
    for (const simdjson::dom::element id : row["ids"].get_array()) {
      ids.push_back(static_cast<int32_t>(id.get_int64()));
    }
    EXPECT_EQ(decode(*tokenizer, ids, false), std::string_view(row["text"])) << line;
    EXPECT_EQ(decode(*tokenizer, ids, true), std::string_view(row["plain"])) << line;
  }
}

TEST(Decoder, IdsWithoutATokenAddNothing) {
  const OwnedTokenizer tokenizer(small_spec({"a", "b"}));
  const std::vector<int32_t> ids = {5, -1, 7, 1 << 30, 6};
  EXPECT_EQ(decode(*tokenizer, ids, false), "a b");
}

}  // namespace
}  // namespace tilewise::text
