#include "cli/progress.h"

#include <algorithm>
#include <cstdio>

#include <fmt/format.h>
#include <unistd.h>

#include "base/log.h"

namespace tilewise::cli {
namespace {

// Seconds: before the first picture, and between pictures.
constexpr double kTerminalDelay = 0.7, kTerminalPeriod = 0.1;
constexpr double kLineDelay = 5, kLinePeriod = 5;
constexpr int kBarWidth = 24;
constexpr int64_t kReportedRows = 10;

double per_second(int64_t count, double seconds) {
  return seconds > 0 ? static_cast<double>(count) / seconds : 0;
}

/// "1,234,567"
std::string grouped(double value) {
  std::string digits = fmt::format("{:.0f}", value);
  for (auto at = static_cast<std::ptrdiff_t>(digits.size()) - 3; at > 0; at -= 3) {
    digits.insert(static_cast<size_t>(at), ",");
  }
  return digits;
}

std::string grouped(int64_t value) { return grouped(static_cast<double>(value)); }

/// "1:02:03", "4:05"
std::string clock_time(double seconds) {
  const auto whole = static_cast<int64_t>(seconds + 0.5);
  if (whole >= 3600)
    return fmt::format("{}:{:02}:{:02}", whole / 3600, whole / 60 % 60, whole % 60);
  return fmt::format("{}:{:02}", whole / 60, whole % 60);
}

std::string counts(const batch::Progress& progress) {
  std::string text = grouped(progress.rows) + " rows";
  if (progress.rejected > 0) text += " (" + grouped(progress.rejected) + " rejected)";
  return text;
}

std::string bar(double fraction) {
  const int filled = static_cast<int>(fraction * kBarWidth);
  return fmt::format("[{:=<{}}{: <{}}] {:3.0f} %  ", "", filled, "", kBarWidth - filled,
                     100 * fraction);
}

/// "[=====>     ]  42 %  1,234 rows, 567 rows/s, 0:12 left, 0.021 USD"; no bar where the end is not
/// known. While catalogues are read there are no rows yet.
std::string picture(const batch::Progress& progress, double fraction,
                    const std::optional<double>& price) {
  std::string text = fraction >= 0 ? bar(fraction) : "";
  if (progress.records > 0) {
    text += grouped(progress.records) + " records of the catalogue";
  } else {
    text += counts(progress) + ", " + grouped(rows_per_second(progress)) + " rows/s";
  }
  const double done = fraction - progress.resumed_fraction;  // in this run
  if (done > 0.01) text += ", " + clock_time(progress.seconds * (1 - fraction) / done) + " left";
  if (price) text += fmt::format(", {:.3g} USD", progress.seconds / 3600 * *price);
  return text;
}

}  // namespace

ProgressDisplay::ProgressDisplay(bool enabled, int64_t limit, std::optional<double> price)
    : enabled_(enabled),
      terminal_(isatty(STDERR_FILENO) == 1),
      limit_(limit),
      price_(price),
      next_seconds_(terminal_ ? kTerminalDelay : kLineDelay) {}

void ProgressDisplay::show(const batch::Progress& progress) {
  if (!enabled_ || progress.seconds < next_seconds_) return;
  next_seconds_ = progress.seconds + (terminal_ ? kTerminalPeriod : kLinePeriod);
  double fraction = progress.fraction;
  if (limit_ > 0) {
    fraction = std::max(fraction, static_cast<double>(progress.rows) / static_cast<double>(limit_));
  }
  const std::string text = picture(progress, std::min(fraction, 1.0), price_);
  if (!terminal_) return log_info(text);
  std::fputs(("\r\033[K" + text).c_str(), stderr);
  std::fflush(stderr);
  drawn_ = true;
}

void ProgressDisplay::clear() {
  if (!drawn_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  drawn_ = false;
}

void RejectionReport::add(const Status& rejected) {
  if (++count_ > kReportedRows + 1) return;
  display_.clear();
  log_warn(count_ <= kReportedRows ? "row rejected: " + rejected.message()
                                   : "further rejected rows are only counted");
}

void RejectionReport::finish() const {
  if (count_ > kReportedRows) log_warn(grouped(count_) + " rows were rejected in all");
}

std::string describe(const batch::Progress& progress) {
  std::string more;
  if (progress.resumed_rows > 0) more += ", " + grouped(progress.resumed_rows) + " by earlier runs";
  if (progress.reused > 0) more += ", " + grouped(progress.reused) + " scores taken";
  if (!more.empty()) more += ",";
  return counts(progress) + more +
         fmt::format(" in {:.2f} s: {} rows/s, {} tokens/s", progress.seconds,
                     grouped(rows_per_second(progress)),
                     grouped(per_second(progress.tokens, progress.seconds)));
}

double rows_per_second(const batch::Progress& progress) {
  return per_second(progress.rows - progress.resumed_rows, progress.seconds);
}

double cost_per_million(const batch::Progress& progress, double usd_per_hour) {
  const int64_t answered = progress.rows - progress.rejected - progress.resumed_rows;
  if (answered <= 0) return 0;
  return progress.seconds / 3600 * usd_per_hour / static_cast<double>(answered) * 1e6;
}

}  // namespace tilewise::cli
