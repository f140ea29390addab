#include "rows/json_writer.h"

#include <cmath>
#include <iterator>

#include <fmt/format.h>

#include "rows/writer.h"

namespace tilewise::rows {

JsonWriter& JsonWriter::key(std::string_view name) {
  separate();
  rows::append_json_string(name, text_);
  text_ += ':';
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::string(std::string_view text) {
  separate();
  rows::append_json_string(text, text_);
  return *this;
}

JsonWriter& JsonWriter::integer(int64_t value) { return raw(std::to_string(value)); }

JsonWriter& JsonWriter::number(double value) {
  if (!std::isfinite(value)) return null();
  return raw(fmt::format("{:.6g}", value));
}

JsonWriter& JsonWriter::float32(float value) {
  separate();
  rows::append_float(value, text_);
  return *this;
}

JsonWriter& JsonWriter::open(char brace) {
  separate();
  text_ += brace;
  needs_comma_ = false;
  return *this;
}

JsonWriter& JsonWriter::close(char brace) {
  text_ += brace;
  needs_comma_ = true;
  return *this;
}

JsonWriter& JsonWriter::raw(std::string_view value) {
  separate();
  text_ += value;
  return *this;
}

void JsonWriter::separate() {
  if (needs_comma_) text_ += ',';
  needs_comma_ = true;
}

}  // namespace tilewise::rows
