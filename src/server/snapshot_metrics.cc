#include "server/snapshot_metrics.h"

#include <algorithm>
#include <fstream>
#include <initializer_list>
#include <string>
#include <utility>

#include <sys/resource.h>
#include <unistd.h>

namespace tilewise::server {
namespace {

using prometheus::ClientMetric;
using prometheus::MetricFamily;
using prometheus::MetricType;

constexpr Duration kWindow = std::chrono::seconds(1);

using LabelList = std::initializer_list<std::pair<const char*, std::string>>;

void add(MetricFamily& family, const LabelList& labels, double value) {
  ClientMetric metric;
  for (const auto& [name, text] : labels) metric.label.push_back({name, text});
  (family.type == MetricType::Counter ? metric.counter.value : metric.gauge.value) = value;
  family.metric.push_back(std::move(metric));
}

MetricFamily single(const char* name, const char* help, MetricType type, double value) {
  MetricFamily family{name, help, type, {}};
  add(family, {}, value);
  return family;
}

MetricFamily gauge(const char* name, const char* help, double value) {
  return single(name, help, MetricType::Gauge, value);
}

MetricFamily counter(const char* name, const char* help, double value) {
  return single(name, help, MetricType::Counter, value);
}

MetricFamily by_replica(const char* name, const char* help, MetricType type,
                        std::span<const double> values) {
  MetricFamily family{name, help, type, {}};
  for (size_t i = 0; i < values.size(); ++i) {
    add(family, {{"replica", std::to_string(i)}}, values[i]);
  }
  return family;
}

/// Seconds since 1970 at which this process began; 0 where Linux does not say.
double process_start() {
  // Field 22, counted behind the name, which may hold blanks and brackets itself.
  std::ifstream stat("/proc/self/stat");
  std::string text;
  std::getline(stat, text);
  const size_t name_end = text.rfind(')');
  if (name_end == std::string::npos) return 0;
  size_t at = name_end + 2;
  for (int field = 3; field < 22 && at != 0; ++field) at = text.find(' ', at) + 1;
  const double ticks = std::strtod(text.c_str() + at, nullptr);

  std::ifstream machine("/proc/stat");
  double boot = 0;
  for (std::string word; machine >> word;) {
    if (word == "btime" && machine >> boot) break;
  }
  return boot + ticks / static_cast<double>(sysconf(_SC_CLK_TCK));
}

double resident_bytes() {
  std::ifstream statm("/proc/self/statm");
  double total = 0, resident = 0;
  statm >> total >> resident;
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

double processor_seconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + 1e-6 * static_cast<double>(time.tv_usec);
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

void append_process(std::vector<MetricFamily>& families) {
  static const double start = process_start();
  families.push_back(gauge("process_start_time_seconds",
                           "Start time of the process since the Unix epoch in seconds.", start));
  families.push_back(
      gauge("process_resident_memory_bytes", "Resident memory size in bytes.", resident_bytes()));
  families.push_back(counter("process_cpu_seconds_total",
                             "Total user and system processor time spent in seconds.",
                             processor_seconds()));
}

void append_models(const Snapshot& snapshot, std::vector<MetricFamily>& families) {
  MetricFamily build{
      "tilewise_build_info", "Version, and what the kernels run with.", MetricType::Gauge, {}};
  add(build, {{"version", TILEWISE_VERSION}, {"isa", snapshot.isa}}, 1);
  families.push_back(std::move(build));
  MetricFamily ready{
      "tilewise_model_ready", "1 where the model answers requests.", MetricType::Gauge, {}};
  for (const Snapshot::Model& model : snapshot.models) {
    add(ready, {{"model", model.name}, {"version", model.version}}, model.is_ready ? 1 : 0);
  }
  families.push_back(std::move(ready));
}

}  // namespace

std::vector<double> Utilization::of(Time now, std::span<const double> busy_seconds) {
  const std::vector<double> busy(busy_seconds.begin(), busy_seconds.end());
  if (newer_.busy_seconds.size() != busy.size()) older_ = newer_ = {now, busy};
  if (now - newer_.time >= kWindow) older_ = std::exchange(newer_, {now, busy});
  std::vector<double> shares(busy.size(), 0.0);
  const double seconds = seconds_between(older_.time, now);
  if (seconds <= 0) return shares;
  for (size_t i = 0; i < busy.size(); ++i) {
    shares[i] = std::clamp((busy[i] - older_.busy_seconds[i]) / seconds, 0.0, 1.0);
  }
  return shares;
}

void append_snapshot(const Snapshot& snapshot, std::span<const double> utilization,
                     std::vector<MetricFamily>& families) {
  families.push_back(by_replica("tilewise_replica_busy_seconds_total",
                                "Time that a replica has spent in passes.", MetricType::Counter,
                                snapshot.busy_seconds));
  families.push_back(by_replica("tilewise_replica_utilization_ratio",
                                "Share of the last second or more that a replica spent in passes.",
                                MetricType::Gauge, utilization));
  families.push_back(gauge("tilewise_backlog_milliseconds",
                           "Predicted time until all replicas are idle if nothing more comes: the "
                           "signal to scale on.",
                           1e3 * snapshot.backlog.seconds));
  families.push_back(gauge("tilewise_waiting_sequences", "Sequences that wait for a pass.",
                           static_cast<double>(snapshot.backlog.sequences)));
  families.push_back(gauge("tilewise_waiting_tokens", "Tokens that wait for a pass.",
                           static_cast<double>(snapshot.backlog.tokens)));
  families.push_back(counter("tilewise_cache_hits_total",
                             "Inputs that the response cache had an answer for.",
                             static_cast<double>(snapshot.cache.hits)));
  families.push_back(counter("tilewise_cache_misses_total",
                             "Inputs that the response cache had no answer for.",
                             static_cast<double>(snapshot.cache.misses)));
  families.push_back(gauge("tilewise_cache_entries", "Answers in the response cache.",
                           static_cast<double>(snapshot.cache.entries)));
  families.push_back(gauge("tilewise_cache_bytes", "Memory that the response cache holds.",
                           static_cast<double>(snapshot.cache.bytes)));
  families.push_back(gauge("tilewise_ready",
                           "1 from the moment at which every replica is warm "
                           "until the server is asked to stop.",
                           snapshot.is_ready ? 1 : 0));
  append_models(snapshot, families);
  append_process(families);
}

}  // namespace tilewise::server
