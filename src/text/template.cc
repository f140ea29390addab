// Records to text.
#include <algorithm>

#include "text/input.h"

namespace tilewise::text {
namespace {

/// nullptr when the record does not have the field; of several with one name the last counts, as in
/// a JSON object.
template <class Fields>
auto find_field(const Fields& fields, const std::string& name) {
  const auto last = std::find_if(fields.rbegin(), fields.rend(),
                                 [&](const auto& field) { return field.name == name; });
  return last == fields.rend() ? nullptr : &last->value;
}

template <class Fields>
std::string names_of(const Fields& fields) {
  std::string names;
  for (const auto& field : fields) names.append(names.empty() ? "" : ", ").append(field.name);
  return names.empty() ? "no fields" : names;
}

/// `fields`: of model::Record, or a model::RecordView.
template <class Fields>
Status render_record(const model::InputTemplate& record_template, const Fields& fields,
                     std::string& out) {
  if (record_template.fields.empty()) {
    return invalid_input({.what = "The task has no template for records",
                          .where = {},
                          .expected = "plain text",
                          .found = "a record with " + names_of(fields),
                          .remedy = "give the text itself, or add a template to tasks.json"});
  }
  bool any = false;
  bool first = true;
  for (const model::InputTemplate::Field& field : record_template.fields) {
    const auto* value = find_field(fields, field.name);
    any |= value != nullptr;
    if (value == nullptr || value->empty()) continue;
    if (!first) out += record_template.separator;
    out += field.prefix;
    out += *value;
    first = false;
  }
  if (any) return {};
  return invalid_input({.what = "The record has none of the fields that the task reads",
                        .where = {},
                        .expected = "at least one of " + names_of(record_template.fields),
                        .found = names_of(fields),
                        .remedy = {}});
}

}  // namespace

Status render(const model::InputTemplate& record_template, const model::Content& content,
              std::string& out) {
  if (const auto* text = std::get_if<std::string>(&content)) {
    out += *text;
    return {};
  }
  return render_record(record_template, std::get<model::Record>(content).fields, out);
}

Status render(const model::InputTemplate& record_template, const model::ContentView& content,
              std::string& out) {
  if (const auto* text = std::get_if<std::string_view>(&content)) {
    out += *text;
    return {};
  }
  return render_record(record_template, std::get<model::RecordView>(content), out);
}

}  // namespace tilewise::text
