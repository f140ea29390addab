#include "server/metrics.h"

#include <sstream>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "server/exposition.h"

namespace tilewise::server {
namespace {

/// The value of a series as it stands in the text, or -1.
double value(const std::string& text, const std::string& series) {
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    if (line.starts_with(series + " ")) return std::stod(line.substr(series.size() + 1));
  }
  return -1;
}

/// All of it at once.
std::string expose(Metrics& metrics, const Snapshot& snapshot = {}) {
  Exposition exposition = metrics.expose(snapshot);
  std::string text;
  while (exposition.append(text)) {
  }
  return text;
}

int64_t count(const std::string& text, const std::string& part) {
  int64_t found = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; ++at) ++found;
  return found;
}

CallReport report(std::string_view model, std::string_view task, const Status* status = nullptr) {
  return {.protocol = "kserve",
          .model = model,
          .task = task,
          .status = status,
          .inputs = 2,
          .tokens = 23,
          .cached_inputs = 1,
          .times = {.tokenize = 0.00015, .queue = 0.0012, .compute = 0.0021},
          .total_seconds = 0.0045};
}

const std::string kLabels = R"({model="m",protocol="kserve",task="t"})";

TEST(Metrics, ACallGoesIntoItsBuckets) {
  Metrics metrics;
  metrics.on_call(report("m", "t"));
  metrics.on_call(report("m", "t"));
  const std::string text = expose(metrics);
  EXPECT_EQ(
      value(text, R"(tilewise_requests_total{code="ok",model="m",protocol="kserve",task="t"})"), 2);
  const auto bucket = [&](const std::string& name, const std::string& bound) {
    return value(text,
                 name + R"(_bucket{model="m",protocol="kserve",task="t",le=")" + bound + "\"}");
  };
  EXPECT_EQ(bucket("tilewise_request_duration_seconds", "0.004"), 0);
  EXPECT_EQ(bucket("tilewise_request_duration_seconds", "0.005"), 2);
  EXPECT_EQ(bucket("tilewise_request_duration_seconds", "+Inf"), 2);
  EXPECT_EQ(bucket("tilewise_request_queue_seconds", "0.001"), 0);
  EXPECT_EQ(bucket("tilewise_request_queue_seconds", "0.0015"), 2);
  EXPECT_EQ(bucket("tilewise_request_tokenize_seconds", "0.0001"), 0);
  EXPECT_EQ(bucket("tilewise_request_tokenize_seconds", "0.0002"), 2);
  EXPECT_EQ(bucket("tilewise_request_compute_seconds", "0.002"), 0);
  EXPECT_EQ(bucket("tilewise_request_compute_seconds", "0.0025"), 2);
  EXPECT_EQ(value(text, "tilewise_request_tokens_sum" + kLabels), 46);
  EXPECT_EQ(value(text, "tilewise_request_inputs_sum" + kLabels), 4);
  EXPECT_EQ(value(text, "tilewise_request_inputs_count" + kLabels), 2);
  EXPECT_EQ(value(text, "tilewise_request_cached_inputs_total" + kLabels), 2);
}

TEST(Metrics, TheDepthIsCountedWhereTasksHaveExits) {
  Metrics metrics;
  metrics.on_call(report("m", "t"));
  EXPECT_EQ(expose(metrics).find("tilewise_depth"), std::string::npos);
  CallReport early = report("m", "t");
  early.depth = {.layers = 6.5, .answers = 2};
  metrics.on_call(early);
  metrics.on_call(early);
  const Status overload = overloaded({.what = "full"});
  early.status = &overload;
  metrics.on_call(early);
  const std::string text = expose(metrics);
  EXPECT_EQ(value(text, "tilewise_depth_layers_total" + kLabels), 13);
  EXPECT_EQ(value(text, "tilewise_depth_answers_total" + kLabels), 4);
}

