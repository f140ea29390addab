#include "server/exposition.h"

#include <algorithm>
#include <iterator>
#include <string_view>
#include <utility>

#include <prometheus/text_serializer.h>

namespace tilewise::server {
namespace {

// Histograms of thirty buckets take some 20 microseconds each.
constexpr size_t kPiece = 24;

/// Without the lines about the family, which stand only once.
std::string_view without_comments(std::string_view text) {
  while (text.starts_with('#')) text.remove_prefix(std::min(text.find('\n'), text.size() - 1) + 1);
  return text;
}

}  // namespace

prometheus::Family<prometheus::Counter>& FamilyList::counter(const char* name, const char* help) {
  auto& family = prometheus::BuildCounter().Name(name).Help(help).Register(registry_);
  all_.push_back(&family);
  return family;
}

prometheus::Family<prometheus::Gauge>& FamilyList::gauge(const char* name, const char* help) {
  auto& family = prometheus::BuildGauge().Name(name).Help(help).Register(registry_);
  all_.push_back(&family);
  return family;
}

prometheus::Family<prometheus::Histogram>& FamilyList::histogram(const char* name,
                                                                 const char* help) {
  auto& family = prometheus::BuildHistogram().Name(name).Help(help).Register(registry_);
  all_.push_back(&family);
  return family;
}

Exposition::Exposition(const FamilyList& list, std::vector<prometheus::MetricFamily> gauges)
    : list_(list), gauges_(std::move(gauges)) {}

/// The next family that has metrics.
bool Exposition::collect() {
  next_metric_ = 0;
  while (next_family_ < list_.all().size() + gauges_.size()) {
    const size_t index = next_family_++;
    if (index >= list_.all().size()) {
      current_ = std::move(gauges_[index - list_.all().size()]);
    } else {
      std::vector<prometheus::MetricFamily> collected = list_.all()[index]->Collect();
      current_ = collected.empty() ? prometheus::MetricFamily() : std::move(collected.front());
    }
    if (!current_.metric.empty()) return true;
  }
  current_ = {};
  return false;
}

bool Exposition::append(std::string& out) {
  if (next_metric_ >= current_.metric.size() && !collect()) return false;
  const size_t count = std::min(kPiece, current_.metric.size() - next_metric_);
  const auto first = current_.metric.begin() + static_cast<std::ptrdiff_t>(next_metric_);
  std::vector<prometheus::MetricFamily> piece(1);
  piece[0].name = current_.name;
  piece[0].help = current_.help;
  piece[0].type = current_.type;
  piece[0].metric.assign(std::make_move_iterator(first),
                         std::make_move_iterator(first + static_cast<std::ptrdiff_t>(count)));
  const std::string text = prometheus::TextSerializer().Serialize(piece);
  out += next_metric_ == 0 ? std::string_view(text) : without_comments(text);
  next_metric_ += count;
  return true;
}

}  // namespace tilewise::server
