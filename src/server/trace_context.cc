#include "server/trace_context.h"

#include <algorithm>
#include <cstdint>
#include <span>

namespace tilewise::server {
namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

// VERSION "-" TRACE-ID "-" PARENT-ID "-" FLAGS
constexpr size_t kTraceAt = 3, kParentAt = 36, kFlagsAt = 53, kLength = 55;

bool is_hex(std::string_view text) {
  return text.find_first_not_of(kDigits) == std::string_view::npos;
}

bool is_zero(std::string_view text) {
  return text.find_first_not_of('0') == std::string_view::npos;
}

/// What a later version adds stands after a dash; ours has nothing there.
bool is_valid(std::string_view header) {
  if (header.size() < kLength) return false;
  for (const size_t dash : {kTraceAt - 1, kParentAt - 1, kFlagsAt - 1}) {
    if (header[dash] != '-') return false;
  }
  const std::string_view version = header.substr(0, 2);
  if (!is_hex(version) || version == "ff") return false;
  if (header.size() > kLength && (version == "00" || header[kLength] != '-')) return false;
  const std::string_view trace = header.substr(kTraceAt, 32), parent = header.substr(kParentAt, 16);
  return is_hex(trace) && !is_zero(trace) && is_hex(parent) && !is_zero(parent) &&
         is_hex(header.substr(kFlagsAt, 2));
}

/// Whole words of 16 digits; zero is no id.
void fill_random(std::span<char> id, std::mt19937_64& random) {
  for (size_t word = 0; word < id.size(); word += 16) {
    uint64_t bits = 0;
    while (bits == 0) bits = random();
    for (size_t i = 0; i < 16; ++i, bits >>= 4) id[word + i] = kDigits[bits & 15];
  }
}

}  // namespace

TraceContext TraceContext::from(std::string_view traceparent, std::mt19937_64& random) {
  TraceContext context;
  fill_random(context.span_id_, random);
  if (!is_valid(traceparent)) {
    fill_random(context.trace_id_, random);
    return context;
  }
  std::ranges::copy(traceparent.substr(kTraceAt, 32), context.trace_id_.begin());
  std::ranges::copy(traceparent.substr(kParentAt, 16), context.parent_id_.begin());
  context.has_parent_ = true;
  context.is_sampled_ = (kDigits.find(traceparent[kFlagsAt + 1]) & 1) != 0;
  return context;
}

std::string TraceContext::traceparent() const {
  std::string text = "00-";
  text.append(trace_id()).append("-").append(span_id()).append(is_sampled_ ? "-01" : "-00");
  return text;
}

}  // namespace tilewise::server
