// What in a product's text is likely to be a model or part number.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace tilewise::blocking {

/// Appends the model numbers of `text` to `out`, in lower case and without what joins their parts:
/// "DCS-2332L" and "dcs2332l" are the same. A word (letters and digits of ASCII, joined by - / . _)
/// is one when it has four characters or more and both letters and digits, or is a number of six
/// digits or more without a point in it; so is each of its parts. One that stands twice comes
/// twice.
void append_model_numbers(std::string_view text, std::vector<std::string>& out);

/// Letters and digits in lower case, all else gone: "Hewlett-Packard " is "hewlettpackard". Bytes
/// of other alphabets stay as they are.
std::string normalized(std::string_view text);

}  // namespace tilewise::blocking
