// Makes text that a program wrote carelessly readable as JSON: bad bytes and lone surrogates become
// U+FFFD.
#pragma once

#include <span>
#include <string>
#include <string_view>

namespace tilewise::rows {

/// Valid UTF-8: each maximal part of a broken sequence becomes one U+FFFD (Unicode 15, section 3.9,
/// "U+FFFD Substitution of Maximal Subparts"), as Python's decode(errors="replace") does.
std::string replace_invalid_utf8(std::string_view text);

/// Rewrites, in place, each escape \uD800..\uDFFF that is not half of a pair as \ufffd. RFC 8259
/// lets them through, UTF-8 cannot express them.
void replace_lone_surrogates(std::span<char> json);

}  // namespace tilewise::rows
