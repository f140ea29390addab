// What the scenario server prints.
#include <algorithm>
#include <cmath>
#include <limits>

#include <fmt/format.h>

#include "cli/bench_server.h"

namespace tilewise::cli {
namespace {

constexpr double kNone = std::numeric_limits<double>::quiet_NaN();

double per_second(int64_t count, const client::LoadResult& load) {
  return static_cast<double>(count) / load.seconds;
}

double share(int64_t count, const client::LoadResult& load) {
  return load.sent == 0 ? kNone : static_cast<double>(count) / static_cast<double>(load.sent);
}

double milliseconds(const std::vector<double>& sorted, double quantile) {
  return client::percentile(sorted, quantile) * 1e3;
}

void write_load(const client::LoadResult& load, rows::JsonWriter& json) {
  json.key("rate").number(load.rate).key("sent").integer(load.sent);
  json.key("accepted").integer(std::ssize(load.accepted));
  json.key("refused").integer(std::ssize(load.refused));
  json.key("failures").integer(load.failures);
  json.key("reconnects").integer(load.reconnects);
  json.key("statuses").begin_object();
  for (const auto& [status, count] : load.statuses) {
    json.key(std::to_string(status)).integer(count);
  }
  json.end_object();
  json.key("goodput_per_s").number(per_second(load.in_time, load));
  json.key("refused_share").number(share(std::ssize(load.refused), load));
  json.key("refused_ms").begin_object();
  json.key("p50").number(milliseconds(load.refused, 0.5));
  json.key("p99").number(milliseconds(load.refused, 0.99));
  json.key("max").number(milliseconds(load.refused, 1)).end_object();
  json.key("send_lag_ms").begin_object().key("p99").number(load.send_lag_p99 * 1e3);
  json.key("max").number(load.latest_send * 1e3).end_object();
}

void write_cost(const ServerCost& cost, rows::JsonWriter& json) {
  json.key("server").begin_object();
  json.key("cpu_us_per_request").number(cost.cpu_seconds * 1e6);
  json.key("model_us_per_request").number(cost.model_seconds * 1e6);
  json.key("outside_us_per_request").number((cost.cpu_seconds - cost.model_seconds) * 1e6);
  json.key("rss_mb_before").number(cost.memory_before_mb);
  json.key("rss_mb_after").number(cost.memory_after_mb);
  json.key("end").string(cost.end).end_object();
}

void write_tried(const std::vector<TriedRate>& tried, rows::JsonWriter& json) {
  json.key("tried").begin_array();
  for (const TriedRate& one : tried) {
    json.begin_object().key("rate").number(one.rate).key("seconds").number(one.seconds);
    json.key("p99_ms").number(one.p99_ms).key("refused").integer(one.refused);
    json.key("failures").integer(one.failures).key("held").boolean(one.held).end_object();
  }
  json.end_array();
}

std::string list(const std::vector<int32_t>& cpus) {
  std::string text;
  for (const int32_t cpu : cpus) text += (text.empty() ? "" : ",") + std::to_string(cpu);
  return text;
}

using Line = std::pair<const char*, std::string>;

void describe_load(const ServerBenchReport& report, std::vector<Line>& lines) {
  const client::LoadResult& load = *report.load;
  if (report.asked_rate == 0) {
    lines.emplace_back("highest rate", fmt::format("{:.0f} requests/s with P99 < {} ms, none "
                                                   "refused, none failed",
                                                   load.rate, report.deadline_ms));
  } else {
    lines.emplace_back("rate", fmt::format("{:.0f} requests/s", load.rate));
  }
  if (report.offline_rate) {
    lines.emplace_back("offline rate",
                       fmt::format("{:.0f} rows/s on the same cores; this is {:.1f} %",
                                   *report.offline_rate, 100 * load.rate / *report.offline_rate));
  }
  lines.emplace_back("measured",
                     fmt::format("{} requests in {:.1f} s, Poisson, over {} connections", load.sent,
                                 load.seconds, report.connections));
  lines.emplace_back(
      "in time", fmt::format("{:.0f} requests/s, {:.2f} % of all", per_second(load.in_time, load),
                             100 * share(load.in_time, load)));
  lines.emplace_back(
      "latency ms", fmt::format("p50 {:.3f}, p90 {:.3f}, p99 {:.3f}, max {:.3f}, from "
                                "the intended moment",
                                milliseconds(load.accepted, 0.5), milliseconds(load.accepted, 0.9),
                                milliseconds(load.accepted, 0.99), milliseconds(load.accepted, 1)));
  if (!load.refused.empty()) {
    lines.emplace_back("refused", fmt::format("{:.2f} %, p99 {:.3f} ms",
                                              100 * share(std::ssize(load.refused), load),
                                              milliseconds(load.refused, 0.99)));
  }
  if (load.failures > 0) {
    std::string statuses;
    for (const auto& [status, count] : load.statuses) {
      statuses += fmt::format(", {} x {}", count, status);
    }
    lines.emplace_back("failed", fmt::format("{}{}", load.failures, statuses));
  }
  lines.emplace_back(
      "generator",
      fmt::format("late by {:.3f} ms in one of a hundred, {:.3f} ms at "
                  "worst{}",
                  load.send_lag_p99 * 1e3, load.latest_send * 1e3,
                  report.is_worthless() ? ": TOO LATE, the numbers above are its own" : ""));
}

void describe_cost(const ServerBenchReport& report, std::vector<Line>& lines) {
  const ServerCost& cost = *report.cost;
  std::string parts;
  if (!std::isnan(cost.model_seconds)) {
    parts = fmt::format(": {:.1f} us in the model, {:.1f} us outside", cost.model_seconds * 1e6,
                        (cost.cpu_seconds - cost.model_seconds) * 1e6);
  }
  lines.emplace_back("processor time",
                     fmt::format("{:.1f} us a request{}", cost.cpu_seconds * 1e6, parts));
  lines.emplace_back("server MB", fmt::format("{:.1f} before, {:.1f} after", cost.memory_before_mb,
                                              cost.memory_after_mb));
  lines.emplace_back("server", fmt::format("ready after {:.0f} ms, ended with {}",
                                           report.common.load_ms, cost.end));
}

}  // namespace

std::string to_json(const ServerBenchReport& report) {
  rows::JsonWriter json;
  json.begin_object();
  write_common(report.common, json);
  json.key("deadline_ms").number(report.deadline_ms);
  json.key("connections").integer(report.connections);
  json.key("url");
  report.url.empty() ? json.null() : json.string(report.url);
  json.key("server_cpus").begin_array();
  if (report.url.empty()) {
    for (const int32_t cpu : report.server_cpus) json.integer(cpu);
  }
  json.end_array().key("client_cpu").integer(report.client_cpu);
  json.key("checked").string(report.checked);
  const double offline = report.offline_rate.value_or(kNone);
  json.key("offline_rows_per_s").number(offline);
  json.key("share_of_offline").number(report.load ? report.load->rate / offline : kNone);
  json.key("generator_too_late").boolean(report.is_worthless());
  if (report.load) {
    write_load(*report.load, json);
  } else {
    json.key("rate").integer(0);
  }
  if (report.cost) write_cost(*report.cost, json);
  write_tried(report.tried, json);
  json.end_object();
  return json.text() + "\n";
}

std::string describe(const ServerBenchReport& report) {
  const BenchReport& common = report.common;
  std::vector<Line> lines = {{"scenario", common.scenario}, {"task", common.task}};
  if (report.url.empty()) {
    lines.emplace_back(
        "runs with",
        fmt::format("{}, {}, {} {} on {}", common.precision, common.isa, common.replicas,
                    common.replicas == 1 ? "replica" : "replicas", list(report.server_cpus)));
    lines.emplace_back("processor", common.cpu);
  } else {
    lines.emplace_back("server at", report.url);
  }
  lines.emplace_back("generator on", std::to_string(report.client_cpu));
  lines.emplace_back("checked", report.checked);
  if (report.load) {
    describe_load(report, lines);
  } else {
    lines.emplace_back("highest rate",
                       fmt::format("none was found with P99 < {} ms", report.deadline_ms));
  }
  if (report.cost) describe_cost(report, lines);
  std::string text;
  for (const auto& [name, value] : lines) text += fmt::format("{:<16}{}\n", name, value);
  return text;
}

}  // namespace tilewise::cli
