// What one line holds, in whatever format, before it is known whether that is enough for a row.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/row.h"
#include "model/task.h"
#include "rows/reader.h"

namespace tilewise::rows {

/// Why a line was refused; nullopt: it was not. Where it stands is added at the end.
using Complaint = std::optional<Problem>;

struct RowParts {
  std::string id;  ///< JSON text; empty: none
  std::optional<model::Content> text, left, right;
};

/// A field that a line lacks; `found` is what it has.
Complaint missing_field(std::string_view name, std::string found);

/// Moves the parts into the row's input. Without a kind what has a side is a pair. What the line
/// has instead of what it lacks is left for the caller to say.
Complaint assemble(RowParts& parts, std::optional<model::InputKind> kind, model::Input& input);

/// "LEFT~RIGHT" in quotes.
void set_default_id(IdPair& pair);

/// Collects the names of fields for a message, as many as are worth reading.
class NameList {
 public:
  void clear() { text_.clear(); }
  void add(std::string_view name);
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace tilewise::rows
