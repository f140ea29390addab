// Predictions -> lines of CSV. See ResultWriter for the columns.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "rows/writer.h"

namespace tilewise::rows {

void append_csv_header(std::span<const model::Task* const> tasks, const OutputOptions& options,
                       int32_t top, std::string& out);

void append_csv_answers(const std::string& row_id, std::span<const model::Task* const> tasks,
                        std::span<const model::Prediction> predictions,
                        const OutputOptions& options, int32_t top, std::string& out);

}  // namespace tilewise::rows
