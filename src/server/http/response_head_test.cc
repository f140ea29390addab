#include "server/http/response_head.h"

#include <gtest/gtest.h>

#include "server/http/api_keys.h"

namespace tilewise::server {
namespace {

TEST(ResponseHeadTest, EveryPart) {
  HttpResponse response;
  response.status = 429;
  response.body = "{}";
  response.headers = {{"Retry-After", "1"}};
  std::string head = "what was there before";
  write_head(response, {.date = "D", .request_id = "r", .traceparent = "t", .close = true}, head);
  EXPECT_EQ(head,
            "HTTP/1.1 429 Too Many Requests\r\nContent-Type: application/json\r\n"
            "Content-Length: 2\r\nDate: D\r\nx-request-id: r\r\ntraceparent: t\r\n"
            "Retry-After: 1\r\nConnection: close\r\n\r\n");
}

TEST(ResponseHeadTest, AnEmptyBodyHasALengthAndNoType) {
  std::string head;
  write_head({}, {.says_keep_alive = true}, head);
  EXPECT_EQ(head, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n");
}

TEST(ApiKeysTest, BothHeaders) {
  const std::vector<std::string> keys = {"one", "two"};
  const auto allowed = [&](std::string_view name, std::string_view value) {
    HttpRequest request;
    request.headers.emplace_back(name, value);
    return is_allowed(keys, request);
  };
  EXPECT_TRUE(allowed("Authorization", "Bearer one"));
  EXPECT_TRUE(allowed("authorization", "bearer  two"));
  EXPECT_TRUE(allowed("X-API-Key", "two"));
  EXPECT_FALSE(allowed("Authorization", "one"));
  EXPECT_FALSE(allowed("Authorization", "Bearer "));
  EXPECT_FALSE(allowed("Authorization", "Bearer one two"));
  EXPECT_FALSE(allowed("x-api-key", ""));
  EXPECT_FALSE(allowed("cookie", "one"));
  EXPECT_TRUE(is_allowed({}, {}));
}

}  // namespace
}  // namespace tilewise::server
