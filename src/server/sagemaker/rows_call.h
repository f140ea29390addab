// POST /invocations with rows: what `tilewise predict` reads and writes, in an HTTP body.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/repository.h"
#include "engine/request.h"
#include "model/row.h"
#include "model/task.h"

namespace tilewise::server::sagemaker {

/// How a body is to be read. SageMaker passes Content-Type on as its client gave it.
enum class BodyFormat : uint8_t { json, json_lines, other };
BodyFormat body_format(std::string_view content_type);

/// The value of `name` in "name=value;name=value", as X-Amzn-SageMaker-Custom-Attributes carries
/// it; empty where it is not there.
std::string_view attribute(std::string_view attributes, std::string_view name);

/// A line of the body, or why it is none.
struct ParsedRow {
  Status status;
  model::Row row;  ///< where there is no row, with the number of its line as id
};

/// A body that is one row, over however many lines.
ParsedRow parse_row(std::string_view body, model::InputKind kind);

/// The rows of a body, in order; empty lines are passed over but counted.
std::vector<ParsedRow> parse_rows(std::string_view body, model::InputKind kind);

struct RowOptions {
  int32_t top = 1;
  bool logits = false;
};

/// The rows that could be read are the inputs of `request`, of which a bad one costs only itself.
void fill_inputs(const std::vector<ParsedRow>& rows, engine::Request& request);

/// Appends a line a row to what `request` has answered: a prediction, or {"id","error"}.
void append_rows(const std::vector<ParsedRow>& rows, const RowOptions& options,
                 const engine::Request& request, std::string& out);

}  // namespace tilewise::server::sagemaker
