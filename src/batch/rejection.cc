#include "batch/rejection.h"

#include "rows/json_writer.h"
#include "rows/repair.h"

namespace tilewise::batch {

void append_rejection(const rows::Position& position, std::string_view id, const Status& status,
                      std::string& out) {
  const Problem& problem = status.problem();
  rows::JsonWriter json;
  json.begin_object();
  const auto text = [&](const char* name, std::string_view value) {
    if (!value.empty()) json.key(name).string(rows::replace_invalid_utf8(value));
  };
  text("file", position.file);
  if (position.line > 0) json.key("line").integer(position.line);
  if (!id.empty()) json.key("id").json(id);
  text("what", problem.what);
  text("where", problem.where);
  text("expected", problem.expected);
  text("found", problem.found);
  text("remedy", problem.remedy);
  json.end_object();
  out += json.text();
  out += '\n';
}

Status at_row(const Status& status, const rows::Position& position) {
  Problem problem = status.problem();
  problem.where = rows::describe(position) + (problem.where.empty() ? "" : ", " + problem.where);
  return {status.code(), std::move(problem)};
}

}  // namespace tilewise::batch
