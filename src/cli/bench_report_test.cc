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
  report.measured.flops = {.fp32 = 1e12, .bf16 = 6e12};
  report.peaks = {.fp32 = 1e12, .bf16 = 2e12};
  // 3 s + 1 s of work for one core at its peaks, on 2 cores for 4 s.
  EXPECT_DOUBLE_EQ(report.share_of_peak(), 4.0 / 8.0);
  report.cores_per_replica = 2;
  EXPECT_DOUBLE_EQ(report.share_of_peak(), 4.0 / 16.0);
  EXPECT_THAT(describe(report), HasSubstr("2 replicas of 2 cores"));
  report.cores_per_replica = 1;
  // An int8 model: 1 s more.
  report.measured.flops.int8 = 4e12;
  report.peaks.int8 = 4e12;
  EXPECT_DOUBLE_EQ(report.share_of_peak(), 5.0 / 8.0);
  report.peaks.int8 = 0;
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
  report.peaks = {.fp32 = 1e11, .bf16 = 1.5e12};
  const std::string json = to_json(report);
  EXPECT_THAT(json, HasSubstr("\"rows_per_s\":25,\"tokens_per_s\":300,"));
  EXPECT_THAT(json, HasSubstr("\"peaks\":{\"bf16\":1500,\"fp32\":100}"));
  EXPECT_THAT(json, HasSubstr("\"cpu\":\"a \\\"quoted\\\" processor\""));
  report.peaks = {.fp32 = 1e11, .bf16 = 1.5e12, .int8 = 3e12};
  EXPECT_THAT(to_json(report), HasSubstr("\"peaks\":{\"int8\":3000,\"bf16\":1500,\"fp32\":100}"));
}

TEST(BenchReport, StagesOnlyWhereTheyWereMeasured) {
  BenchReport report = example();
  EXPECT_THAT(to_json(report), Not(HasSubstr("stages")));
  report.measured.stages = runtime::StageTimes{.qkv = 0.003, .heads = 0.001};
  EXPECT_THAT(to_json(report), HasSubstr("\"stages_ms\":{\"embed\":0,\"qkv\":3,"));
  EXPECT_THAT(describe(report), testing::ContainsRegex("qkv +3000.0 +75.0 %"));
}

TEST(BenchReport, OneInterruptionSpoilsTheMeanAndNotTheMedian) {
  BenchReport report = example();
  report.replicas = 1;
  report.measured.stages.emplace();
  report.measured.latencies = {0.010, 0.010, 0.011, 0.012, 0.064};
  report.measured.seconds = 0.107;
  report.measured.flops = {.bf16 = 5 * 1e10};  // of five passes
  report.peaks = {.fp32 = 1e11, .bf16 = 2e12};
  EXPECT_DOUBLE_EQ(report.median_share_of_peak(), 1e10 / 2e12 / 0.011);
  EXPECT_DOUBLE_EQ(report.share_of_peak(), 5e10 / 2e12 / 0.107);
  EXPECT_THAT(to_json(report), HasSubstr("\"spread_ms\":{\"min\":10,\"p25\":10,\"p75\":12},"
                                         "\"share_of_peak_p50\":0.454545,\"stages_ms\":{"));
  EXPECT_THAT(describe(report), HasSubstr("45.5 % by the median pass, 23.4 % by the mean"));
  EXPECT_THAT(describe(report), HasSubstr("min 10.000, middle half 10.000 to 12.000"));
}

}  // namespace
}  // namespace tilewise::cli
