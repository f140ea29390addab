#include "client/scrape.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>

namespace tilewise::client {
namespace {

constexpr std::string_view kNameCharacters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_:";

/// Reads one line from left to right.
class Line {
 public:
  explicit Line(std::string_view text) : rest_(text) {}

  void skip_blanks() {
    rest_.remove_prefix(std::min(rest_.find_first_not_of(" \t"), rest_.size()));
  }

  bool take(char c) {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }

  std::string_view name() {
    const std::string_view found =
        rest_.substr(0, std::min(rest_.find_first_not_of(kNameCharacters), rest_.size()));
    rest_.remove_prefix(found.size());
    return found;
  }

  /// "..." with its escapes.
  std::optional<std::string> quoted() {
    if (!take('"')) return std::nullopt;
    std::string text;
    while (!rest_.empty()) {
      char c = rest_.front();
      rest_.remove_prefix(1);
      if (c == '"') return text;
      if (c == '\\') {
        if (rest_.empty()) return std::nullopt;
        c = rest_.front() == 'n' ? '\n' : rest_.front();
        rest_.remove_prefix(1);
      }
      text += c;
    }
    return std::nullopt;
  }

  std::optional<double> number() {
    const std::string_view word =
        rest_.substr(0, std::min(rest_.find_first_of(" \t"), rest_.size()));
    rest_.remove_prefix(word.size());
    // from_chars knows "inf" and "nan" in any case, but no plus.
    const std::string_view digits = word.starts_with('+') ? word.substr(1) : word;
    double value = 0;
    const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    return value;
  }

 private:
  std::string_view rest_;
};

/// {a="b",...}
bool read_labels(Line& line, Series& series) {
  if (!line.take('{')) return true;
  while (!line.take('}')) {
    const std::string name(line.name());
    if (name.empty() || !line.take('=')) return false;
    auto value = line.quoted();
    if (!value) return false;
    series.labels.emplace_back(name, *std::move(value));
    line.take(',');
  }
  return true;
}

}  // namespace

std::string_view Series::label(std::string_view name) const {
  for (const auto& [key, text] : labels) {
    if (key == name) return text;
  }
  return {};
}

Result<Scrape> Scrape::parse(std::string_view text) {
  Scrape scrape;
  for (int64_t number = 1; !text.empty(); ++number) {
    const std::string_view content = text.substr(0, text.find('\n'));
    text.remove_prefix(std::min(text.size(), content.size() + 1));
    if (content.empty() || content.starts_with('#')) continue;
    Line line(content);
    Series series;
    const std::string name(line.name());
    const bool is_good = !name.empty() && read_labels(line, series);
    line.skip_blanks();
    const auto value = is_good ? line.number() : std::nullopt;
    if (!value) {
      return invalid_input({.what = "this is not Prometheus' text format",
                            .where = "line " + std::to_string(number),
                            .expected = "NAME{LABEL=\"VALUE\",...} NUMBER",
                            .found = std::string(content.substr(0, 80))});
    }
    series.value = *value;
    scrape.series_[name].push_back(std::move(series));
  }
  return scrape;
}

const std::vector<Series>& Scrape::series(std::string_view name) const {
  static const std::vector<Series> none;
  const auto found = series_.find(name);
  return found == series_.end() ? none : found->second;
}

double Scrape::sum(std::string_view name) const {
  return sum(name, [](const Series&) { return true; });
}

double Scrape::bound_of(const Series& series) {
  const std::string bound(series.label("le"));
  const auto value = Line(bound).number();
  return value ? *value : std::numeric_limits<double>::infinity();
}

Buckets difference(const Buckets& now, const Buckets& before) {
  Buckets between = now;
  for (auto& [bound, count] : between) {
    const auto earlier = before.find(bound);
    if (earlier == before.end()) continue;
    if (earlier->second > count) return now;
    count -= earlier->second;
  }
  return between;
}

double quantile(const Buckets& buckets, double share) {
  const double total = buckets.empty() ? 0 : buckets.rbegin()->second;
  if (!(total > 0)) return std::numeric_limits<double>::quiet_NaN();
  double lower = 0, below = 0;
  for (const auto& [bound, count] : buckets) {
    if (count >= share * total && count > below) {
      if (std::isinf(bound)) return lower;
      return lower + (bound - lower) * (share * total - below) / (count - below);
    }
    lower = bound;
    below = count;
  }
  return lower;
}

}  // namespace tilewise::client
