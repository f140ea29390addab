#include "server/tei/any.h"

namespace tilewise::server::tei {
namespace {

Status look_at_inputs(JsonValue& value, Shape& shape) {
  json_type type{};
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  shape.has_inputs = true;
  if (type == json_type::string) shape.input = model::InputKind::text;
  if (type != json_type::object) return skip(value);
  shape.input = model::InputKind::text;
  return read_object(value, "inputs", [&](std::string_view name, JsonValue& member) {
    shape.has_sentences |= name == "source_sentence" || name == "sentences";
    return skip(member);
  });
}

}  // namespace

Status look_at(std::string_view body, JsonReader& reader, Shape& shape) {
  shape = {};
  return reader.read(body, [&](std::string_view name, JsonValue& value) -> Status {
    if (name == "inputs") return look_at_inputs(value, shape);
    if (name == "task") {
      std::string_view task;
      TILEWISE_RETURN_IF_ERROR(read_string(value, "task", task));
      shape.task = task;
      return {};
    }
    shape.has_texts |= name == "query" || name == "texts";
    const bool is_pair = name == "left" || name == "right";
    if (is_pair || name == "text") {
      shape.has_row = true;
      shape.input = is_pair ? model::InputKind::pair : model::InputKind::text;
    }
    return skip(value);
  });
}

}  // namespace tilewise::server::tei