TEST(Metrics, AFailureIsCountedWithoutATime) {
  Metrics metrics;
  metrics.on_call(report("m", "t"));
  const Status overload = overloaded({.what = "full"});
  metrics.on_call(report("m", "t", &overload));
  const std::string text = expose(metrics);
  EXPECT_EQ(value(text, R"(tilewise_requests_total{code="overloaded",model="m",protocol="kserve",)"
                        R"(task="t"})"),
            1);
  EXPECT_EQ(value(text, R"(tilewise_rejections_total{reason="overloaded"})"), 1);
  EXPECT_EQ(value(text, R"(tilewise_rejections_total{reason="deadline"})"), 0);
  EXPECT_EQ(value(text, "tilewise_request_duration_seconds_count" + kLabels), 1);
}

TEST(Metrics, EveryRefusalHasAReason) {
  Metrics metrics;
  const std::pair<Status, const char*> refusals[] = {{overloaded({}), "overloaded"},
                                                     {deadline_exceeded({}), "deadline"},
                                                     {cancelled({}), "cancelled"},
                                                     {unavailable({}), "unavailable"},
                                                     {unauthenticated({}), "unauthenticated"},
                                                     {too_large({}), "too_large"},
                                                     {not_found({}), "not_found"},
                                                     {unsupported({}), "unsupported"},
                                                     {invalid_argument({}), "invalid"},
                                                     {invalid_input({}), "invalid"}};
  for (const auto& [status, reason] : refusals) metrics.on_call(report("", "", &status));
  const std::string text = expose(metrics);
  for (const auto& [status, reason] : refusals) {
    EXPECT_EQ(value(text, std::string("tilewise_rejections_total{reason=\"") + reason + "\"}"),
              std::string(reason) == "invalid" ? 2 : 1);
  }
}

TEST(Metrics, AFailureCountsForItsModelFromTheFirstOn) {
  Metrics metrics;
  const Status overload = overloaded({.what = "full"});
  metrics.on_call(report("m", "t", &overload));
  EXPECT_EQ(value(expose(metrics), R"(tilewise_requests_total{code="overloaded",model="m",)"
                                   R"(protocol="kserve",task="t"})"),
            1);
}

TEST(Metrics, LabelSetsAreBounded) {
  Metrics metrics;
  for (int i = 0; i < 3000; ++i) metrics.on_call(report("m" + std::to_string(i), "t"));
  for (int i = 0; i < 3000; ++i) metrics.on_swap("m" + std::to_string(i), true);
  const std::string text = expose(metrics);
  EXPECT_EQ(count(text, "tilewise_requests_total{"), 1001);
  EXPECT_EQ(count(text, "# TYPE tilewise_requests_total counter\n"), 1);
  EXPECT_EQ(count(text, "# HELP tilewise_request_queue_seconds "), 1);
  EXPECT_EQ(value(text, R"(tilewise_requests_total{code="ok",model="other",protocol="kserve",)"
                        R"(task="other"})"),
            2000);
  EXPECT_EQ(value(text, R"(tilewise_requests_total{code="ok",model="m7",protocol="kserve",)"
                        R"(task="t"})"),
            1);
  EXPECT_EQ(count(text, "tilewise_model_swaps_total{"), 257);
}

TEST(Metrics, Passes) {
  Metrics metrics;
  metrics.on_pass(
      {.replica = 0, .sequences = 5, .tokens = 60, .predicted_seconds = 0.001, .seconds = 0.00105});
  metrics.on_pass(
      {.replica = 1, .sequences = 1, .tokens = 9, .predicted_seconds = 0, .seconds = 0.0002});
  const std::string text = expose(metrics);
  EXPECT_EQ(value(text, "tilewise_pass_sequences_sum"), 6);
  EXPECT_EQ(value(text, "tilewise_pass_tokens_sum"), 69);
  EXPECT_EQ(value(text, "tilewise_pass_duration_seconds_count"), 2);
  EXPECT_EQ(value(text, "tilewise_pass_prediction_ratio_count"), 1) << "nothing was predicted";
  EXPECT_NEAR(value(text, "tilewise_pass_prediction_ratio_sum"), 1.05, 1e-12);
  EXPECT_EQ(value(text, "tilewise_pass_predicted_seconds_total"), 0.001);
}

