#include "client/url.h"

#include <gtest/gtest.h>

namespace tilewise::client {
namespace {

TEST(Url, HostPortAndPath) {
  const auto plain = parse_url("http://localhost");
  ASSERT_TRUE(plain.ok());
  EXPECT_EQ(plain->host, "localhost");
  EXPECT_EQ(plain->port, "80");
  EXPECT_EQ(plain->path, "/");
  const auto full = parse_url("http://10.0.0.1:8080/v2/models?x=1");
  ASSERT_TRUE(full.ok());
  EXPECT_EQ(full->host, "10.0.0.1");
  EXPECT_EQ(full->port, "8080");
  EXPECT_EQ(full->path, "/v2/models?x=1");
}

TEST(Url, AddressesOfVersion6StandInBrackets) {
  const auto url = parse_url("http://[::1]:9000/a:b");
  ASSERT_TRUE(url.ok());
  EXPECT_EQ(url->host, "::1");
  EXPECT_EQ(url->port, "9000");
  EXPECT_EQ(url->path, "/a:b");
}

TEST(Url, RefusesWhatIsNone) {
  for (const char* text : {"", "localhost:80", "https://a", "http://", "http://:80",
                           "http://a:", "http://a:b", "http://a:80b/"}) {
    const auto url = parse_url(text);
    ASSERT_FALSE(url.ok()) << text;
    EXPECT_EQ(url.status().code(), StatusCode::invalid_argument);
  }
}

}  // namespace
}  // namespace tilewise::client
