// What `tilewise top` shows: for people and as JSON.
#include <algorithm>
#include <cmath>
#include <string>
#include <vector>

#include <fmt/format.h>

#include "cli/top_report.h"
#include "rows/json_writer.h"

namespace tilewise::cli {
namespace {

constexpr int kReplicaColumns = 40;
constexpr int kBarColumns = 18;
constexpr int kNumberColumns = 8;
constexpr int kFewestNameColumns = 16;

// ---- numbers ----

/// "1,234", "12.3", "0.42"; "-" for what is not known.
std::string number(double value) {
  if (std::isnan(value)) return "-";
  if (value == 0) return "0";
  if (value < 9.995) return fmt::format("{:.2f}", value);
  if (value < 99.95) return fmt::format("{:.1f}", value);
  std::string digits = fmt::format("{:.0f}", value);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

/// Of what can be counted: "1,234", "7".
std::string count(double value) {
  return value < 99.5 ? fmt::format("{:.0f}", value) : number(value);
}

std::string milliseconds(double seconds) { return number(1e3 * seconds); }

std::string percent(double share) {
  return std::isnan(share) ? "-" : fmt::format("{:.0f} %", 100 * share);
}

/// "2 d 03:04:05", "1:02:03", "4:05"
std::string clock_time(double seconds) {
  const auto whole = static_cast<int64_t>(seconds);
  const std::string minutes = fmt::format("{:02}:{:02}", whole / 60 % 60, whole % 60);
  if (whole >= 86400) {
    return fmt::format("{} d {:02}:{}", whole / 86400, whole / 3600 % 24, minutes);
  }
  return whole >= 3600 ? fmt::format("{}:{}", whole / 3600, minutes) : minutes;
}

// ---- lines ----

/// Cut to so many characters, whole ones.
std::string fit(const std::string& text, int columns) {
  int characters = 0;
  for (size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) continue;
    if (++characters > columns) return text.substr(0, i);
  }
  return text;
}

/// To so many columns, with blanks or without what is too much.
std::string pad(const std::string& text, int columns) {
  std::string fitted = fit(text, columns);
  const auto characters = std::count_if(fitted.begin(), fitted.end(), [](char c) {
    return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
  });
  fitted.append(static_cast<size_t>(columns - characters), ' ');
  return fitted;
}

class Lines {
 public:
  explicit Lines(const Canvas& canvas) : canvas_(canvas) {}

  void add(const std::string& text) { put(text, ""); }
  void add_bold(const std::string& text) { put(text, "\033[1m"); }
  void add_empty() { put("", ""); }

  int left() const { return canvas_.rows > 0 ? std::max(0, canvas_.rows - count_) : 1 << 20; }
  const std::string& text() const { return text_; }

 private:
  void put(const std::string& text, const char* style) {
    if (left() == 0) return;
    ++count_;
    const bool is_styled = *style != '\0' && !canvas_.is_plain;
    if (is_styled) text_ += style;
    text_ += fit(text, canvas_.columns);
    if (is_styled) text_ += "\033[0m";
    text_ += '\n';
  }

