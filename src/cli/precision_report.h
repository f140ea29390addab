// Which linear layer runs in what, and what that costs: for `compile` and `inspect`.
#pragma once

#include <string>
#include <vector>

#include "artifact/metadata.h"
#include "rows/json_writer.h"

namespace tilewise::cli {

/// A few lines, without line ends: the totals, a table of the layers, and what calibrated them.
/// Empty for models of another precision.
std::vector<std::string> describe_int8(const artifact::Metadata& metadata);

/// The same as the keys int8_share, linears and calibration of an object that is open; null and
/// empty arrays for models of another precision.
void write_int8(const artifact::Metadata& metadata, rows::JsonWriter& json);

}  // namespace tilewise::cli
