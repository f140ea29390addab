// Lines of JSON -> rows, id pairs and records of catalogues. See RowParser for what is taken.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

#include "model/row.h"
#include "rows/row_parts.h"

namespace tilewise::rows {

/// Owns the parser's memory. Not thread-safe.
class JsonRows {
 public:
  Complaint read_row(std::string_view line, std::optional<model::InputKind> kind, RowParts& parts);
  Complaint read_id_pair(std::string_view line, IdPair& pair);
  Complaint read_record(std::string_view line, CatalogRecord& entry);

  /// See RowParser::parse_content.
  Complaint read_content(std::string_view text, std::string_view name, model::Content& content);

  /// The fields of the last line as far as it was read, for messages.
  std::string present() const;

  /// What a single long line needed goes.
  void give_back_memory();

 private:
  Complaint open(std::string_view line, simdjson::ondemand::document& document);
  template <class Use>
  Complaint for_each_member(std::string_view line, Use use);

  simdjson::ondemand::parser parser_;
  std::vector<char> bytes_;  // the line and simdjson's padding
  NameList names_;
};

}  // namespace tilewise::rows
