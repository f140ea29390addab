#include "checkpoint/json_value.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <limits>

#include <simdjson.h>

namespace tilewise::checkpoint {
namespace {

namespace dom = simdjson::dom;

constexpr size_t kLongestText = 60;

bool key_less(const std::pair<std::string, JsonValue>& field, std::string_view key) {
  return field.first < key;
}

JsonValue convert(dom::element element);

JsonValue convert(dom::array items) {
  JsonValue::Array array;
  for (const dom::element item : items) array.push_back(convert(item));
  return {std::move(array)};
}

JsonValue convert(dom::object fields) {
  JsonValue::Object object;
  for (const dom::key_value_pair field : fields)
    object.emplace_back(std::string(field.key), convert(field.value));
  std::stable_sort(object.begin(), object.end(),
                   [](const auto& a, const auto& b) { return a.first < b.first; });
  return {std::move(object)};
}

/// The parser has checked the text: every access here is of the type that the element says it has,
/// and none fails.
JsonValue convert(dom::element element) {
  switch (element.type()) {
    case dom::element_type::ARRAY:
      return convert(dom::array(element));
    case dom::element_type::OBJECT:
      return convert(dom::object(element));
    case dom::element_type::STRING:
      return {std::string(std::string_view(element))};
    case dom::element_type::BOOL:
      return {bool(element)};
    case dom::element_type::INT64:
      return {int64_t(element)};
    case dom::element_type::UINT64:
      return {static_cast<double>(uint64_t(element))};
    case dom::element_type::DOUBLE:
      return {double(element)};
    case dom::element_type::NULL_VALUE:
      break;
  }
  return {nullptr};
}

/// Appends JSON until the text is long enough to be cut.
class TextWriter {
 public:
  std::string write(const JsonValue& value) {
    append(value);
    if (text_.size() <= kLongestText) return std::move(text_);
    size_t end = kLongestText;  // not inside a UTF-8 character
    while (end > 0 && (static_cast<unsigned char>(text_[end]) & 0xC0) == 0x80) --end;
    return text_.substr(0, end) + "...";
  }

 private:
  bool full() const { return text_.size() > kLongestText; }

  void append(const JsonValue& value) {
    std::visit([this](const auto& v) { append_value(v); }, value.value);
  }
  void append_value(std::nullptr_t) { text_ += "null"; }
  void append_value(bool flag) { text_ += flag ? "true" : "false"; }
  void append_value(int64_t number) { text_ += std::to_string(number); }
  void append_value(double number) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    text_.append(digits, end);
  }
  void append_value(const std::string& string) {
    text_.append("\"").append(string, 0, kLongestText + 1).append("\"");
  }
  void append_value(const JsonValue::Array& array) {
    text_ += '[';
    for (size_t i = 0; i < array.size() && !full(); ++i) {
      if (i > 0) text_ += ',';
      append(array[i]);
    }
    text_ += ']';
  }
  void append_value(const JsonValue::Object& object) {
    text_ += '{';
    for (size_t i = 0; i < object.size() && !full(); ++i) {
      if (i > 0) text_ += ',';
      append_value(object[i].first);
      text_ += ':';
      append(object[i].second);
    }
    text_ += '}';
  }

  std::string text_;
};

}  // namespace

const JsonValue* JsonValue::find(std::string_view key) const {
  const auto* object = get<Object>();
  if (!object) return nullptr;
  const auto field = std::lower_bound(object->begin(), object->end(), key, key_less);
  return field != object->end() && field->first == key && !field->second.is_null() ? &field->second
                                                                                   : nullptr;
}

std::string JsonValue::text() const { return TextWriter().write(*this); }

Result<JsonValue> parse_json(std::string_view text, const std::string& where) {
  dom::parser parser;
  dom::element root;
  const auto error = parser.parse(text.data(), text.size()).get(root);
  if (error == simdjson::SUCCESS) return convert(root);
  return invalid_input({"This file is not the JSON that it should be", where, "",
                        simdjson::error_message(error),
                        "Save the checkpoint again; the file may have been cut or edited"});
}

std::optional<double> find_number(std::string_view text, std::string_view key) {
  simdjson::ondemand::parser parser;
  const simdjson::padded_string padded(text);
  simdjson::ondemand::document document;
  simdjson::ondemand::value value;
  if (parser.iterate(padded).get(document) != simdjson::SUCCESS ||
      document[key].get(value) != simdjson::SUCCESS) {
    return std::nullopt;
  }
  const std::string token(value.raw_json_token());
  char* end = nullptr;
  const double number = std::strtod(token.c_str(), &end);
  return end != token.c_str() ? std::optional(number) : std::nullopt;
}

}  // namespace tilewise::checkpoint
