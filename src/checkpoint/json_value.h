// JSON as plain values, so that only the parser's own file knows the library behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

#include "base/status.h"

namespace tilewise::checkpoint {

struct JsonValue {
  using Array = std::vector<JsonValue>;
  /// Sorted by key; of a key that is there twice the first one counts.
  using Object = std::vector<std::pair<std::string, JsonValue>>;
  std::variant<std::nullptr_t, bool, int64_t, double, std::string, Array, Object> value;

  template <class T>
  const T* get() const {
    return std::get_if<T>(&value);
  }
  /// The field of an object, in logarithmic time; nullptr where there is none, it is null, or this
  /// is no object.
  const JsonValue* find(std::string_view key) const;
  bool is_null() const { return value.index() == 0; }

  /// As JSON, cut to one short line; for messages.
  std::string text() const;
};

/// Errors: invalid_input naming `where` (not JSON, not UTF-8, a number that no double holds, nested
/// too deeply).
Result<JsonValue> parse_json(std::string_view text, const std::string& where);

/// The number under `key` at the top level of a JSON object, also one too large for any machine
/// integer, which a whole file must not fail for. nullopt where it is not there or the text is not
/// JSON.
std::optional<double> find_number(std::string_view text, std::string_view key);

}  // namespace tilewise::checkpoint
