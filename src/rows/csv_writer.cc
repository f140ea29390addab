#include "rows/csv_writer.h"

#include <cmath>

#include "rows/writer.h"

namespace tilewise::rows {
namespace {

/// Undoes append_json_string(): of \\u it writes control characters only.
std::string unescape(std::string_view json) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string text;
  for (size_t i = 1; i + 1 < json.size(); ++i) {
    if (json[i] != '\\') {
      text += json[i];
      continue;
    }
    switch (json[++i]) {
      case 'n':
        text += '\n';
        break;
      case 'r':
        text += '\r';
        break;
      case 't':
        text += '\t';
        break;
      case 'u':
        text += static_cast<char>(16 * digit(json[i + 3]) + digit(json[i + 4]));
        i += 4;
        break;
      default:
        text += json[i];
    }
  }
  return text;
}

}  // namespace

void CsvWriter::cell(std::string_view text) {
  separate();
  const char special[] = {delimiter_, '"', '\n', '\r'};
  if (text.find_first_of({special, sizeof special}) == text.npos) {
    out_ += text;
    return;
  }
  out_ += '"';
  for (const char c : text) {
    if (c == '"') out_ += '"';
    out_ += c;
  }
  out_ += '"';
}

void CsvWriter::id_cell(std::string_view json) {
  if (!json.starts_with('"')) {
    cell(json);
  } else if (json.find('\\') == json.npos) {
    cell(json.substr(1, json.size() - 2));
  } else {
    cell(unescape(json));
  }
}

void CsvWriter::float_cell(float value) {
  separate();
  if (std::isfinite(value)) append_float(value, out_);
}

void CsvWriter::end_line() {
  out_ += '\n';
  needs_delimiter_ = false;
}

void CsvWriter::separate() {
  if (needs_delimiter_) out_ += delimiter_;
  needs_delimiter_ = true;
}

}  // namespace tilewise::rows
