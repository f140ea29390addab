// Reads fields of a JSON object that must be there and of one type, with errors that say where.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include <simdjson.h>

#include "base/status.h"

namespace tilewise::text {

/// An object of a parsed document and its place in the file, for messages ("tokenizer.json at
/// model"). Valid as long as the document.
class JsonObject {
 public:
  JsonObject(simdjson::dom::object object, std::string where)
      : object_(object), where_(std::move(where)) {}

  const std::string& where() const { return where_; }
  simdjson::dom::object raw() const { return object_; }

  /// Whether the field is there and not null.
  bool has(std::string_view name) const {
    simdjson::dom::element value;
    return object_.at_key(name).get(value) == simdjson::SUCCESS && !value.is_null();
  }

  /// Errors: invalid_input when the field is missing or of another type.
  Result<std::string> string(std::string_view name) const {
    TILEWISE_ASSIGN_OR_RETURN(const std::string_view text, get<std::string_view>(name, "a string"));
    return std::string(text);
  }
  Result<bool> boolean(std::string_view name) const { return get<bool>(name, "true or false"); }
  Result<int64_t> integer(std::string_view name) const { return get<int64_t>(name, "an integer"); }
  Result<simdjson::dom::array> array(std::string_view name) const {
    return get<simdjson::dom::array>(name, "a list");
  }
  Result<JsonObject> object(std::string_view name) const {
    TILEWISE_ASSIGN_OR_RETURN(const auto value, get<simdjson::dom::object>(name, "an object"));
    return JsonObject(value, place(name));
  }

  /// A list of objects, each with its place.
  Result<std::vector<JsonObject>> objects(std::string_view name) const {
    TILEWISE_ASSIGN_OR_RETURN(const auto elements, array(name));
    std::vector<JsonObject> out;
    for (const simdjson::dom::element element : elements) {
      const std::string where = place(name) + "[" + std::to_string(out.size()) + "]";
      simdjson::dom::object object;
      if (element.get(object) != simdjson::SUCCESS) {
        return invalid_input({.what = "An element of a list has the wrong type",
                              .where = where,
                              .expected = "an object",
                              .found = shown(element),
                              .remedy = {}});
      }
      out.emplace_back(object, where);
    }
    return out;
  }

  /// The same with a default for a field that is missing or null.
  Result<std::string> string_or(std::string_view name, std::string fallback) const {
    return has(name) ? string(name) : Result<std::string>(std::move(fallback));
  }
  Result<bool> boolean_or(std::string_view name, bool fallback) const {
    return has(name) ? boolean(name) : Result<bool>(fallback);
  }

  std::string place(std::string_view name) const {
    const bool nested = where_.find(" at ") != std::string::npos;
    return where_ + (nested ? "." : " at ") + std::string(name);
  }

 private:
  template <class T>
  Result<T> get(std::string_view name, std::string expected) const {
    simdjson::dom::element element;
    if (object_.at_key(name).get(element) != simdjson::SUCCESS) {
      return invalid_input({.what = "A field is missing",
                            .where = place(name),
                            .expected = std::move(expected),
                            .found = "nothing",
                            .remedy = {}});
    }
    T value;
    if (element.get(value) != simdjson::SUCCESS) {
      return invalid_input({.what = "A field has the wrong type",
                            .where = place(name),
                            .expected = std::move(expected),
                            .found = shown(element),
                            .remedy = {}});
    }
    return value;
  }

  static std::string shown(simdjson::dom::element element) {
    switch (element.type()) {
      case simdjson::dom::element_type::ARRAY:
        return "a list";
      case simdjson::dom::element_type::OBJECT:
        return "an object";
      default: {
        std::string text = simdjson::minify(element);
        if (text.size() > 40) text = text.substr(0, 40) + "...";
        return text;
      }
    }
  }

  simdjson::dom::object object_;
  std::string where_;
};

/// The object that a whole file holds. `parser` owns what it points to. Errors: invalid_input.
inline Result<JsonObject> parse_json_object(simdjson::dom::parser& parser, std::string_view json,
                                            const std::string& where) {
  simdjson::dom::element root;
  const auto error = parser.parse(json.data(), json.size(), true).get(root);
  if (error != simdjson::SUCCESS) {
    return invalid_input({.what = "The file is not valid JSON",
                          .where = where,
                          .expected = {},
                          .found = simdjson::error_message(error),
                          .remedy = {}});
  }
  simdjson::dom::object object;
  if (root.get(object) != simdjson::SUCCESS) {
    return invalid_input({.what = "The file holds no JSON object",
                          .where = where,
                          .expected = "an object",
                          .found = {},
                          .remedy = {}});
  }
  return JsonObject(object, where);
}

}  // namespace tilewise::text
