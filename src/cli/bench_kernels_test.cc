#include "cli/bench_kernels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kernels/int8_kernel_set.h"
#include "kernels/kernel_set.h"

namespace tilewise::cli {
namespace {

using testing::HasSubstr;
using testing::Not;

constexpr int64_t kKilobyte = 1 << 10, kMegabyte = 1 << 20, kGigabyte = 1 << 30;

TEST(Roofline, EverySetIsListedAndThoseOfOtherProcessorsAreSkipped) {
  const CpuFeatures bare;  // only what every processor has
  const std::vector<PeakLine> lines = list_peaks(bare);
  EXPECT_EQ(lines.size(),
            kernels::all_kernel_sets().size() + kernels::all_int8_kernel_sets().size());
  for (const PeakLine& line : lines) {
    ASSERT_NE(line.probe, nullptr);
    if (supports(bare, line.isa)) {
      EXPECT_EQ(line.skipped, "");
    } else {
      EXPECT_THAT(line.skipped, HasSubstr(name_of(line.isa)));
    }
  }
}

TEST(Roofline, AMoveOfThePeakIsShown) {
  PeakLine line{.before = 100e9, .after = 102e9};
  EXPECT_FALSE(line.has_moved());
  line.after = 90e9;
  EXPECT_TRUE(line.has_moved());
  EXPECT_EQ(line.best(), 100e9);
  KernelBenchReport report;
  report.peaks = {line};
  EXPECT_THAT(describe(report), HasSubstr("100.0  (before 100.0, after 90.0)"));
}

TEST(Roofline, BuffersFitTheirLevel) {
  Topology topology;
  topology.l1d_bytes = 48 * kKilobyte;
  topology.l2_bytes = 2 * kMegabyte;
  topology.l3_bytes = 100 * kMegabyte;
  const auto lines = list_bandwidths(topology, 16 * kGigabyte);
  ASSERT_EQ(lines.size(), 6u);
  EXPECT_EQ(lines[0].buffer_bytes, 24 * kKilobyte);
  EXPECT_EQ(lines[1].buffer_bytes, kMegabyte);
  EXPECT_EQ(lines[2].buffer_bytes, 16 * kMegabyte);
  for (const size_t i : {3, 4, 5}) EXPECT_EQ(lines[i].buffer_bytes, 200 * kMegabyte);
  for (const BandwidthLine& line : lines) EXPECT_EQ(line.skipped, "");
}

TEST(Roofline, WhatIsUnknownOrDoesNotFitIsSkipped) {
  Topology topology;
  topology.l1d_bytes = 32 * kKilobyte;
  topology.l2_bytes = kMegabyte;
  const auto no_l3 = list_bandwidths(topology, 16 * kGigabyte);
  EXPECT_THAT(no_l3[2].skipped, HasSubstr("unknown"));
  EXPECT_EQ(no_l3[3].skipped, "");
  topology.l3_bytes = 480 * kMegabyte;
  EXPECT_EQ(list_bandwidths(topology, 16 * kGigabyte)[3].buffer_bytes, 960 * kMegabyte);
  EXPECT_THAT(list_bandwidths(topology, kGigabyte)[3].skipped, HasSubstr("too little memory"));
}

TEST(KernelBench, ACallIsTimedAtLeastOnce) {
  int calls = 0;
  const Timing timing = time_calls([&] { ++calls; }, 0);
  EXPECT_GE(calls, 2);  // one to warm up
  EXPECT_LE(timing.least, timing.median);
  EXPECT_LE(timing.median, timing.most);
}

KernelBenchReport example() {
  KernelBenchReport report;
  report.cpu = "a processor";
  report.clock = 2e9;
  report.peaks = {
      {.precision = model::Precision::bf16, .isa = Isa::avx2, .before = 1e11, .after = 1e11},
      {.precision = model::Precision::int8,
       .isa = Isa::amx,
       .skipped = "this CPU does not run amx"}};
  report.bandwidths = {{.level = "L1",
                        .operation = "read",
                        .isa = Isa::avx2,
                        .buffer_bytes = 16384,
                        .bytes_per_second = 1e11},
                       {.level = "L3", .operation = "read", .skipped = "unknown"}};
  KernelLine linear{.model = "m",
                    .info = {.kernel = "linear",
                             .layer = "qkv",
                             .precision = model::Precision::bf16,
                             .isa = Isa::avx2,
                             .sizes = {{"rows", 16}, {"k", 64}, {"n", 192}},
                             .flops = 393216,
                             .rows = 16,
                             .check = "rows 0, 8 and 15"},
                    .seconds = {.median = 8e-6, .least = 7e-6, .most = 9e-6},
                    .peak = 1e11};
  KernelLine norm{.model = "m",
                  .info = {.kernel = "add_norm",
                           .precision = model::Precision::bf16,
                           .isa = Isa::avx2,
                           .sizes = {{"rows", 100}, {"columns", 64}},
                           .bytes = 38400,
                           .rows = 100,
                           .check = "first and last row"},
                  .seconds = {.median = 2e-6, .least = 2e-6, .most = 2e-6}};
  report.kernels = {linear, norm};
  return report;
}

TEST(KernelBench, Json) {
  const std::string json = to_json(example());
  EXPECT_THAT(json, HasSubstr("\"clock_ghz\":2,"));
  EXPECT_THAT(json, HasSubstr("{\"precision\":\"bf16\",\"isa\":\"avx2\",\"gflops\":100,"
                              "\"gflops_before\":100,\"gflops_after\":100}"));
  EXPECT_THAT(json, HasSubstr("\"isa\":\"amx\",\"skipped\":\"this CPU does not run amx\"}"));
  EXPECT_THAT(json, HasSubstr("\"gb_per_s\":100,\"bytes_per_cycle\":50}"));
  EXPECT_THAT(json, HasSubstr("\"layer\":\"qkv\",\"precision\":\"bf16\",\"isa\":\"avx2\","
                              "\"rows\":16,\"k\":64,\"n\":192,\"us\":8,\"us_min\":7,\"us_max\":9,"
                              "\"ns_per_row\":500,\"gflops\":49.152,\"peak_gflops\":100,"
                              "\"share_of_peak\":0.49152,\"checked\":\"rows 0, 8 and 15\"}"));
  EXPECT_THAT(json, HasSubstr("\"ns_per_row\":20,\"gb_per_s\":19.2,\"checked\""));
}

TEST(KernelBench, TextForPeople) {
  const std::string text = describe(example());
  EXPECT_THAT(text, HasSubstr("a processor, 2.00 GHz measured"));
  EXPECT_THAT(text, testing::ContainsRegex("int8  amx +skipped: this CPU does not run amx"));
  EXPECT_THAT(text, testing::ContainsRegex("L1 +read +avx2 +16 +100.0 +50.0"));
  EXPECT_THAT(text, testing::ContainsRegex("linear +qkv +bf16 +avx2 +16 x 64 x 192 +8.0 \\(7.0 .. "
                                           "9.0\\) +49.2 GFLOP/s +49.2 %"));
  EXPECT_THAT(text, testing::ContainsRegex("add_norm +bf16 +avx2 +100 x 64.* 19.2 GB/s +20.0 ns"));
  EXPECT_THAT(text, Not(HasSubstr("whole passes")));
  KernelBenchReport no_clock = example();
  no_clock.clock.reset();
  EXPECT_THAT(to_json(no_clock), HasSubstr("\"clock_ghz\":null"));
  EXPECT_THAT(describe(no_clock), Not(HasSubstr("GHz")));
}

}  // namespace
}  // namespace tilewise::cli
