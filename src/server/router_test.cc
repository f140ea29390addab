#include "server/router.h"

#include <set>

#include <gtest/gtest.h>

namespace tilewise::server {
namespace {

struct Found {
  std::vector<std::string_view> captures;
  std::vector<std::string> decoded;
  Route route;  // the last: made from the others

  Found(std::string_view method, std::string_view path)
      : route(find_route(method, path, captures, decoded)) {}
};

TEST(RouterTest, NamesInThePath) {
  const Found found("POST", "/v2/models/a.b/versions/%33/infer");
  ASSERT_NE(found.route.endpoint, nullptr);
  EXPECT_EQ(found.route.endpoint->path, "/v2/models/{model}/versions/{version}/infer");
  EXPECT_TRUE(found.route.endpoint->is_inference);
  EXPECT_EQ(found.route.protocol, "kserve");
  ASSERT_EQ(found.captures.size(), 2u);
  EXPECT_EQ(found.captures[0], "a.b");
  EXPECT_EQ(found.captures[1], "3");
}

TEST(RouterTest, AnEscapedSlashIsPartOfAName) {
  const Found found("GET", "/v2/models/a%2Fb/ready");
  ASSERT_NE(found.route.endpoint, nullptr);
  EXPECT_EQ(found.captures[0], "a/b");
}

TEST(RouterTest, OtherMethods) {
  const Found found("PUT", "/v2/health/live");
  EXPECT_EQ(found.route.endpoint, nullptr);
  EXPECT_TRUE(found.route.path_exists);
  EXPECT_EQ(found.route.allowed, "GET, HEAD");
  EXPECT_NE(Found("HEAD", "/v2/health/live").route.endpoint, nullptr);
  EXPECT_EQ(Found("HEAD", "/v2/models/a/infer").route.allowed, "POST");
}

TEST(RouterTest, NoSuchPath) {
  for (const std::string_view path :
       {"", "*", "v2", "//", "/v2/", "/v2/models", "/v2/models/", "/v2/models//ready",
        "/v2/models/a/infer/", "/v2/models/a/infer/b", "/v2/health/liv", "/V2"}) {
    const Found found("GET", path);
    EXPECT_EQ(found.route.endpoint, nullptr) << path;
    EXPECT_FALSE(found.route.path_exists) << path;
    EXPECT_NE(found.route.write_error, nullptr) << path;
  }
}

TEST(RouterTest, ErrorsHaveTheFormOfTheNeighbours) {
  const Found known("GET", "/v1/embeddings");
  const Found unknown("GET", "/v1/nothing");
  EXPECT_TRUE(known.route.path_exists);
  EXPECT_FALSE(unknown.route.path_exists);
  EXPECT_EQ(known.route.write_error, unknown.route.write_error);
  EXPECT_NE(known.route.write_error, &write_plain_error);
}

}  // namespace
}  // namespace tilewise::server
