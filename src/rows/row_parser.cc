#include <algorithm>
#include <cstring>
#include <limits>
#include <numeric>
#include <tuple>
#include <utility>

#include <simdjson.h>

#include "rows/json_type.h"
#include "rows/reader.h"
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

/// Why a row was refused; nullopt: it was not. Where it stands is added at the end.
using Complaint = std::optional<Problem>;

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

Complaint read_record(value& side, std::string_view name, model::Record& record) {
  simdjson::ondemand::object object;
  ROWS_RETURN_IF_MALFORMED(side.get_object().get(object));
  for (auto member : object) {
    simdjson::ondemand::field field;
    std::string_view key;
    json_type type{};
    ROWS_RETURN_IF_MALFORMED(std::move(member).get(field));
    ROWS_RETURN_IF_MALFORMED(field.unescaped_key().get(key));
    ROWS_RETURN_IF_MALFORMED(field.value().type().get(type));
    if (type == json_type::array || type == json_type::object) {
      return Problem{.what = "a record is flat",
                     .where = "field \"" + std::string(name) + "." + std::string(key) + "\"",
                     .expected = "a string, a number, true, false or null",
                     .found = name_of(type)};
    }
    model::Record::Field scalar{std::string(key), {}};
    // A null must still win over an earlier field of its name: it stays as empty text, which a
    // template leaves out.
    if (auto complaint = read_scalar(field.value(), type, scalar.value)) return complaint;
    record.fields.push_back(std::move(scalar));
  }
  drop_repeated(record.fields);
  return std::nullopt;
}

