#include "checkpoint/json_value.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <numeric>
#include <tuple>

#include <simdjson.h>

namespace tilewise::checkpoint {
namespace {

namespace dom = simdjson::dom;

constexpr size_t kLongestText = 60;

JsonValue convert(dom::element element);

JsonValue convert(dom::array items) {
  std::vector<JsonValue> values;
  for (const dom::element item : items) values.push_back(convert(item));
  return JsonValue(std::move(values));
}

JsonValue convert(dom::object fields) {
  std::vector<std::string> keys;
  std::vector<JsonValue> values;
  for (const dom::key_value_pair field : fields) {
    keys.emplace_back(field.key);
    values.push_back(convert(field.value));
  }
  return {std::move(keys), std::move(values)};
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
      return JsonValue(std::string(std::string_view(element)));
    case dom::element_type::BOOL:
      return JsonValue(bool(element));
    case dom::element_type::INT64:
      return JsonValue(int64_t(element));
    case dom::element_type::UINT64:
      return JsonValue(static_cast<double>(uint64_t(element)));
    case dom::element_type::DOUBLE:
      return JsonValue(double(element));
    case dom::element_type::NULL_VALUE:
      break;
  }
  return {};
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
    switch (value.type()) {
      case JsonValue::Type::null:
        text_ += "null";
        break;
      case JsonValue::Type::boolean:
        text_ += *value.as_boolean() ? "true" : "false";
        break;
      case JsonValue::Type::integer:
        text_ += std::to_string(*value.as_integer());
        break;
      case JsonValue::Type::number:
        append_number(*value.as_number());
        break;
      case JsonValue::Type::string:
        append_string(*value.as_string());
        break;
      case JsonValue::Type::array:
      case JsonValue::Type::object:
        append_values(value);
        break;
    }
  }
  void append_number(double number) {
    char digits[32];
    const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
    text_.append(digits, end);
  }
  void append_string(const std::string& string) {
    text_.append("\"").append(string, 0, kLongestText + 1).append("\"");
  }
  void append_values(const JsonValue& value) {
    text_ += value.is_object() ? '{' : '[';
    for (size_t i = 0; i < value.values().size() && !full(); ++i) {
      if (i > 0) text_ += ',';
      if (value.is_object()) {
        append_string(value.keys()[i]);
        text_ += ':';
      }
      append(value.values()[i]);
    }
    text_ += value.is_object() ? '}' : ']';
  }

  std::string text_;
};

}  // namespace

JsonValue::JsonValue(std::vector<std::string> keys, std::vector<JsonValue> values)
    : type_(Type::object) {
  std::vector<size_t> order(keys.size());
  std::iota(order.begin(), order.end(), size_t{0});
  // The position decides between equal keys: the first one comes first, and find() finds it.
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return std::tie(keys[a], a) < std::tie(keys[b], b); });
  for (const size_t i : order) {
    keys_.push_back(std::move(keys[i]));
    items_.push_back(std::move(values[i]));
  }
}

const JsonValue* JsonValue::find(std::string_view key) const {
  const auto found = std::lower_bound(keys_.begin(), keys_.end(), key);
  if (found == keys_.end() || *found != key) return nullptr;
  const JsonValue& value = items_[static_cast<size_t>(found - keys_.begin())];
  return value.type() == Type::null ? nullptr : &value;
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
