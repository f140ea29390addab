// Whose call this is: W3C Trace Context, level 1 (https://www.w3.org/TR/trace-context-1/).
#pragma once

#include <array>
#include <random>
#include <string>
#include <string_view>

namespace tilewise::server {

/// The part of a trace that one call to this server is. Plain data; allocates nothing.
class TraceContext {
 public:
  /// Goes on with the trace that a `traceparent` header names, or starts one where the header is
  /// empty or is not what the recommendation says. Either way the call gets a span of its own, of
  /// what `random` gives: ids need to differ, not to be secret.
  static TraceContext from(std::string_view traceparent, std::mt19937_64& random);

  /// 32 and 16 lower-case hexadecimal digits.
  std::string_view trace_id() const { return {trace_id_.data(), trace_id_.size()}; }
  std::string_view span_id() const { return {span_id_.data(), span_id_.size()}; }
  /// The caller's span; empty where the trace starts here.
  std::string_view parent_id() const {
    return {parent_id_.data(), has_parent_ ? parent_id_.size() : 0};
  }
  /// The caller may have recorded its part.
  bool is_sampled() const { return is_sampled_; }

  /// This call's span as the parent of what follows from it: "00-TRACE-SPAN-01".
  std::string traceparent() const;

 private:
  TraceContext() = default;

  std::array<char, 32> trace_id_{};
  std::array<char, 16> parent_id_{};
  std::array<char, 16> span_id_{};
  bool has_parent_ = false;
  bool is_sampled_ = false;
};

}  // namespace tilewise::server
