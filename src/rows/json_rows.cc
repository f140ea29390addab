#include "rows/json_rows.h"

#include <algorithm>
#include <cstring>
#include <numeric>
#include <tuple>
#include <utility>

#include "rows/json_type.h"
#include "rows/repair.h"
#include "rows/writer.h"

namespace tilewise::rows {
namespace {

using simdjson::error_code;
using simdjson::ondemand::json_type;
using simdjson::ondemand::value;

/// Deeper JSON is refused: the walk over ignored fields is recursive.
constexpr int kMaxDepth = 64;

/// Memory that a single long line needed is given back above this.
constexpr size_t kKeptBytes = size_t{4} << 20;

Complaint malformed(error_code error) {
  return Problem{.what = "the row is not valid JSON",
                 .expected = "one JSON object",
                 .found = simdjson::error_message(error)};
}

#define ROWS_RETURN_IF_MALFORMED(expression) \
  if (const error_code error_ = (expression); error_ != simdjson::SUCCESS) return malformed(error_)

/// The token as it is written, once it has been checked to be a number.
Complaint read_number(value& number, std::string& out) {
  std::string_view token = number.raw_json_token();
  double ignored = 0;
  ROWS_RETURN_IF_MALFORMED(number.get_double().get(ignored));
  token.remove_suffix(token.size() - std::min(token.size(), token.find_last_not_of(" \t\r\n") + 1));
  out = token;
  return std::nullopt;
}

/// A scalar as text; null leaves `out` as it is.
Complaint read_scalar(value& scalar, json_type type, std::string& out) {
  switch (type) {
    case json_type::string: {
      std::string_view text;
      ROWS_RETURN_IF_MALFORMED(scalar.get_string().get(text));
      out = text;
      return std::nullopt;
    }
    case json_type::number:
      return read_number(scalar, out);
    case json_type::boolean: {
      bool truth = false;
      ROWS_RETURN_IF_MALFORMED(scalar.get_bool().get(truth));
      out = truth ? "true" : "false";
      return std::nullopt;
    }
    default: {
      bool null = false;
      ROWS_RETURN_IF_MALFORMED(scalar.is_null().get(null));
      if (!null) return malformed(simdjson::N_ATOM_ERROR);
      return std::nullopt;
    }
  }
}

/// Walks over an ignored value, so that a broken one is noticed.
Complaint check_value(value& ignored, int depth) {
  if (depth > kMaxDepth) return malformed(simdjson::DEPTH_ERROR);
  json_type type{};
  ROWS_RETURN_IF_MALFORMED(ignored.type().get(type));
  if (type == json_type::array) {
    simdjson::ondemand::array array;
    ROWS_RETURN_IF_MALFORMED(ignored.get_array().get(array));
    for (auto element : array) {
      value inner;
      ROWS_RETURN_IF_MALFORMED(std::move(element).get(inner));
      if (auto complaint = check_value(inner, depth + 1)) return complaint;
    }
    return std::nullopt;
  }
  if (type == json_type::object) {
    simdjson::ondemand::object object;
    ROWS_RETURN_IF_MALFORMED(ignored.get_object().get(object));
    for (auto member : object) {
      simdjson::ondemand::field field;
      std::string_view key;
      ROWS_RETURN_IF_MALFORMED(std::move(member).get(field));
      ROWS_RETURN_IF_MALFORMED(field.unescaped_key().get(key));
      if (auto complaint = check_value(field.value(), depth + 1)) return complaint;
    }
    return std::nullopt;
  }
  std::string text;
  return read_scalar(ignored, type, text);
}

/// Of fields with one name the last stays.
void drop_repeated(std::vector<model::Record::Field>& fields) {
  std::vector<size_t> order(fields.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::sort(order.begin(), order.end(), [&](size_t a, size_t b) {
    return std::tie(fields[a].name, a) < std::tie(fields[b].name, b);
  });
  std::vector<bool> repeated(fields.size(), false);
  bool any = false;
  for (size_t i = 0; i + 1 < order.size(); ++i) {
    if (fields[order[i]].name != fields[order[i + 1]].name) continue;
    repeated[order[i]] = any = true;
  }
  if (!any) return;
  size_t kept = 0;
  for (size_t i = 0; i < fields.size(); ++i) {
    if (!repeated[i] && kept++ != i) fields[kept - 1] = std::move(fields[i]);
  }
  fields.resize(kept);
}

/// Appends a field. `side` stands in messages: "left"; "" where the line itself is the record.
Complaint read_record_field(value& scalar, std::string_view side, std::string_view name,
                            model::Record& record) {
  json_type type{};
  ROWS_RETURN_IF_MALFORMED(scalar.type().get(type));
  if (type == json_type::array || type == json_type::object) {
    const std::string path = side.empty() ? "" : std::string(side) + ".";
    return Problem{.what = "a record is flat",
                   .where = "field \"" + path + std::string(name) + "\"",
                   .expected = "a string, a number, true, false or null",
                   .found = name_of(type)};
  }
  // A null must still win over an earlier field of its name: it stays as empty text, which a
  // template leaves out.
  model::Record::Field& field = record.fields.emplace_back();
  field.name = name;
  return read_scalar(scalar, type, field.value);
}

/// Catalogues carry lists and objects (images, categories) that nobody compares: such a field is as
/// one that is missing.
Complaint read_catalog_field(value& field, std::string_view name, model::Record& record) {
  json_type type{};
  ROWS_RETURN_IF_MALFORMED(field.type().get(type));
  if (type != json_type::array && type != json_type::object) {
    return read_record_field(field, "", name, record);
  }
  record.fields.push_back({std::string(name), ""});  // over an earlier field of its name
  return check_value(field, 1);
}

Complaint read_flat_object(value& side, std::string_view name, model::Record& record) {
  simdjson::ondemand::object object;
  ROWS_RETURN_IF_MALFORMED(side.get_object().get(object));
  for (auto member : object) {
    simdjson::ondemand::field field;
    std::string_view key;
    ROWS_RETURN_IF_MALFORMED(std::move(member).get(field));
    ROWS_RETURN_IF_MALFORMED(field.unescaped_key().get(key));
    if (auto complaint = read_record_field(field.value(), name, key, record)) return complaint;
  }
  drop_repeated(record.fields);
  return std::nullopt;
}

/// A string or a record. `content` is nullopt for null.
Complaint read_side(value& side, std::string_view name, std::optional<model::Content>& content) {
  content.reset();
  json_type type{};
  ROWS_RETURN_IF_MALFORMED(side.type().get(type));
  if (type == json_type::object) {
    model::Record record;
    if (auto complaint = read_flat_object(side, name, record)) return complaint;
    content = std::move(record);
    return std::nullopt;
  }
  if (type == json_type::string || type == json_type::null) {
    std::string text;
    if (auto complaint = read_scalar(side, type, text)) return complaint;
    if (type == json_type::string) content = std::move(text);
    return std::nullopt;
  }
  return Problem{.what = "the row has a field of the wrong type",
                 .where = "field \"" + std::string(name) + "\"",
                 .expected = "a string or a record",
                 .found = name_of(type)};
}

enum class IdForm : uint8_t { json, plain };

/// As JSON text (17, "a7" in quotes) or as plain text; empty for null.
Complaint read_id(value& field, std::string_view name, IdForm form, std::string& id) {
  id.clear();
  json_type type{};
  ROWS_RETURN_IF_MALFORMED(field.type().get(type));
  if (type == json_type::number) return read_number(field, id);
  if (type == json_type::null) return read_scalar(field, type, id);
  if (type == json_type::string) {
    std::string_view text;
    ROWS_RETURN_IF_MALFORMED(field.get_string().get(text));
    if (form == IdForm::json) {
      append_json_string(text, id);
    } else {
      id = text;
    }
    return std::nullopt;
  }
  return Problem{.what = "the row has a field of the wrong type",
                 .where = "field \"" + std::string(name) + "\"",
                 .expected = "a string or a number",
                 .found = name_of(type)};
}

}  // namespace

// Starts on a repaired copy of the line.
Complaint JsonRows::open(std::string_view line, simdjson::ondemand::document& document) {
  std::string repaired;
  if (!simdjson::validate_utf8(line.data(), line.size())) {
    repaired = replace_invalid_utf8(line);
    line = repaired;
  }
  bytes_.resize(line.size() + simdjson::SIMDJSON_PADDING);
  std::copy(line.begin(), line.end(), bytes_.begin());
  std::memset(bytes_.data() + line.size(), 0, simdjson::SIMDJSON_PADDING);
  replace_lone_surrogates({bytes_.data(), line.size()});
  ROWS_RETURN_IF_MALFORMED(
      parser_.iterate(bytes_.data(), line.size(), bytes_.size()).get(document));
  return std::nullopt;
}

/// Calls `use(name, value)` for each member of the one object that the line holds.
template <class Use>
Complaint JsonRows::for_each_member(std::string_view line, Use use) {
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  json_type type{};
  names_.clear();
  if (auto complaint = open(line, document)) return complaint;
  ROWS_RETURN_IF_MALFORMED(document.type().get(type));
  if (type != json_type::object) {
    const bool guessed = type == json_type::null || type == json_type::boolean;  // from one letter
    return Problem{.what = "the row is not a JSON object", .found = guessed ? "" : name_of(type)};
  }
  ROWS_RETURN_IF_MALFORMED(document.get_object().get(object));
  for (auto member : object) {
    simdjson::ondemand::field field;
    std::string_view name;
    ROWS_RETURN_IF_MALFORMED(std::move(member).get(field));
    ROWS_RETURN_IF_MALFORMED(field.unescaped_key().get(name));
    names_.add(name);
    if (Complaint complaint = use(name, field.value())) return complaint;
  }
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return Problem{.what = "the row is not valid JSON",
                   .expected = "one JSON object",
                   .found = "more after it"};
  }
  return std::nullopt;
}

Complaint JsonRows::read_row(std::string_view line, std::optional<model::InputKind> kind,
                             RowParts& parts) {
  const bool takes_text = kind != model::InputKind::pair;
  const bool takes_pair = kind != model::InputKind::text;
  return for_each_member(line, [&](std::string_view name, value& member) {
    if (name == "id") return read_id(member, name, IdForm::json, parts.id);
    if (name == "text" && takes_text) return read_side(member, name, parts.text);
    if (name == "left" && takes_pair) return read_side(member, name, parts.left);
    if (name == "right" && takes_pair) return read_side(member, name, parts.right);
    return check_value(member, 1);
  });
}

Complaint JsonRows::read_id_pair(std::string_view line, IdPair& pair) {
  pair.left.clear();
  pair.right.clear();
  pair.id.clear();
  auto complaint = for_each_member(line, [&](std::string_view name, value& member) {
    if (name == "id") return read_id(member, name, IdForm::json, pair.id);
    if (name == "left_id") return read_id(member, name, IdForm::plain, pair.left);
    if (name == "right_id") return read_id(member, name, IdForm::plain, pair.right);
    return check_value(member, 1);
  });
  if (complaint) return complaint;
  if (pair.left.empty()) return missing_field("left_id", present());
  if (pair.right.empty()) return missing_field("right_id", present());
  if (pair.id.empty()) set_default_id(pair);
  return std::nullopt;
}

Complaint JsonRows::read_record(std::string_view line, CatalogRecord& entry) {
  model::Record& record = entry.record;
  entry.id.clear();
  record.fields.clear();
  auto complaint = for_each_member(line, [&](std::string_view name, value& member) {
    if (name == "id") return read_id(member, name, IdForm::plain, entry.id);
    return read_catalog_field(member, name, record);
  });
  if (complaint) return complaint;
  if (entry.id.empty()) return missing_field("id", present());
  drop_repeated(record.fields);
  return std::nullopt;
}

/// The whole text is walked over first: what turns out to be no JSON is plain text, whatever it
/// began with.
Complaint JsonRows::read_content(std::string_view text, std::string_view name,
                                 model::Content& content) {
  simdjson::ondemand::document document;
  simdjson::ondemand::value whole;
  const auto is_object = [&] {
    return !open(text, document) && document.get_value().get(whole) == simdjson::SUCCESS &&
           !check_value(whole, 1) && document.current_location().error() == simdjson::OUT_OF_BOUNDS;
  };
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos || text[first] != '{' || !is_object()) {
    content = std::string(text);
    return std::nullopt;
  }
  document.rewind();
  model::Record record;
  ROWS_RETURN_IF_MALFORMED(document.get_value().get(whole));
  if (auto complaint = read_flat_object(whole, name, record)) return complaint;
  content = std::move(record);
  return std::nullopt;
}

std::string JsonRows::present() const {
  return names_.text().empty() ? "no fields" : "the fields " + names_.text();
}

void JsonRows::give_back_memory() {
  if (bytes_.capacity() <= kKeptBytes) return;
  bytes_ = {};
  parser_ = simdjson::ondemand::parser();
}

}  // namespace tilewise::rows
