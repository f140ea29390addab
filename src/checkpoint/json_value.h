// JSON as plain values, so that only the parser's own file knows the library behind it.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace tilewise::checkpoint {

class JsonValue {
 public:
  enum class Type { null, boolean, integer, number, string, array, object };

  JsonValue() = default;
  explicit JsonValue(bool flag) : type_(Type::boolean), boolean_(flag) {}
  explicit JsonValue(int64_t integer) : type_(Type::integer), integer_(integer) {}
  explicit JsonValue(double number) : type_(Type::number), number_(number) {}
  explicit JsonValue(std::string string) : type_(Type::string), string_(std::move(string)) {}
  explicit JsonValue(std::vector<JsonValue> items) : type_(Type::array), items_(std::move(items)) {}
  /// An object. Of a key that is there twice the first one counts.
  JsonValue(std::vector<std::string> keys, std::vector<JsonValue> values);

  Type type() const { return type_; }
  bool is_object() const { return type_ == Type::object; }
  /// nullptr where the value is of another type.
  const bool* as_boolean() const { return type_ == Type::boolean ? &boolean_ : nullptr; }
  const int64_t* as_integer() const { return type_ == Type::integer ? &integer_ : nullptr; }
  const double* as_number() const { return type_ == Type::number ? &number_ : nullptr; }
  const std::string* as_string() const { return type_ == Type::string ? &string_ : nullptr; }
  const std::vector<JsonValue>* as_array() const {
    return type_ == Type::array ? &items_ : nullptr;
  }

  /// The field of an object, in logarithmic time; nullptr where there is none, it is null, or this
  /// is no object.
  const JsonValue* find(std::string_view key) const;
  /// The keys of an object in ascending order, and its values in the same order.
  const std::vector<std::string>& keys() const { return keys_; }
  const std::vector<JsonValue>& values() const { return items_; }

  /// As JSON, cut to one short line; for messages.
  std::string text() const;

 private:
  Type type_ = Type::null;
  bool boolean_ = false;
  int64_t integer_ = 0;
  double number_ = 0;
  std::string string_;
  std::vector<JsonValue> items_;   // elements of an array, values of an object
  std::vector<std::string> keys_;  // of an object
};

/// Errors: invalid_input naming `where` (not JSON, not UTF-8, a number that no double holds, nested
/// too deeply).
Result<JsonValue> parse_json(std::string_view text, const std::string& where);

/// The number under `key` at the top level of a JSON object, also one too large for any machine
/// integer, which a whole file must not fail for. nullopt where it is not there or the text is not
/// JSON.
std::optional<double> find_number(std::string_view text, std::string_view key);

}  // namespace tilewise::checkpoint
