#include "cli/bench_report.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

BenchReport example() {
  BenchReport report;
  report.scenario = "single";
  report.task = "intent";
  report.precision = "bf16";
  report.isa = "avx2";
  report.cpu = "a \"quoted\" processor";
  report.replicas = 2;
  report.measured.rows = 100;
  report.measured.tokens = 1200;
  report.measured.seconds = 4;
  for (int i = 100; i >= 1; --i)
    report.measured.latencies.push_back(i * 1e-3);  // 1 to 100 ms, unordered
  return report;
}

TEST(BenchReport, ShareOfPeakCountsEachPrecisionAtItsOwnPeak) {
  BenchReport report = example();
  report.measured.flops = {.backbone = 6e12, .heads = 1e12};
  report.peaks = {.backbone = 2e12, .heads = 1e12};
  // 3 s + 1 s of work for one core at its peaks, on 2 cores for 4 s.
  EXPECT_DOUBLE_EQ(report.share_of_peak(), 4.0 / 8.0);
  report.peaks = {};
  EXPECT_THAT(to_json(report), HasSubstr("\"share_of_peak\":null"));
}

TEST(BenchReport, PercentilesAreNearestRanks) {
  EXPECT_THAT(to_json(example()),
              HasSubstr("\"latency_ms\":{\"p50\":50,\"p90\":90,\"p99\":99,\"max\":100}"));
  BenchReport one = example();
  one.measured.latencies = {0.25};
  EXPECT_THAT(to_json(one), HasSubstr("{\"p50\":250,\"p90\":250,\"p99\":250,\"max\":250}"));
  one.measured.latencies.clear();
  EXPECT_THAT(to_json(one), HasSubstr("{\"p50\":null,\"p90\":null,\"p99\":null,\"max\":null}"));
  EXPECT_THAT(describe(one), Not(HasSubstr("latency")));
}

TEST(BenchReport, RatesAndPeaks) {
  BenchReport report = example();
  report.peaks = {.backbone = 1.5e12, .heads = 1e11};
  const std::string json = to_json(report);
  EXPECT_THAT(json, HasSubstr("\"rows_per_s\":25,\"tokens_per_s\":300,"));
  EXPECT_THAT(json, HasSubstr("\"peaks\":{\"bf16\":1500,\"fp32\":100}"));
  EXPECT_THAT(json, HasSubstr("\"cpu\":\"a \\\"quoted\\\" processor\""));
  report.precision = "fp32";
  EXPECT_THAT(to_json(report), HasSubstr("\"peaks\":{\"fp32\":1500}"));
}

TEST(BenchReport, StagesOnlyWhereTheyWereMeasured) {
  BenchReport report = example();
  EXPECT_THAT(to_json(report), Not(HasSubstr("stages")));
  report.measured.stages = runtime::StageTimes{.qkv = 0.003, .heads = 0.001};
  EXPECT_THAT(to_json(report), HasSubstr("\"stages_ms\":{\"embed\":0,\"qkv\":3,"));
  EXPECT_THAT(describe(report), testing::ContainsRegex("qkv +3000.0 +75.0 %"));
}

}  // namespace
}  // namespace tilewise::cli
