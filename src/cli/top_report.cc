#include "cli/top_report.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <limits>
#include <set>

namespace tilewise::cli {
namespace {

using client::Scrape;
using client::Series;

/// Differences of counters between two looks.
class Between {
 public:
  Between(const Sample& before, const Sample& now) : before_(before), now_(now) {}

  double seconds() const { return now_.seconds - before_.seconds; }

  /// A server that was started anew counts from 0.
  template <class Takes>
  double count(std::string_view name, const Takes& takes) const {
    const double now = now_.scrape.sum(name, takes), before = before_.scrape.sum(name, takes);
    return now < before ? now : now - before;
  }
  double count(std::string_view name) const {
    return count(name, [](const Series&) { return true; });
  }

  template <class Takes>
  double rate(std::string_view name, const Takes& takes) const {
    return seconds() > 0 ? count(name, takes) / seconds() : 0;
  }
  double rate(std::string_view name) const {
    return rate(name, [](const Series&) { return true; });
  }

  template <class Takes>
  double quantile(std::string_view name, double share, const Takes& takes) const {
    return client::quantile(
        client::difference(now_.scrape.buckets(name, takes), before_.scrape.buckets(name, takes)),
        share);
  }

 private:
  const Sample& before_;
  const Sample& now_;
};

double ratio(double part, double whole) {
  return whole > 0 ? part / whole : std::numeric_limits<double>::quiet_NaN();
}

bool is_ok(const Series& series) { return series.label("code") == "ok"; }

TaskReport compare_task(const Between& between, const std::string& model, const std::string& task) {
  const auto is_ours = [&](const Series& one) {
    return one.label("model") == model && one.label("task") == task;
  };
  const auto p99 = [&](std::string_view name) { return between.quantile(name, 0.99, is_ours); };
  constexpr std::string_view kRequests = "tilewise_requests_total";
  return {.model = model,
          .task = task,
          .rate = between.rate(kRequests,
                               [&](const Series& one) { return is_ours(one) && is_ok(one); }),
          .failed_rate = between.rate(
              kRequests, [&](const Series& one) { return is_ours(one) && !is_ok(one); }),
          .tokens = ratio(between.count("tilewise_request_tokens_sum", is_ours),
                          between.count("tilewise_request_tokens_count", is_ours)),
          .depth = ratio(between.count("tilewise_depth_layers_total", is_ours),
                         between.count("tilewise_depth_answers_total", is_ours)),
          .p50 = between.quantile("tilewise_request_duration_seconds", 0.5, is_ours),
          .p99 = p99("tilewise_request_duration_seconds"),
          .queue_p99 = p99("tilewise_request_queue_seconds"),
          .compute_p99 = p99("tilewise_request_compute_seconds")};
}

std::vector<TaskReport> compare_tasks(const Between& between, const Scrape& now) {
  std::set<std::pair<std::string, std::string>> names;
  for (const Series& one : now.series("tilewise_requests_total")) {
    names.emplace(one.label("model"), one.label("task"));
  }
  std::vector<TaskReport> tasks;
  for (const auto& [model, task] : names) tasks.push_back(compare_task(between, model, task));
  return tasks;
}

std::vector<double> compare_replicas(const Between& between, const Scrape& now) {
  constexpr std::string_view kBusy = "tilewise_replica_busy_seconds_total";
  std::vector<double> shares(now.series(kBusy).size());
  for (size_t i = 0; i < shares.size(); ++i) {
    const std::string replica = std::to_string(i);
    shares[i] = std::clamp(
        between.rate(kBusy, [&](const Series& one) { return one.label("replica") == replica; }),
        0.0, 1.0);
  }
  return shares;
}

std::vector<std::pair<std::string, double>> compare_rejections(const Between& between,
                                                               const Scrape& now) {
  std::vector<std::pair<std::string, double>> rejections;
  for (const Series& one : now.series("tilewise_rejections_total")) {
    const std::string reason(one.label("reason"));
    const double rate = between.rate("tilewise_rejections_total", [&](const Series& other) {
      return other.label("reason") == reason;
    });
    if (rate > 0) rejections.emplace_back(reason, rate);
  }
  std::sort(rejections.begin(), rejections.end());
  return rejections;
}

double up_seconds(const Scrape& now) {
  const double start = now.sum("process_start_time_seconds");
  const auto since_1970 = std::chrono::system_clock::now().time_since_epoch();
  const double up = std::chrono::duration<double>(since_1970).count() - start;
  return start > 0 ? std::max(0.0, up) : 0;
}

}  // namespace

TopReport compare(const Sample& before, const Sample& now) {
  const Between between(before, now);
  const Scrape& scrape = now.scrape;
  const auto all = [](const Series&) { return true; };
  TopReport report;
  report.is_ready = scrape.sum("tilewise_ready") > 0;
  for (const Series& build : scrape.series("tilewise_build_info")) {
    report.version = build.label("version");
    report.isa = build.label("isa");
  }
  report.up_seconds = up_seconds(scrape);
  report.seconds = between.seconds();
  report.rate = between.rate("tilewise_requests_total", is_ok);
  report.failed_rate =
      between.rate("tilewise_requests_total", [](const Series& one) { return !is_ok(one); });
  report.p50 = between.quantile("tilewise_request_duration_seconds", 0.5, all);
  report.p99 = between.quantile("tilewise_request_duration_seconds", 0.99, all);
  report.rejections = compare_rejections(between, scrape);
  report.utilization = compare_replicas(between, scrape);
  report.backlog_ms = scrape.sum("tilewise_backlog_milliseconds");
  report.waiting_sequences = scrape.sum("tilewise_waiting_sequences");
  const double passes = between.count("tilewise_pass_sequences_count");
  report.pass_rate = between.rate("tilewise_pass_sequences_count");
  report.pass_sequences = ratio(between.count("tilewise_pass_sequences_sum"), passes);
  report.pass_tokens = ratio(between.count("tilewise_pass_tokens_sum"), passes);
  report.prediction_ratio = ratio(between.count("tilewise_pass_duration_seconds_sum"),
                                  between.count("tilewise_pass_predicted_seconds_total"));
  const double hits = between.count("tilewise_cache_hits_total");
  report.cache_share = ratio(hits, hits + between.count("tilewise_cache_misses_total"));
  report.cache_entries = scrape.sum("tilewise_cache_entries");
  report.cache_bytes = scrape.sum("tilewise_cache_bytes");
  report.connections = scrape.sum("tilewise_http_connections");
  report.memory_bytes = scrape.sum("process_resident_memory_bytes");
  report.tasks = compare_tasks(between, scrape);
  return report;
}

}  // namespace tilewise::cli
