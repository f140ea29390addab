#include "calibration.h"

#include <optional>

#include "errors.h"

namespace tilewise::python {
namespace {

/// A row of a column; nullopt where it has no text.
std::optional<Content> content_of(const Column& column, int64_t row) {
  if (const auto* texts = std::get_if<StringColumn>(&column.content)) {
    if (!texts->has(row)) return std::nullopt;
    return std::string((*texts)[row]);
  }
  Record record;
  for (const RecordColumn::Field& field : std::get<RecordColumn>(column.content).fields) {
    if (field.values.has(row)) record.emplace_back(field.name, field.values[row]);
  }
  return record;
}

}  // namespace

Calibration calibration_of(const std::string& task, const Column& left, const Column* right) {
  if (right != nullptr && right->rows() != left.rows()) {
    raise(Status(StatusCode::invalid_argument,
                 {.what = "The two sides of the pairs have not the same number of rows",
                  .where = "calibration, " + task,
                  .expected = std::to_string(left.rows()),
                  .found = std::to_string(right->rows())}));
  }
  Calibration rows{task, {}, {}};
  for (int64_t row = 0; row < left.rows(); ++row) {
    auto first = content_of(left, row);
    if (!first) continue;
    if (right == nullptr) {
      rows.texts.push_back(*std::move(first));
    } else if (auto second = content_of(*right, row)) {
      rows.pairs.push_back({*std::move(first), *std::move(second)});
    }
  }
  return rows;
}

}  // namespace tilewise::python