/// A string or a record. `content` is nullopt for null.
Complaint read_content(value& side, std::string_view name, std::optional<model::Content>& content) {
  content.reset();
  json_type type{};
  ROWS_RETURN_IF_MALFORMED(side.type().get(type));
  if (type == json_type::object) {
    model::Record record;
    if (auto complaint = read_record(side, name, record)) return complaint;
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

/// JSON text; empty for null.
Complaint read_id(value& field, std::string& id) {
  id.clear();
  json_type type{};
  ROWS_RETURN_IF_MALFORMED(field.type().get(type));
  if (type == json_type::number) return read_number(field, id);
  if (type == json_type::string) {
    std::string_view text;
    ROWS_RETURN_IF_MALFORMED(field.get_string().get(text));
    append_json_string(text, id);
    return std::nullopt;
  }
  if (type == json_type::null) return read_scalar(field, type, id);
  return Problem{.what = "the row has a field of the wrong type",
                 .where = "field \"id\"",
                 .expected = "a string or a number",
                 .found = name_of(type)};
}

/// What a line holds, before it is known whether that is enough.
struct Parts {
  std::string id;
  std::optional<model::Content> text, left, right;
  std::string names;  // of all fields, for messages

  void add_name(std::string_view name) {
    constexpr size_t kShown = 120;
    if (names.size() > kShown) return;
    if (!names.empty()) names += ", ";
    names += names.size() + name.size() > kShown ? std::string_view("...") : name;
  }
};

Complaint missing(const Parts& parts, std::string_view name) {
  return Problem{.what = "the row lacks a field",
                 .expected = "\"" + std::string(name) + "\"",
                 .found = parts.names.empty() ? "no fields" : "the fields " + parts.names};
}

}  // namespace

struct RowParser::State {
  std::optional<model::InputKind> kind;
  simdjson::ondemand::parser parser;
  std::vector<char> bytes;  // the line and simdjson's padding

  /// Starts on a repaired copy of the line.
  Complaint open(std::string_view line, simdjson::ondemand::document& document);
  Complaint read(std::string_view line, Parts& parts);
  Complaint read_field(simdjson::ondemand::field& field, Parts& parts);
  Complaint assemble(Parts& parts, model::Row& row) const;
  Complaint read_content_text(std::string_view text, std::string_view name,
                              model::Content& content);
  void give_back_memory();
};

Complaint RowParser::State::open(std::string_view line, simdjson::ondemand::document& document) {
  std::string repaired;
  if (!simdjson::validate_utf8(line.data(), line.size())) {
    repaired = replace_invalid_utf8(line);
    line = repaired;
  }
  bytes.resize(line.size() + simdjson::SIMDJSON_PADDING);
  std::copy(line.begin(), line.end(), bytes.begin());
  std::memset(bytes.data() + line.size(), 0, simdjson::SIMDJSON_PADDING);
  replace_lone_surrogates({bytes.data(), line.size()});
  ROWS_RETURN_IF_MALFORMED(parser.iterate(bytes.data(), line.size(), bytes.size()).get(document));
  return std::nullopt;
}

Complaint RowParser::State::read(std::string_view line, Parts& parts) {
  simdjson::ondemand::document document;
  simdjson::ondemand::object object;
  json_type type{};
  if (auto complaint = open(line, document)) return complaint;
  ROWS_RETURN_IF_MALFORMED(document.type().get(type));
  if (type != json_type::object) {
    const bool guessed = type == json_type::null || type == json_type::boolean;  // from one letter
    return Problem{.what = "the row is not a JSON object", .found = guessed ? "" : name_of(type)};
  }
  ROWS_RETURN_IF_MALFORMED(document.get_object().get(object));
  for (auto member : object) {
    simdjson::ondemand::field field;
    ROWS_RETURN_IF_MALFORMED(std::move(member).get(field));
    if (auto complaint = read_field(field, parts)) return complaint;
  }
  if (document.current_location().error() != simdjson::OUT_OF_BOUNDS) {
    return Problem{.what = "the row is not valid JSON",
                   .expected = "one JSON object",
                   .found = "more after it"};
  }
  return std::nullopt;
}

Complaint RowParser::State::read_field(simdjson::ondemand::field& field, Parts& parts) {
  std::string_view name;
  ROWS_RETURN_IF_MALFORMED(field.unescaped_key().get(name));
  parts.add_name(name);
  const bool takes_text = kind != model::InputKind::pair;
  const bool takes_pair = kind != model::InputKind::text;
  if (name == "id") return read_id(field.value(), parts.id);
  if (name == "text" && takes_text) return read_content(field.value(), name, parts.text);
  if (name == "left" && takes_pair) return read_content(field.value(), name, parts.left);
  if (name == "right" && takes_pair) return read_content(field.value(), name, parts.right);
  return check_value(field.value(), 1);
}

Complaint RowParser::State::assemble(Parts& parts, model::Row& row) const {
  if (!kind && !parts.text && !parts.left && !parts.right)
    return missing(parts, "text\", or \"left\" and \"right");
  const bool pair = kind ? *kind == model::InputKind::pair : parts.left || parts.right;
  if (!pair) {
    if (!parts.text) return missing(parts, "text");
    row.input = model::TextInput{std::move(*parts.text)};
    return std::nullopt;
  }
  if (!parts.left) return missing(parts, "left");
  if (!parts.right) return missing(parts, "right");
  row.input = model::PairInput{std::move(*parts.left), std::move(*parts.right)};
  return std::nullopt;
}

/// The whole text is walked over first: what turns out to be no JSON is plain text, whatever it
/// began with.
Complaint RowParser::State::read_content_text(std::string_view text, std::string_view name,
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
  if (auto complaint = read_record(whole, name, record)) return complaint;
  content = std::move(record);
  return std::nullopt;
}

void RowParser::State::give_back_memory() {
  if (bytes.capacity() <= kKeptBytes) return;
  bytes = {};
  parser = simdjson::ondemand::parser();
}

RowParser::RowParser(std::optional<model::InputKind> kind) : state_(std::make_unique<State>()) {
  state_->kind = kind;
}
RowParser::~RowParser() = default;
RowParser::RowParser(RowParser&&) noexcept = default;
RowParser& RowParser::operator=(RowParser&&) noexcept = default;

Status RowParser::parse(std::string_view line, const Position& position, model::Row& row) {
  Parts parts;
  Complaint complaint;
  if (line.size() > kMaxLineBytes) {
    complaint = Problem{.what = "the line is too long",
                        .expected = "at most " + std::to_string(kMaxLineBytes) + " bytes"};
  } else {
    complaint = state_->read(line, parts);
  }
  if (!complaint) complaint = state_->assemble(parts, row);
  state_->give_back_memory();
  if (complaint) {
    complaint->where =
        describe(position) + (complaint->where.empty() ? "" : ", " + complaint->where);
    return invalid_input(std::move(*complaint));
  }
  row.id = parts.id.empty() ? std::to_string(position.line) : std::move(parts.id);
  return {};
}

Status RowParser::parse_content(std::string_view text, std::string_view name,
                                model::Content& content) {
  Complaint complaint = state_->read_content_text(text, name, content);
  state_->give_back_memory();
  return complaint ? invalid_input(std::move(*complaint)) : Status();
}

std::string describe(const Position& position) {
  const std::string_view file = position.file == "-" ? "standard input" : position.file;
  return std::string(file) + ":" + std::to_string(position.line);
}

}  // namespace tilewise::rows
