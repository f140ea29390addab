// The rules of https://www.w3.org/TR/trace-context-1/#traceparent-header, one case each.
#include "server/trace_context.h"

#include <random>
#include <set>
#include <string>

#include <gtest/gtest.h>

namespace tilewise::server {
namespace {

constexpr const char* kTrace = "0af7651916cd43dd8448eb211c80319c";
constexpr const char* kParent = "b7ad6b7169203331";

std::string header(const std::string& version, const std::string& trace, const std::string& parent,
                   const std::string& flags) {
  return version + "-" + trace + "-" + parent + "-" + flags;
}

TraceContext context_of(std::string_view traceparent) {
  static std::mt19937_64 random(5);
  return TraceContext::from(traceparent, random);
}

TEST(TraceContext, GoesOnWithTheCallersTrace) {
  const TraceContext context = context_of(header("00", kTrace, kParent, "01"));
  EXPECT_EQ(context.trace_id(), kTrace);
  EXPECT_EQ(context.parent_id(), kParent);
  EXPECT_TRUE(context.is_sampled());
  EXPECT_NE(context.span_id(), kParent);
  EXPECT_EQ(context.traceparent(), header("00", kTrace, std::string(context.span_id()), "01"));
}

TEST(TraceContext, OnlyTheSampledFlagIsKnown) {
  EXPECT_FALSE(context_of(header("00", kTrace, kParent, "00")).is_sampled());
  EXPECT_TRUE(context_of(header("00", kTrace, kParent, "ff")).is_sampled());
  const TraceContext unknown = context_of(header("00", kTrace, kParent, "fe"));
  EXPECT_EQ(unknown.trace_id(), kTrace);
  EXPECT_FALSE(unknown.is_sampled());
  EXPECT_TRUE(unknown.traceparent().ends_with("-00"));
}

TEST(TraceContext, LaterVersionsAreReadAsFarAsTheyAreKnown) {
  for (const char* more : {"", "-", "-what-the-future-will-be-like", "-.0"}) {
    const TraceContext context = context_of(header("cc", kTrace, kParent, "01") + more);
    EXPECT_EQ(context.trace_id(), kTrace) << more;
    EXPECT_TRUE(context.traceparent().starts_with("00-")) << "this server speaks version 00";
  }
}

TEST(TraceContext, StartsATraceWhereTheHeaderIsNotValid) {
  const std::string good = header("00", kTrace, kParent, "01");
  const std::string zeros32(32, '0'), zeros16(16, '0');
  for (const std::string& bad : {
           std::string(),
           std::string("x"),
           good.substr(0, 54),  // cut
           good + "-",          // 00 has nothing behind
           good + "-extra",
           good + "0",
           " " + good,                                      // HTTP trims, we do not
           header("ff", kTrace, kParent, "01"),             // never a version
           header("0G", kTrace, kParent, "01"),             // not hexadecimal
           header("CC", kTrace, kParent, "01"),             // upper case
           header("cc", kTrace, kParent, "01") + ".later",  // no dash before what follows
           header("00", zeros32, kParent, "01"),            // no trace
           header("00", kTrace, zeros16, "01"),             // no parent
           header("00", "0AF7651916CD43DD8448EB211C80319C", kParent, "01"),
           header("00", "0af7651916cd43dd8448eb211c80319.", kParent, "01"),
           header("00", kTrace, "B7AD6B7169203331", "01"),
           header("00", kTrace, kParent, "0X"),
           header("0", kTrace, std::string("b") + kParent, "01"),  // fields at other places
           header("00", std::string(kTrace) + "0", "7ad6b7169203331", "01"),
           std::string("00_") + kTrace + "_" + kParent + "_01",
           std::string(55, '-'),
           std::string(100000, 'a'),
       }) {
    const TraceContext context = context_of(bad);
    EXPECT_NE(context.trace_id(), kTrace) << bad.substr(0, 80);
    EXPECT_EQ(context.parent_id(), "") << bad.substr(0, 80);
    EXPECT_FALSE(context.is_sampled()) << bad.substr(0, 80);
    // What it makes is valid itself.
    const TraceContext next = context_of(context.traceparent());
    EXPECT_EQ(next.trace_id(), context.trace_id());
    EXPECT_EQ(next.parent_id(), context.span_id());
  }
}

TEST(TraceContext, IdsDiffer) {
  std::set<std::string> traces, spans;
  for (int i = 0; i < 1000; ++i) {
    const TraceContext context = context_of("");
    traces.emplace(context.trace_id());
    spans.emplace(context.span_id());
  }
  EXPECT_EQ(traces.size(), 1000u);
  EXPECT_EQ(spans.size(), 1000u);
}

}  // namespace
}  // namespace tilewise::server