TEST(Metrics, ASnapshotIsExposed) {
  Metrics metrics;
  metrics.on_connection(+1);
  metrics.on_connection(+1);
  metrics.on_connection(-1);
  metrics.on_swap("m", true);
  metrics.on_swap("m", false);
  Snapshot snapshot{.now = Time(std::chrono::seconds(100)),
                    .backlog = {.sequences = 7, .tokens = 80, .seconds = 0.0035},
                    .busy_seconds = {1, 2},
                    .cache = {.hits = 3, .misses = 4, .entries = 5, .bytes = 600},
                    .is_ready = true,
                    .isa = "amx",
                    .models = {{.name = "a\"b", .version = "3", .is_ready = false}}};
  expose(metrics, snapshot);
  snapshot.now += std::chrono::seconds(2);
  snapshot.busy_seconds = {1.5, 4};
  const std::string text = expose(metrics, snapshot);
  EXPECT_EQ(value(text, "tilewise_http_connections"), 1);
  EXPECT_EQ(value(text, R"(tilewise_model_swaps_total{model="m",result="loaded"})"), 1);
  EXPECT_EQ(value(text, R"(tilewise_model_swaps_total{model="m",result="refused"})"), 1);
  EXPECT_EQ(value(text, "tilewise_backlog_milliseconds"), 3.5);
  EXPECT_EQ(value(text, "tilewise_waiting_sequences"), 7);
  EXPECT_EQ(value(text, "tilewise_cache_hits_total"), 3);
  EXPECT_EQ(value(text, "tilewise_cache_bytes"), 600);
  EXPECT_EQ(value(text, "tilewise_ready"), 1);
  EXPECT_EQ(value(text, R"(tilewise_model_ready{model="a\"b",version="3"})"), 0);
  EXPECT_EQ(value(text, R"(tilewise_replica_busy_seconds_total{replica="1"})"), 4);
  EXPECT_EQ(value(text, R"(tilewise_replica_utilization_ratio{replica="0"})"), 0.25);
  EXPECT_EQ(value(text, R"(tilewise_replica_utilization_ratio{replica="1"})"), 1);
  EXPECT_GT(value(text, "process_resident_memory_bytes"), 1e6);
  EXPECT_GT(value(text, "process_start_time_seconds"), 1.6e9);
  EXPECT_NE(text.find(R"(isa="amx")"), std::string::npos);
}

TEST(Metrics, Totals) {
  Metrics metrics;
  metrics.on_call(report("m", "t"));
  CallReport cached = report("m", "t");
  cached.cached_inputs = cached.inputs;
  metrics.on_call(cached);
  CallReport other = report("m", "u");
  other.protocol = "grpc";
  metrics.on_call(other);
  const Status overload = overloaded({.what = "full"});
  metrics.on_call(report("m", "t", &overload));

  const Metrics::Totals one = metrics.totals("m", "t");
  EXPECT_EQ(one.success, 2);
  EXPECT_EQ(one.failure, 1);
  EXPECT_EQ(one.inputs, 4);
  EXPECT_EQ(one.passes, 1);
  EXPECT_EQ(one.cache_hits, 3);
  EXPECT_NEAR(one.success_seconds, 0.009, 1e-12);
  EXPECT_NEAR(one.failure_seconds, 0.0045, 1e-12);
  EXPECT_NEAR(one.queue_seconds, 0.0024, 1e-12);
  EXPECT_NEAR(one.tokenize_seconds, 0.0003, 1e-12);
  EXPECT_NEAR(one.compute_seconds, 0.0042, 1e-12);
  EXPECT_EQ(metrics.totals("m", "").success, 3);
  EXPECT_EQ(metrics.totals("n", "").success, 0);
}

TEST(Metrics, ManyThreadsLoseNothing) {
  Metrics metrics;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      const Status overload = overloaded({.what = "full"});
      for (int i = 0; i < 2000; ++i) {
        const std::string model = "m" + std::to_string(i % 50);
        metrics.on_call(report(model, "t"));
        metrics.on_call(report(model, "t", &overload));
        if (i % 500 == 0) expose(metrics);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (int i = 0; i < 50; ++i) {
    const Metrics::Totals totals = metrics.totals("m" + std::to_string(i), "t");
    EXPECT_EQ(totals.success, 160);
    EXPECT_EQ(totals.failure, 160);
  }
}

}  // namespace
}  // namespace tilewise::server
