// Why a row has no answer, for people and for programs.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "rows/reader.h"

namespace tilewise::batch {

/// Appends {"file","line","id"?,"what","where","expected","found","remedy"} with a line end; what
/// is not known is left out. `id`: JSON text, or empty.
void append_rejection(const rows::Position& position, std::string_view id, const Status& status,
                      std::string& out);

/// The place of the row before that of the problem.
Status at_row(const Status& status, const rows::Position& position);

}  // namespace tilewise::batch
