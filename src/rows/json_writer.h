// Writes one JSON value into a string.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace tilewise::rows {

/// Commas and quotes are seen to; that braces match and that keys stand only in objects is the
/// caller's part. Every call returns *this.
class JsonWriter {
 public:
  JsonWriter& begin_object() { return open('{'); }
  JsonWriter& end_object() { return close('}'); }
  JsonWriter& begin_array() { return open('['); }
  JsonWriter& end_array() { return close(']'); }
  JsonWriter& key(std::string_view name);

  JsonWriter& string(std::string_view text);
  JsonWriter& integer(int64_t value);
  JsonWriter& number(
      double value);  ///< six significant digits, for what was measured; null for NaN
  JsonWriter& float32(float value);  ///< the shortest text that reads back equal
  JsonWriter& boolean(bool value) { return raw(value ? "true" : "false"); }
  JsonWriter& null() { return raw("null"); }
  JsonWriter& json(std::string_view text) { return raw(text); }  ///< a value that is JSON already

  const std::string& text() const { return text_; }

 private:
  JsonWriter& open(char brace);
  JsonWriter& close(char brace);
  JsonWriter& raw(std::string_view value);
  void separate();

  std::string text_;
  bool needs_comma_ = false;
};

}  // namespace tilewise::rows
