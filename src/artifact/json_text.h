// Strings and numbers as canonical JSON has them (FORMAT.md, "Metadata"). Private to this folder.
#pragma once

#include <string>
#include <string_view>

namespace tilewise::artifact {

/// A JSON string, with its quotes, of valid UTF-8.
std::string json_text(std::string_view text);

/// A JSON number: the shortest text that reads back as `value`, which is finite.
std::string json_number(float value);

}  // namespace tilewise::artifact
