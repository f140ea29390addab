// What end-to-end tests cannot see: where views point, what is left in the buffer, and that the
// result does not depend on how the bytes were cut. The rules are RFC 9112's.
#include "server/http/request_parser.h"

#include <gtest/gtest.h>

namespace tilewise::server {
namespace {

struct Parsed {
  std::string method, path, query, body;
  std::vector<std::pair<std::string, std::string>> headers;
  bool is_complete = false;
  int error = 0;
  size_t left = 0;

  bool operator==(const Parsed&) const = default;
};

/// Feeds pieces of `piece` bytes, as a connection does: what was not taken comes again.
Parsed parse(std::string_view text, size_t piece = std::string_view::npos, Limits limits = {}) {
  RequestParser parser(limits);
  std::string waiting;
  while (!parser.is_complete() && !parser.error() && !text.empty()) {
    waiting += text.substr(0, piece);
    text.remove_prefix(std::min(piece, text.size()));
    for (size_t taken = 1; taken > 0 && !parser.is_complete() && !parser.error();) {
      taken = parser.feed(waiting);
      waiting.erase(0, taken);
    }
  }
  Parsed parsed;
  parsed.is_complete = parser.is_complete();
  parsed.left = waiting.size() + text.size();
  if (parser.error()) parsed.error = parser.error()->http;
  HttpRequest request;
  parser.fill(request);
  parsed.method = request.method;
  parsed.path = request.path;
  parsed.query = request.query;
  parsed.body = request.body;
  for (const auto& [name, value] : request.headers) parsed.headers.emplace_back(name, value);
  return parsed;
}

constexpr std::string_view kPost =
    "POST /a/b?c=d&e HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\nX-Empty:\r\n\r\nhello";
constexpr std::string_view kChunks =
    "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n"
    "3\r\nllo\r\n0\r\nX-Sum: 1\r\n\r\n";

TEST(RequestParserTest, PartsOfARequest) {
  const Parsed parsed = parse(kPost);
  EXPECT_TRUE(parsed.is_complete);
  EXPECT_EQ(parsed.method, "POST");
  EXPECT_EQ(parsed.path, "/a/b");
  EXPECT_EQ(parsed.query, "c=d&e");
  EXPECT_EQ(parsed.body, "hello");
  EXPECT_EQ(parsed.headers, (std::vector<std::pair<std::string, std::string>>{
                                {"Host", "x"}, {"Content-Length", "5"}, {"X-Empty", ""}}));
}

TEST(RequestParserTest, ChunksAreJoinedAndTrailersDropped) {
  const Parsed parsed = parse(kChunks);
  EXPECT_TRUE(parsed.is_complete);
  EXPECT_EQ(parsed.body, "hello");
  EXPECT_EQ(parsed.headers.size(), 2u);
}

TEST(RequestParserTest, ALineFeedInAChunkIsData) {
  const std::string text =
      "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n6\r\na\nb\n\n\n\r\n"
      "1\r\n\n\r\n0\r\n\r\n";
  for (size_t piece = 1; piece <= text.size(); ++piece) {
    const Parsed parsed = parse(text, piece);
    EXPECT_TRUE(parsed.is_complete) << piece;
    EXPECT_EQ(parsed.body, "a\nb\n\n\n\n") << piece;
  }
}

TEST(RequestParserTest, CutsDoNotMatter) {
  for (const std::string_view text :
       {kPost, kChunks, std::string_view("GET / HTTP/1.1\r\nHost: x\r\nA: b\nC: d\r\n\r\n"),
        std::string_view("GET / HTTP/1.1\r\nHost: x\r\n folded\r\n\r\n"),
        std::string_view(
            "POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n2\nab")}) {
    const Parsed whole = parse(text);
    EXPECT_TRUE(whole.is_complete || whole.error != 0);
    for (size_t piece = 1; piece < text.size(); ++piece) {
      Parsed cut = parse(text, piece);
      EXPECT_EQ(cut.is_complete, whole.is_complete) << piece;
      EXPECT_EQ(cut.error, whole.error) << piece;
      if (whole.is_complete) {
        EXPECT_EQ(cut, whole) << piece;
      }
    }
  }
}

TEST(RequestParserTest, WhatFollowsIsLeft) {
  const std::string two = std::string(kPost) + std::string(kPost);
  EXPECT_EQ(parse(two).left, kPost.size());
  const std::string chunks = std::string(kChunks) + "GET";
  EXPECT_EQ(parse(chunks).left, 3u);
}

TEST(RequestParserTest, ABodyHasReadableBytesAfterIt) {
  RequestParser parser({});
  std::string text(kPost);
  text.erase(0, parser.feed(text));
  parser.feed(text);
  ASSERT_TRUE(parser.is_complete());
  HttpRequest request;
  parser.fill(request);
  // ASan watches.
  int sum = 0;
  for (size_t i = 0; i < kBodyPadding; ++i) sum += request.body.data()[request.body.size() + i];
  EXPECT_EQ(sum, sum);
}

TEST(RequestParserTest, OneParserReadsManyRequests) {
  RequestParser parser({});
  for (int i = 0; i < 3; ++i) {
    std::string text(i == 1 ? kChunks : kPost);
    parser.start();
    EXPECT_FALSE(parser.is_started());
    while (!parser.is_complete()) text.erase(0, parser.feed(text));
    HttpRequest request;
    parser.fill(request);
    EXPECT_EQ(request.body, "hello");
    EXPECT_EQ(text, "");
    EXPECT_TRUE(parser.keep_alive());
  }
}

TEST(RequestParserTest, WhatIsTooLarge) {
  Limits small;
  small.body_bytes = 4;
  small.header_bytes = 200;
  EXPECT_EQ(parse(kPost, 7, small).error, 413);
  EXPECT_EQ(parse(kChunks, 7, small).error, 413);
  const std::string line = "GET /" + std::string(300, 'a');
  EXPECT_EQ(parse(line, 50, small).error, 414);
  const std::string header = "GET / HTTP/1.1\r\nHost: " + std::string(300, 'a');
  EXPECT_EQ(parse(header, 50, small).error, 431);
}

TEST(RequestParserTest, WhatIsAmbiguousIsRefused) {
  for (const std::string_view head :
       {"Content-Length: 1\r\nContent-Length: 1", "Content-Length: 1, 1", "Content-Length: 1 1",
        "Transfer-Encoding: chunked\r\nContent-Length: 1", "Transfer-Encoding: gzip, chunked",
        "Transfer-Encoding: chunked, chunked", "Content-Length : 1", "Host: y"}) {
    std::string text = "POST / HTTP/1.1\r\nHost: x\r\n";
    text.append(head).append("\r\n\r\n");
    EXPECT_EQ(parse(text).error, 400) << head;
  }
}

TEST(RequestParserTest, TheTargetMayBeAbsolute) {
  EXPECT_EQ(parse("GET http://x:1/a?b HTTP/1.1\r\nHost: x\r\n\r\n").path, "/a");
  EXPECT_EQ(parse("GET http://x HTTP/1.1\r\nHost: x\r\n\r\n").path, "/");
  EXPECT_EQ(parse("GET * HTTP/1.1\r\nHost: x\r\n\r\n").path, "*");
}

}  // namespace
}  // namespace tilewise::server
