// Cells of CSV (RFC 4180) and TSV.
#pragma once

#include <string>
#include <string_view>

namespace tilewise::rows {

/// Appends cells, and delimiters between them, to one text. Quotes stand where the text needs them.
class CsvWriter {
 public:
  CsvWriter(char delimiter, std::string& out) : delimiter_(delimiter), out_(out) {}

  void cell(std::string_view text);

  /// An id that is JSON text: a string loses its quotes and escapes.
  void id_cell(std::string_view json);

  /// The shortest text that reads back equal; empty for what is no number.
  void float_cell(float value);

  void flag_cell(bool value) { cell(value ? "true" : "false"); }

  void end_line();

 private:
  void separate();

  char delimiter_;
  std::string& out_;
  bool needs_delimiter_ = false;
};

}  // namespace tilewise::rows
