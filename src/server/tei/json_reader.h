// Reads the JSON body of a request, member by member, with an error that names the place. Of TEI,
// OpenAI and SageMaker.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

#include "base/status.h"
#include "model/row.h"
#include "rows/reader.h"

namespace tilewise::server {

using JsonValue = simdjson::ondemand::value;
using simdjson::ondemand::json_type;

/// invalid_argument for a body that is no JSON.
Status malformed(simdjson::error_code error);
/// invalid_argument for a value of another type than `expected`.
Status wrong_type(const std::string& where, std::string_view expected, json_type found);

#define TILEWISE_RETURN_IF_MALFORMED(expression)                 \
  if (const simdjson::error_code tilewise_error_ = (expression); \
      tilewise_error_ != simdjson::SUCCESS)                      \
  return ::tilewise::server::malformed(tilewise_error_)

/// Each of these reads one value to its end. `where` names it in errors: "inputs[3]".
Status read_string(JsonValue& value, const std::string& where, std::string_view& text);
Status read_boolean(JsonValue& value, const std::string& where, bool& truth);
/// Within [least, most].
Status read_integer(JsonValue& value, const std::string& where, int64_t least, int64_t most,
                    int64_t& number);
Status read_number(JsonValue& value, double& number);
/// A value that is not wanted; it must be valid all the same.
Status skip(JsonValue& value, int depth = 0);

/// Null counts as a member that is not there: it is read, and the result is true.
Status read_null(JsonValue& value, bool& is_null);

/// on_member(name, value) -> Status for each member that is not null. What it gets is valid until
/// it returns.
template <class OnMember>
Status read_members(simdjson::ondemand::object object, OnMember&& on_member) {
  for (auto member : object) {
    simdjson::ondemand::field field;
    std::string_view name;
    bool is_null = false;
    TILEWISE_RETURN_IF_MALFORMED(std::move(member).get(field));
    TILEWISE_RETURN_IF_MALFORMED(field.unescaped_key().get(name));
    TILEWISE_RETURN_IF_ERROR(read_null(field.value(), is_null));
    if (!is_null) TILEWISE_RETURN_IF_ERROR(on_member(name, field.value()));
  }
  return {};
}

template <class OnMember>
Status read_object(JsonValue& value, const std::string& where, OnMember&& on_member) {
  json_type type{};
  simdjson::ondemand::object object;
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  if (type != json_type::object) return wrong_type(where, "an object", type);
  TILEWISE_RETURN_IF_MALFORMED(value.get_object().get(object));
  return read_members(object, on_member);
}

/// on_element(index, value) -> Status.
template <class OnElement>
Status read_array(JsonValue& value, const std::string& where, OnElement&& on_element) {
  json_type type{};
  simdjson::ondemand::array array;
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  if (type != json_type::array) return wrong_type(where, "an array", type);
  TILEWISE_RETURN_IF_MALFORMED(value.get_array().get(array));
  size_t index = 0;
  for (auto element : array) {
    JsonValue inner;
    TILEWISE_RETURN_IF_MALFORMED(std::move(element).get(inner));
    TILEWISE_RETURN_IF_ERROR(on_element(index++, inner));
  }
  return {};
}

/// The bytes of a body where simdjson can read them, and its parser. Keeps its memory. Not
/// thread-safe.
class JsonReader {
 public:
  /// on_member as above, for the members of the object that `body` is. A member that stands twice
  /// is given twice: the last one counts. Errors: invalid_argument for what is not one JSON object
  /// in UTF-8. Half of a surrogate pair becomes U+FFFD, as in rows.
  template <class OnMember>
  Status read(std::string_view body, OnMember&& on_member) {
    simdjson::ondemand::document document;
    simdjson::ondemand::object object;
    TILEWISE_RETURN_IF_ERROR(open(body, document));
    TILEWISE_RETURN_IF_MALFORMED(document.get_object().get(object));
    TILEWISE_RETURN_IF_ERROR(read_members(object, on_member));
    return close(document);
  }

  /// A string, or an object as a record, of the body that is being read.
  Status read_content(JsonValue& value, const std::string& where, model::Content& content);

 private:
  Status open(std::string_view body, simdjson::ondemand::document& document);
  Status close(simdjson::ondemand::document& document);
  Status read_record(std::string_view json, const std::string& where, model::Content& content);

  simdjson::ondemand::parser parser_;
  std::vector<char> bytes_;
  std::optional<rows::RowParser> record_parser_;  // made for the first record
};

}  // namespace tilewise::server
