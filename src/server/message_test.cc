#include "server/message.h"

#include <gtest/gtest.h>

namespace tilewise::server {
namespace {

TEST(MessageTest, PercentDecode) {
  EXPECT_EQ(percent_decode("a%41%2fb"), "aA/b");
  EXPECT_EQ(percent_decode("%C3%A9"), "\xC3\xA9");
  for (const std::string_view text : {"%", "%4", "%zz", "%-1", "%+1", "100%", "a+b", ""}) {
    EXPECT_EQ(percent_decode(text), text);
  }
}

TEST(MessageTest, Headers) {
  HttpRequest request;
  request.headers = {{"Content-Type", "a"}, {"x-two", "1"}, {"X-Two", "2"}};
  EXPECT_EQ(request.header("content-type"), "a");
  EXPECT_EQ(request.header("X-TWO"), "1");
  EXPECT_EQ(request.header("x"), "");
}

TEST(MessageTest, Query) {
  HttpRequest request;
  request.query = "a=1&b=%20x&&c&a=2&d%3D=e=f&";
  EXPECT_EQ(request.query_value("a"), "1");
  EXPECT_EQ(request.query_value("b"), " x");
  EXPECT_EQ(request.query_value("c"), "");
  EXPECT_EQ(request.query_value("d="), "e=f");
  EXPECT_EQ(request.query_value("z"), "");
}

}  // namespace
}  // namespace tilewise::server
