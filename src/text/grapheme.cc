#include "text/grapheme.h"

#include <algorithm>
#include <iterator>

#include <utf8proc.h>

#include "text/grapheme_differences.h"

namespace tilewise::text {
namespace {

using enum GraphemeClass;

bool is_control(GraphemeClass c) { return c == carriage_return || c == line_feed || c == control; }

bool is_extending(GraphemeClass c) {
  return c == extend || c == joiner || c == non_joiner || c == linker || c == spacing_mark;
}

/// The letters of a Hangul syllable follow each other as L* V* T* (GB6 to GB8).
bool is_hangul_pair(GraphemeClass last, GraphemeClass next) {
  switch (last) {
    case leading:
      return next == leading || next == vowel || next == syllable || next == closed_syllable;
    case vowel:
    case syllable:
      return next == vowel || next == trailing;
    case trailing:
    case closed_syllable:
      return next == trailing;
    default:
      return false;
  }
}

GraphemeClass class_of_utf8proc(uint32_t c) {
  switch (utf8proc_get_property(static_cast<utf8proc_int32_t>(c))->boundclass) {
    case UTF8PROC_BOUNDCLASS_CR:
      return carriage_return;
    case UTF8PROC_BOUNDCLASS_LF:
      return line_feed;
    case UTF8PROC_BOUNDCLASS_CONTROL:
      return control;
    case UTF8PROC_BOUNDCLASS_EXTEND:
      return extend;
    case UTF8PROC_BOUNDCLASS_ZWJ:
      return joiner;
    case UTF8PROC_BOUNDCLASS_SPACINGMARK:
      return spacing_mark;
    case UTF8PROC_BOUNDCLASS_PREPEND:
      return prepend;
    case UTF8PROC_BOUNDCLASS_L:
      return leading;
    case UTF8PROC_BOUNDCLASS_V:
      return vowel;
    case UTF8PROC_BOUNDCLASS_T:
      return trailing;
    case UTF8PROC_BOUNDCLASS_LV:
      return syllable;
    case UTF8PROC_BOUNDCLASS_LVT:
      return closed_syllable;
    case UTF8PROC_BOUNDCLASS_EXTENDED_PICTOGRAPHIC:
      return pictographic;
    default:
      return other;
  }
}

}  // namespace

GraphemeClass grapheme_class(uint32_t code_point) {
  const auto range =
      std::ranges::lower_bound(kGraphemeDifferences, code_point, {}, &GraphemeRange::last);
  if (range != std::end(kGraphemeDifferences) && range->first <= code_point) {
    return range->grapheme_class;
  }
  return class_of_utf8proc(code_point);
}

bool GraphemeCluster::joins(GraphemeClass next) const {
  if (last_ == carriage_return) return next == line_feed;               // GB3
  if (is_control(last_) || is_control(next)) return false;              // GB4, GB5
  if (is_extending(next) || last_ == prepend) return true;              // GB9, GB9a, GB9b
  if (next == consonant && conjunct_ == Conjunct::linked) return true;  // GB9c
  if (next == pictographic && is_joined_emoji_) return true;            // GB11
  return is_hangul_pair(last_, next);
}

void GraphemeCluster::take(GraphemeClass next) {
  last_ = next;
  is_joined_emoji_ = next == joiner && is_emoji_;
  is_emoji_ = next == pictographic ||
              (is_emoji_ && (next == extend || next == non_joiner || next == linker));
  if (next == consonant) {
    conjunct_ = Conjunct::consonant;
  } else if (next == linker && conjunct_ != Conjunct::none) {
    conjunct_ = Conjunct::linked;
  } else if (next != extend && next != joiner) {
    conjunct_ = Conjunct::none;
  }
}

}  // namespace tilewise::text
