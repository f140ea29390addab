#include "checkpoint/json.h"

#include <algorithm>
#include <cmath>

#include "base/mapped_file.h"

namespace tilewise::checkpoint {
namespace dom = simdjson::dom;

namespace {

Status not_json(const std::string& where, const std::string& found) {
  return invalid_input({"This file is not the JSON that it should be", where, "", found,
                        "Save the checkpoint again; the file may have been cut or edited"});
}

}  // namespace

std::optional<dom::element> JsonObject::find(std::string_view key) const {
  dom::element value;
  if (object_.at_key(key).get(value) != simdjson::SUCCESS || value.is_null()) return std::nullopt;
  return value;
}

bool JsonObject::has(std::string_view key) const { return find(key).has_value(); }

std::optional<std::string> JsonObject::string(std::string_view key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  std::string_view text;
  if (value->get(text) == simdjson::SUCCESS) return std::string(text);
  wrong(key, "a string");
  return std::nullopt;
}

std::optional<bool> JsonObject::boolean(std::string_view key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  bool flag = false;
  if (value->get(flag) == simdjson::SUCCESS) return flag;
  wrong(key, "true or false");
  return std::nullopt;
}

std::optional<int32_t> JsonObject::integer(std::string_view key, int32_t low, int32_t high) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  int64_t number = 0;
  if (value->get(number) == simdjson::SUCCESS && number >= low && number <= high) {
    return static_cast<int32_t>(number);
  }
  wrong(key, "an integer from " + std::to_string(low) + " to " + std::to_string(high));
  return std::nullopt;
}

std::optional<double> JsonObject::number(std::string_view key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  double number = 0;
  if (value->get(number) == simdjson::SUCCESS && std::isfinite(static_cast<float>(number))) {
    return number;
  }
  wrong(key, "a number");
  return std::nullopt;
}

std::optional<JsonObject> JsonObject::object(std::string_view key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  dom::object inner;
  if (value->get(inner) == simdjson::SUCCESS) {
    return JsonObject(inner, where(key), *report_, subject_);
  }
  wrong(key, "an object");
  return std::nullopt;
}

std::optional<std::vector<JsonObject::Element>> JsonObject::array(std::string_view key) const {
  const auto value = find(key);
  if (!value) return std::nullopt;
  dom::array items;
  if (value->get(items) != simdjson::SUCCESS) {
    wrong(key, "an array");
    return std::nullopt;
  }
  std::vector<Element> elements;
  for (const dom::element item : items) {
    elements.push_back({item, where(key) + "[" + std::to_string(elements.size()) + "]"});
  }
  return elements;
}

std::optional<std::vector<std::string>> JsonObject::strings(std::string_view key) const {
  const auto elements = array(key);
  if (!elements) return std::nullopt;
  std::vector<std::string> texts;
  for (const Element& element : *elements) {
    std::string_view text;
    if (element.value.get(text) != simdjson::SUCCESS) {
      wrong(key, "an array of strings");
      return std::nullopt;
    }
    texts.emplace_back(text);
  }
  return texts;
}

std::optional<JsonObject> JsonObject::as_object(const Element& element) const {
  dom::object inner;
  if (element.value.get(inner) == simdjson::SUCCESS) {
    return JsonObject(inner, element.where, *report_, subject_);
  }
  problem(invalid_input(
      {"A field has the wrong type", element.where, "an object", text_of(element.value), ""}));
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
  const auto value = find(key);
  if (!value) return false;
  bool flag = false;
  if (value->get(flag) == simdjson::SUCCESS) return flag;
  std::string_view text;
  if (value->get(text) == simdjson::SUCCESS) return !text.empty();
  dom::array items;
  if (value->get(items) == simdjson::SUCCESS) return items.begin() != items.end();
  dom::object inner;
  if (value->get(inner) == simdjson::SUCCESS) return inner.begin() != inner.end();
  return true;
}

bool JsonObject::is_array(std::string_view key) const {
  const auto value = find(key);
  return value && value->is_array();
}

bool JsonObject::is_boolean(std::string_view key) const {
  const auto value = find(key);
  return value && value->is_bool();
}

std::vector<std::string> JsonObject::keys() const {
  std::vector<std::string> keys;
  for (const dom::key_value_pair field : object_) keys.emplace_back(field.key);
  return keys;
}

void JsonObject::refuse_other_keys(std::initializer_list<std::string_view> known) const {
  std::string names;
  for (const std::string_view name : known) names.append(names.empty() ? "" : ", ").append(name);
  for (const std::string& key : keys()) {
    if (std::find(known.begin(), known.end(), key) != known.end()) continue;
    problem(invalid_input({"A field is not known", where(key), "one of " + names, "", ""}));
  }
}

std::string JsonObject::text_of(dom::element value) {
  constexpr size_t kLongest = 60;
  std::string text = simdjson::minify(value);
  if (text.size() <= kLongest) return text;
  size_t end = kLongest;  // not inside a UTF-8 character
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xC0) == 0x80) --end;
  return text.substr(0, end) + "...";
}

std::string JsonObject::text_of(std::string_view key) const {
  const auto value = find(key);
  return value ? text_of(*value) : "nothing";
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
  auto parser = std::make_unique<dom::parser>();
  dom::element root;
  const auto error = parser->parse(text.data(), text.size()).get(root);
  if (error != simdjson::SUCCESS) return not_json(where, simdjson::error_message(error));
  return JsonFile(std::move(parser), root, where);
}

Result<JsonFile> JsonFile::read(const std::string& path, const std::string& where) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string text, read_file(path));
  return parse(text, where);
}

std::optional<JsonObject> JsonFile::object(Report& report, const std::string& subject) const {
  dom::object object;
  if (root_.get(object) == simdjson::SUCCESS) return JsonObject(object, where_, report, subject);
  report.problem(subject, not_json(where_, "something that is not an object"));
  return std::nullopt;
}

std::optional<std::vector<JsonObject>> JsonFile::objects(Report& report,
                                                         const std::string& subject) const {
  dom::array items;
  if (root_.get(items) != simdjson::SUCCESS) {
    report.problem(subject, not_json(where_, "something that is not an array"));
    return std::nullopt;
  }
  std::vector<JsonObject> objects;
  for (const dom::element item : items) {
    dom::object object;
    if (item.get(object) != simdjson::SUCCESS) {
      report.problem(subject, not_json(where_, "an array of something that is not an object"));
      return std::nullopt;
    }
    objects.emplace_back(object, where_ + ": [" + std::to_string(objects.size()) + "]", report,
                         subject);
  }
  return objects;
}

}  // namespace tilewise::checkpoint
