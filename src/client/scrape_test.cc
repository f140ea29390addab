#include "client/scrape.h"

#include <cmath>
#include <limits>

#include <gtest/gtest.h>

namespace tilewise::client {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

TEST(Scrape, ReadsWhatTheFormatAllows) {
  const auto scrape = Scrape::parse(
      "# HELP a Something.\n# TYPE a counter\n"
      "a 3\n"
      "a{} 4\n"
      "a{x=\"1\",y=\"q\\\"\\\\\\n}\"} +5.5e1 1700000000000\n"
      "\n"
      "b{x=\"1\",} -Inf\n"
      "c NaN");
  ASSERT_TRUE(scrape.ok()) << scrape.status().message();
  EXPECT_EQ(scrape->sum("a"), 62);
  ASSERT_EQ(scrape->series("a").size(), 3u);
  EXPECT_EQ(scrape->series("a")[2].label("y"), "q\"\\\n}");
  EXPECT_EQ(scrape->series("a")[2].label("z"), "");
  EXPECT_EQ(scrape->sum("a", [](const Series& one) { return one.label("x") == "1"; }), 55);
  EXPECT_EQ(scrape->sum("b"), -kInfinity);
  EXPECT_TRUE(std::isnan(scrape->sum("c")));
  EXPECT_EQ(scrape->sum("d"), 0);
}

TEST(Scrape, RefusesWhatIsNoMetrics) {
  for (const char* bad : {"<html>", "a", "a b", "a{x} 1", "a{x=\"1} 1", "a{x=1} 1", "{x=\"1\"} 1",
                          "a{x=\"1\"", "a{x=\"\\", "a 1x"}) {
    const auto scrape = Scrape::parse(std::string("# fine\nb 1\n") + bad + "\n");
    ASSERT_FALSE(scrape.ok()) << bad;
    EXPECT_EQ(scrape.status().code(), StatusCode::invalid_input);
    EXPECT_EQ(scrape.status().problem().where, "line 3") << bad;
  }
}

TEST(Scrape, BucketsOfSeveralLabelSetsAddUp) {
  const auto scrape = Scrape::parse(
      "h_bucket{t=\"a\",le=\"1\"} 2\nh_bucket{t=\"a\",le=\"+Inf\"} 3\n"
      "h_bucket{t=\"b\",le=\"1\"} 10\nh_bucket{t=\"b\",le=\"+Inf\"} 20\n");
  ASSERT_TRUE(scrape.ok());
  EXPECT_EQ(scrape->buckets("h", [](const Series&) { return true; }),
            (Buckets{{1, 12}, {kInfinity, 23}}));
  EXPECT_EQ(scrape->buckets("h", [](const Series& one) { return one.label("t") == "b"; }),
            (Buckets{{1, 10}, {kInfinity, 20}}));
}

TEST(Quantile, IsWhatPrometheusSays) {
  // By hand after the definition of histogram_quantile.
  const Buckets buckets{{1, 10}, {2, 30}, {4, 40}, {kInfinity, 40}};
  EXPECT_DOUBLE_EQ(quantile(buckets, 0.5), 1.5);
  EXPECT_DOUBLE_EQ(quantile(buckets, 0.125), 0.5);
  EXPECT_DOUBLE_EQ(quantile(buckets, 0.875), 3);
  EXPECT_DOUBLE_EQ(quantile(buckets, 1), 4);
  EXPECT_DOUBLE_EQ(quantile({{1, 0}, {2, 4}, {kInfinity, 4}}, 0.5), 1.5);
  EXPECT_DOUBLE_EQ(quantile({{1, 5}, {kInfinity, 100}}, 0.99), 1);
  EXPECT_TRUE(std::isnan(quantile({{1, 0}, {kInfinity, 0}}, 0.5)));
  EXPECT_TRUE(std::isnan(quantile({}, 0.5)));
}

TEST(Difference, IsWhatCameBetween) {
  EXPECT_EQ(difference({{1, 5}, {2, 9}}, {{1, 2}}), (Buckets{{1, 3}, {2, 9}}));
  EXPECT_EQ(difference({{1, 5}, {2, 9}}, {{1, 2}, {2, 10}}), (Buckets{{1, 5}, {2, 9}}))
      << "the server was started anew";
}

}  // namespace
}  // namespace tilewise::client
