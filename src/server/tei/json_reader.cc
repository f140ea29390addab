#include "server/tei/json_reader.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "rows/json_type.h"
#include "rows/repair.h"

namespace tilewise::server {
namespace {

/// Deeper JSON is refused: the walk over ignored members is recursive.
constexpr int kMaxDepth = 64;

/// Memory that a single large body needed is given back above this.
constexpr size_t kKeptBytes = size_t{256} << 10;

}  // namespace

Status malformed(simdjson::error_code error) {
  return invalid_argument({.what = "The body is not valid JSON",
                           .expected = "one JSON object in UTF-8",
                           .found = simdjson::error_message(error)});
}

Status wrong_type(const std::string& where, std::string_view expected, json_type found) {
  return invalid_argument({.what = "A value of the request has the wrong type",
                           .where = where,
                           .expected = std::string(expected),
                           .found = std::string(rows::name_of(found))});
}

Status read_string(JsonValue& value, const std::string& where, std::string_view& text) {
  json_type type{};
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  if (type != json_type::string) return wrong_type(where, "a string", type);
  TILEWISE_RETURN_IF_MALFORMED(value.get_string().get(text));
  return {};
}

Status read_boolean(JsonValue& value, const std::string& where, bool& truth) {
  json_type type{};
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  if (type != json_type::boolean) return wrong_type(where, "true or false", type);
  TILEWISE_RETURN_IF_MALFORMED(value.get_bool().get(truth));
  return {};
}

Status read_integer(JsonValue& value, const std::string& where, int64_t least, int64_t most,
                    int64_t& number) {
  const auto expected = [least, most] {
    return "a whole number from " + std::to_string(least) + " to " + std::to_string(most);
  };
  json_type type{};
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  if (type != json_type::number) return wrong_type(where, expected(), type);
  const std::string_view token = value.raw_json_token();
  double any = 0;
  TILEWISE_RETURN_IF_MALFORMED(value.get_double().get(any));
  // 3.0 is a whole number too, as JSON Schema has it.
  if (!(any >= static_cast<double>(least) && any <= static_cast<double>(most)) ||
      any != static_cast<double>(static_cast<int64_t>(any))) {
    return invalid_argument(
        {.what = "A number of the request is out of range",
         .where = where,
         .expected = expected(),
         .found = std::string(token.substr(0, token.find_first_of(" \t\r\n,]}")))});
  }
  number = static_cast<int64_t>(any);
  return {};
}

Status read_number(JsonValue& value, double& number) {
  TILEWISE_RETURN_IF_MALFORMED(value.get_double().get(number));
  return {};
}

Status read_null(JsonValue& value, bool& is_null) {
  json_type type{};
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  is_null = type == json_type::null;
  if (!is_null) return {};
  bool holds = false;
  TILEWISE_RETURN_IF_MALFORMED(value.is_null().get(holds));
  return holds ? Status() : malformed(simdjson::N_ATOM_ERROR);
}

Status skip(JsonValue& value, int depth) {
  if (depth > kMaxDepth) return malformed(simdjson::DEPTH_ERROR);
  json_type type{};
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  switch (type) {
    case json_type::array:
      return read_array(value, {},
                        [depth](size_t, JsonValue& inner) { return skip(inner, depth + 1); });
    case json_type::object:
      return read_object(value, {}, [depth](std::string_view, JsonValue& inner) {
        return skip(inner, depth + 1);
      });
    case json_type::string: {
      std::string_view text;
      TILEWISE_RETURN_IF_MALFORMED(value.get_string().get(text));
      return {};
    }
    case json_type::number: {
      double number = 0;
      return read_number(value, number);
    }
    case json_type::boolean: {
      bool truth = false;
      TILEWISE_RETURN_IF_MALFORMED(value.get_bool().get(truth));
      return {};
    }
    case json_type::null: {
      bool is_null = false;
      return read_null(value, is_null);
    }
  }
  return malformed(simdjson::TAPE_ERROR);
}

Status JsonReader::read_content(JsonValue& value, const std::string& where,
                                model::Content& content) {
  json_type type{};
  TILEWISE_RETURN_IF_MALFORMED(value.type().get(type));
  if (type == json_type::string) {
    std::string_view text;
    TILEWISE_RETURN_IF_MALFORMED(value.get_string().get(text));
    content.emplace<std::string>(text);
    return {};
  }
  if (type == json_type::object) {
    simdjson::ondemand::object object;
    std::string_view json;
    TILEWISE_RETURN_IF_MALFORMED(value.get_object().get(object));
    TILEWISE_RETURN_IF_MALFORMED(object.raw_json().get(json));
    return read_record(json, where, content);
  }
  return wrong_type(where, "a string or a record", type);
}

/// As in rows, so that a record means the same everywhere.
Status JsonReader::read_record(std::string_view json, const std::string& where,
                               model::Content& content) {
  if (!record_parser_) record_parser_.emplace();
  if (Status status = record_parser_->parse_content(json, where, content); !status.ok()) {
    return invalid_argument(status.problem());
  }
  return std::holds_alternative<model::Record>(content) ? Status()
                                                        : malformed(simdjson::TAPE_ERROR);
}

Status JsonReader::open(std::string_view body, simdjson::ondemand::document& document) {
  if (bytes_.capacity() > kKeptBytes && body.size() < kKeptBytes / 2) {
    bytes_ = {};
    parser_ = simdjson::ondemand::parser();
  }
  bytes_.resize(body.size() + simdjson::SIMDJSON_PADDING);
  std::copy(body.begin(), body.end(), bytes_.begin());
  std::memset(bytes_.data() + body.size(), 0, simdjson::SIMDJSON_PADDING);
  rows::replace_lone_surrogates({bytes_.data(), body.size()});

  json_type type{};
  TILEWISE_RETURN_IF_MALFORMED(
      parser_.iterate(bytes_.data(), body.size(), bytes_.size()).get(document));
  TILEWISE_RETURN_IF_MALFORMED(document.type().get(type));
  if (type == json_type::object) return {};
  const bool guessed = type == json_type::null || type == json_type::boolean;  // from one letter
  return invalid_argument({.what = "The body is not a JSON object",
                           .found = guessed ? std::string() : std::string(rows::name_of(type))});
}

Status JsonReader::close(simdjson::ondemand::document& document) {
  if (document.current_location().error() == simdjson::OUT_OF_BOUNDS) return {};
  return invalid_argument({.what = "The body is not valid JSON",
                           .expected = "one JSON object",
                           .found = "more after it"});
}

}  // namespace tilewise::server
