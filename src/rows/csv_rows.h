// Records of CSV -> rows, id pairs and records of catalogues. See RowParser for what columns mean.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/row.h"
#include "rows/csv.h"
#include "rows/row_parts.h"

namespace tilewise::rows {

Complaint read_csv_row(std::string_view record, const CsvHeader& header,
                       std::optional<model::InputKind> kind, RowParts& parts);

Complaint read_csv_id_pair(std::string_view record, const CsvHeader& header, IdPair& pair);

Complaint read_csv_record(std::string_view record, const CsvHeader& header, CatalogRecord& entry);

/// What a row of that file may have, for messages.
std::string present(const CsvHeader& header);

}  // namespace tilewise::rows
