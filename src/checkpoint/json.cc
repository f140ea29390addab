#include "checkpoint/json.h"

#include <algorithm>
#include <cmath>

#include "base/mapped_file.h"

namespace tilewise::checkpoint {
namespace {

Status wrong_root(const std::string& where, const char* expected, const JsonValue& root) {
  return invalid_input(
      {"This file holds something else than it should", where, expected, root.text(), ""});
}

}  // namespace

bool JsonObject::has(std::string_view key) const { return object_->find(key) != nullptr; }

std::optional<std::string> JsonObject::string(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  if (!value) return std::nullopt;
  if (const auto* text = value->as_string()) return *text;
  wrong(key, "a string");
  return std::nullopt;
}

std::optional<bool> JsonObject::boolean(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  if (!value) return std::nullopt;
  if (const auto* flag = value->as_boolean()) return *flag;
  wrong(key, "true or false");
  return std::nullopt;
}

std::optional<int32_t> JsonObject::integer(std::string_view key, int32_t low, int32_t high) const {
  const JsonValue* value = object_->find(key);
  if (!value) return std::nullopt;
  const auto* number = value->as_integer();
  if (number && *number >= low && *number <= high) return static_cast<int32_t>(*number);
  wrong(key, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  return std::nullopt;
}

std::optional<double> JsonObject::number(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  if (!value) return std::nullopt;
  if (const auto* integer = value->as_integer()) return static_cast<double>(*integer);
  const auto* number = value->as_number();
  if (number && std::isfinite(static_cast<float>(*number))) return *number;
  wrong(key, "a number");
  return std::nullopt;
}

std::optional<JsonObject> JsonObject::object(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  if (!value) return std::nullopt;
  if (value->is_object()) return JsonObject(*value, where(key), *report_, subject_);
  wrong(key, "an object");
  return std::nullopt;
}

std::optional<std::vector<JsonObject::Element>> JsonObject::array(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  if (!value) return std::nullopt;
  const auto* items = value->as_array();
  if (!items) {
    wrong(key, "an array");
    return std::nullopt;
  }
  std::vector<Element> elements;
  for (const JsonValue& item : *items) {
    elements.push_back({&item, where(key) + "[" + std::to_string(elements.size()) + "]"});
  }
  return elements;
}

std::optional<std::vector<std::string>> JsonObject::strings(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  if (!value) return std::nullopt;
  const auto* items = value->as_array();
  std::vector<std::string> texts;
  for (size_t i = 0; items && i < items->size(); ++i) {
    if (const auto* text = (*items)[i].as_string()) texts.push_back(*text);
  }
  if (items && texts.size() == items->size()) return texts;
  wrong(key, "an array of strings");
  return std::nullopt;
}

std::optional<JsonObject> JsonObject::as_object(const Element& element) const {
  if (element.value->is_object())
    return JsonObject(*element.value, element.where, *report_, subject_);
  problem(invalid_input(
      {"A field has the wrong type", element.where, "an object", element.value->text(), ""}));
  return std::nullopt;
}

std::optional<std::string> JsonObject::required_string(std::string_view key) const {
  if (!has(key)) missing(key);
  return string(key);
}

std::optional<int32_t> JsonObject::required_integer(std::string_view key, int32_t low,
                                                    int32_t high) const {
  if (!has(key)) missing(key);
  return integer(key, low, high);
}

bool JsonObject::is_set(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  if (!value) return false;
  if (const auto* flag = value->as_boolean()) return *flag;
  if (const auto* text = value->as_string()) return !text->empty();
  if (const auto* items = value->as_array()) return !items->empty();
  if (value->is_object()) return !value->keys().empty();
  return true;
}

bool JsonObject::is_array(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  return value && value->as_array();
}

bool JsonObject::is_boolean(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  return value && value->as_boolean();
}

const std::vector<std::string>& JsonObject::keys() const { return object_->keys(); }

void JsonObject::refuse_other_keys(std::initializer_list<std::string_view> known) const {
  std::string names;
  for (const std::string_view name : known) names.append(names.empty() ? "" : ", ").append(name);
  for (const std::string& key : keys()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    problem(invalid_input({"A field is not known", where(key), "one of " + names, "", ""}));
  }
}

std::string JsonObject::text_of(std::string_view key) const {
  const JsonValue* value = object_->find(key);
  return value ? value->text() : "nothing";
}

void JsonObject::wrong(std::string_view key, const std::string& expected) const {
  problem(invalid_input(
      {"A field has a value that it cannot have", where(key), expected, text_of(key), ""}));
}

void JsonObject::missing(std::string_view key) const {
  problem(invalid_input({"A field is missing", where(key), "", "", ""}));
}

std::string JsonObject::where(std::string_view key) const {
  if (key.empty()) return where_;
  // The first key after the file's name stands after a colon, the rest after dots.
  const bool top = where_.find(": ") == std::string::npos;
  return where_ + (top ? ": " : ".") + std::string(key);
}

Result<JsonFile> JsonFile::parse(std::string_view text, const std::string& where) {
  TILEWISE_ASSIGN_OR_RETURN(JsonValue root, parse_json(text, where));
  return JsonFile(std::move(root), where);
}

Result<JsonFile> JsonFile::read(const std::string& path, const std::string& where) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse(text, where);
}

std::optional<JsonObject> JsonFile::object(Report& report, const std::string& subject) const {
  if (root_.is_object()) return JsonObject(root_, where_, report, subject);
  report.problem(subject, wrong_root(where_, "a JSON object", root_));
  return std::nullopt;
}

std::optional<std::vector<JsonObject>> JsonFile::objects(Report& report,
                                                         const std::string& subject) const {
  const auto* items = root_.as_array();
  std::vector<JsonObject> objects;
  for (size_t i = 0; items && i < items->size(); ++i) {
    const JsonValue& item = (*items)[i];
    if (!item.is_object()) break;
    objects.emplace_back(item, where_ + ": [" + std::to_string(i) + "]", report, subject);
  }
  if (items && objects.size() == items->size()) return objects;
  report.problem(subject, wrong_root(where_, "a JSON array of objects", root_));
  return std::nullopt;
}

}  // namespace tilewise::checkpoint
