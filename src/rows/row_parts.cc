#include "rows/row_parts.h"

#include <utility>

#include "rows/writer.h"

namespace tilewise::rows {

Complaint missing_field(std::string_view name, std::string found) {
  return Problem{.what = "the row lacks a field",
                 .expected = "\"" + std::string(name) + "\"",
                 .found = std::move(found)};
}

Complaint assemble(RowParts& parts, std::optional<model::InputKind> kind, model::Input& input) {
  if (!kind && !parts.text && !parts.left && !parts.right)
    return missing_field("text\", or \"left\" and \"right", "");
  const bool pair = kind ? *kind == model::InputKind::pair : parts.left || parts.right;
  if (!pair) {
    if (!parts.text) return missing_field("text", "");
    input = model::TextInput{std::move(*parts.text)};
    return std::nullopt;
  }
  if (!parts.left) return missing_field("left", "");
  if (!parts.right) return missing_field("right", "");
  input = model::PairInput{std::move(*parts.left), std::move(*parts.right)};
  return std::nullopt;
}

void set_default_id(IdPair& pair) {
  const std::string text = pair.left + "~" + pair.right;
  pair.id.clear();
  append_json_string(text, pair.id);
}

void NameList::add(std::string_view name) {
  constexpr size_t kShown = 120;
  if (text_.size() > kShown) return;
  if (!text_.empty()) text_ += ", ";
  text_ += text_.size() + name.size() > kShown ? std::string_view("...") : name;
}

}  // namespace tilewise::rows
