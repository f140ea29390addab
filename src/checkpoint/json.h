// JSON files read field by field: what is missing or of the wrong type goes to the report with file
// and field.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "checkpoint/json_value.h"
#include "checkpoint/report.h"

namespace tilewise::checkpoint {

/// An object inside a JsonFile, which must outlive it. A field that is null counts as absent. Every
/// getter returns nullopt for an absent field (silently) and for one of the wrong type or out of
/// range (with a problem in the report).
class JsonObject {
 public:
  /// `object` must be one (JsonValue::is_object).
  JsonObject(const JsonValue& object, std::string where, Report& report, std::string subject)
      : object_(&object),
        where_(std::move(where)),
        report_(&report),
        subject_(std::move(subject)) {}

  /// The same object, with another subject for the problems found in it.
  JsonObject under(std::string subject) const {
    return {*object_, where_, *report_, std::move(subject)};
  }

  bool has(std::string_view key) const;
  std::optional<std::string> string(std::string_view key) const;
  std::optional<bool> boolean(std::string_view key) const;
  std::optional<int32_t> integer(std::string_view key, int32_t low, int32_t high) const;
  /// A finite number that is finite as float, too.
  std::optional<double> number(std::string_view key) const;
  std::optional<JsonObject> object(std::string_view key) const;
  std::optional<std::vector<std::string>> strings(std::string_view key) const;
  /// The elements of an array, each with its place ("tasks[2]").
  struct Element {
    const JsonValue* value;
    std::string where;
  };
  std::optional<std::vector<Element>> array(std::string_view key) const;
  /// An element as an object.
  std::optional<JsonObject> as_object(const Element& element) const;

  /// The same, but an absent field is a problem too.
  std::optional<std::string> required_string(std::string_view key) const;
  std::optional<int32_t> required_integer(std::string_view key, int32_t low, int32_t high) const;

  /// Whether the field says something: not absent, null, false, empty text, empty array or empty
  /// object.
  bool is_set(std::string_view key) const;
  bool is_array(std::string_view key) const;
  bool is_boolean(std::string_view key) const;
  /// In ascending order.
  const std::vector<std::string>& keys() const;
  /// A problem for each key that is not in `known`.
  void refuse_other_keys(std::initializer_list<std::string_view> known) const;

  /// The value as JSON, cut to one short line; for messages.
  std::string text_of(std::string_view key) const;

  void wrong(std::string_view key, const std::string& expected) const;
  void missing(std::string_view key) const;
  void problem(Status status) const { report_->problem(subject_, std::move(status)); }

  /// "tasks.json: tasks[2].labels", or the object itself without a key.
  std::string where(std::string_view key = {}) const;
  const std::string& subject() const { return subject_; }
  Report& report() const { return *report_; }

 private:
  const JsonValue* object_;
  std::string where_;
  Report* report_;
  std::string subject_;
};

/// A parsed file; owns the values, which stay where they are as long as it is not moved.
class JsonFile {
 public:
  /// `where` names the file in errors. Errors: invalid_input where the text is not JSON.
  static Result<JsonFile> parse(std::string_view text, const std::string& where);
  /// Errors also like read_file.
  static Result<JsonFile> read(const std::string& path, const std::string& where);

  /// A problem in `report` unless the root is an object (an array).
  std::optional<JsonObject> object(Report& report, const std::string& subject) const;
  std::optional<std::vector<JsonObject>> objects(Report& report, const std::string& subject) const;

 private:
  JsonFile(JsonValue root, std::string where) : root_(std::move(root)), where_(std::move(where)) {}

  JsonValue root_;
  std::string where_;
};

}  // namespace tilewise::checkpoint
