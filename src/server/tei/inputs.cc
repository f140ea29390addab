#include "server/tei/inputs.h"

#include <limits>
#include <string>
#include <utility>

namespace tilewise::server {
namespace {

Status mixed(const std::string& where) {
  return invalid_argument({.what = "Texts and token ids cannot be mixed in one request",
                           .where = where,
                           .remedy = "Send them in two requests"});
}

Status read_id(JsonValue& value, const std::string& where, std::vector<int32_t>& ids) {
  int64_t id = 0;
  TILEWISE_RETURN_IF_ERROR(read_integer(value, where, 0, std::numeric_limits<int32_t>::max(), id));
  ids.push_back(static_cast<int32_t>(id));
  return {};
}

}  // namespace

std::string place(std::string_view name, size_t index) {
  return std::string(name) + "[" + std::to_string(index) + "]";
}

Status read_ids(JsonValue& value, const std::string& where, std::vector<int32_t>& ids) {
  ids.clear();
  return read_array(value, where, [&](size_t, JsonValue& id) { return read_id(id, where, ids); });
}

Status read_texts_or_ids(JsonReader& reader, JsonValue& value, std::string_view where,
                         std::vector<model::Input>& texts, std::vector<engine::TokenInput>& ids) {
  texts.clear();
  ids.clear();
  const auto read_text = [&](JsonValue& text, const std::string& at) {
    return reader.read_content(text, at, std::get<model::TextInput>(texts.emplace_back()).text);
  };
  json_type type{};
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  if (type == json_type::string || type == json_type::object) {
    return read_text(value, std::string(where));
  }
  if (type != json_type::array) return wrong_type(std::string(where), "a string or an array", type);

  std::optional<json_type> first;  // what it is an array of
  return read_array(value, {}, [&](size_t index, JsonValue& element) -> Status {
    json_type kind{};
    TILEWISE_RETURN_IF_MALFORMED(element.type().get(kind));
    if (kind == json_type::object) kind = json_type::string;
    if (first.value_or(kind) != kind) return mixed(place(where, index));
    first = kind;
    switch (kind) {
      case json_type::number:  // one input: its ids
        if (ids.empty()) ids.emplace_back();
        return read_id(element, std::string(where), ids.back().ids);
      case json_type::array:
        return read_ids(element, place(where, index), ids.emplace_back().ids);
      default:
        return read_text(element, place(where, index));
    }
  });
}

}  // namespace tilewise::server