  const Canvas& canvas_;
  int count_ = 0;
  std::string text_;
};

std::string refused(const TopReport& report) {
  std::string text;
  for (const auto& [reason, rate] : report.rejections) {
    text += fmt::format("{}{} {}/s", text.empty() ? "" : "   ", reason, number(rate));
  }
  return text.empty() ? "none" : text;
}

void add_totals(const TopReport& report, Lines& lines) {
  lines.add(fmt::format("requests    {}/s   p50 {} ms   p99 {} ms   failed {}/s",
                        number(report.rate), milliseconds(report.p50), milliseconds(report.p99),
                        number(report.failed_rate)));
  lines.add("refused     " + refused(report));
  lines.add(fmt::format("passes      {}/s   {} sequences   {} tokens   {} x the predicted time",
                        number(report.pass_rate), number(report.pass_sequences),
                        number(report.pass_tokens), number(report.prediction_ratio)));
  lines.add(fmt::format("backlog     {} ms   {} sequences wait", number(report.backlog_ms),
                        count(report.waiting_sequences)));
  lines.add(fmt::format("cache       {} of lookups   {} entries   {} MB",
                        percent(report.cache_share), count(report.cache_entries),
                        number(report.cache_bytes / 1e6)));
  lines.add(fmt::format("process     {} connections   {} MB   up {}", count(report.connections),
                        number(report.memory_bytes / 1e6), clock_time(report.up_seconds)));
}

void add_replicas(const TopReport& report, int columns, Lines& lines) {
  const auto a_line = static_cast<size_t>(std::max(1, columns / kReplicaColumns));
  std::string line;
  for (size_t i = 0; i < report.utilization.size(); ++i) {
    const double share = report.utilization[i];
    const int filled = static_cast<int>(std::lround(share * kBarColumns));
    line += pad(fmt::format("replica {:<3} [{:=<{}}{: <{}}] {:>5}", i, "", filled, "",
                            kBarColumns - filled, percent(share)),
                kReplicaColumns);
    if ((i + 1) % a_line != 0 && i + 1 < report.utilization.size()) continue;
    lines.add(line);
    line.clear();
  }
}

std::string name_of(const TaskReport& task) {
  if (task.model.empty()) return "(not served)";
  return task.task.empty() ? task.model : task.model + "." + task.task;
}

void add_tasks(const TopReport& report, int columns, Lines& lines) {
  const bool has_depth = std::ranges::any_of(
      report.tasks, [](const TaskReport& task) { return !std::isnan(task.depth); });
  const auto row = [&](const std::string& name, std::vector<std::string> cells) {
    if (!has_depth) cells.pop_back();
    const int numbers = static_cast<int>(cells.size()) * kNumberColumns;
    std::string line = pad(name, std::max(kFewestNameColumns, columns - numbers));
    for (const std::string& cell : cells) line += fmt::format("{:>{}}", cell, kNumberColumns);
    return line;
  };
  lines.add_bold(row(
      "task", {"req/s", "fail/s", "p50 ms", "p99 ms", "queue99", "pass99", "tokens", "layers"}));
  for (size_t i = 0; i < report.tasks.size(); ++i) {
    const size_t more = report.tasks.size() - i;
    if (lines.left() == 1 && more > 1) return lines.add(fmt::format("... {} more", more));
    const TaskReport& task = report.tasks[i];
    lines.add(row(name_of(task),
                  {number(task.rate), number(task.failed_rate), milliseconds(task.p50),
                   milliseconds(task.p99), milliseconds(task.queue_p99),
                   milliseconds(task.compute_p99), number(task.tokens), number(task.depth)}));
  }
}

/// null for what is not known.
void write_ms(rows::JsonWriter& json, const char* key, double seconds) {
  json.key(key).number(1e3 * seconds);
}

void write_task(rows::JsonWriter& json, const TaskReport& task) {
  json.begin_object().key("model").string(task.model).key("task").string(task.task);
  json.key("rate").number(task.rate).key("failed_rate").number(task.failed_rate);
  write_ms(json, "p50_ms", task.p50);
  write_ms(json, "p99_ms", task.p99);
  write_ms(json, "queue_p99_ms", task.queue_p99);
  write_ms(json, "compute_p99_ms", task.compute_p99);
  json.key("tokens").number(task.tokens).key("depth").number(task.depth).end_object();
}

}  // namespace

std::string picture(const TopReport& report, const std::string& address, const Canvas& canvas) {
  Lines lines(canvas);
  lines.add_bold(fmt::format("tilewise top   {}   {}   {}   {}", address,
                             report.is_ready ? "ready" : "NOT READY", report.version, report.isa));
  lines.add_empty();
  add_totals(report, lines);
  lines.add_empty();
  add_replicas(report, canvas.columns, lines);
  lines.add_empty();
  add_tasks(report, canvas.columns, lines);
  return lines.text();
}

std::string to_json(const TopReport& report) {
  rows::JsonWriter json;
  json.begin_object().key("ready").boolean(report.is_ready);
  json.key("version").string(report.version).key("isa").string(report.isa);
  json.key("up_seconds").number(report.up_seconds).key("seconds").number(report.seconds);
  json.key("rate").number(report.rate).key("failed_rate").number(report.failed_rate);
  write_ms(json, "p50_ms", report.p50);
  write_ms(json, "p99_ms", report.p99);
  json.key("rejections").begin_object();
  for (const auto& [reason, rate] : report.rejections) json.key(reason).number(rate);
  json.end_object().key("utilization").begin_array();
  for (const double share : report.utilization) json.number(share);
  json.end_array().key("backlog_ms").number(report.backlog_ms);
  json.key("waiting_sequences").number(report.waiting_sequences);
  json.key("pass_rate").number(report.pass_rate);
  json.key("pass_sequences").number(report.pass_sequences);
  json.key("pass_tokens").number(report.pass_tokens);
  json.key("prediction_ratio").number(report.prediction_ratio);
  json.key("cache_share").number(report.cache_share);
  json.key("cache_entries").number(report.cache_entries);
  json.key("cache_bytes").number(report.cache_bytes);
  json.key("connections").number(report.connections);
  json.key("memory_bytes").number(report.memory_bytes).key("tasks").begin_array();
  for (const TaskReport& task : report.tasks) write_task(json, task);
  json.end_array().end_object();
  return json.text() + "\n";
}

}  // namespace tilewise::cli
