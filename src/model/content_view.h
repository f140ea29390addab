// Content of model/row.h that lies in memory of the caller, so that none of it is copied on its way
// to the tokenizer.
#pragma once

#include <span>
#include <string_view>
#include <variant>

namespace tilewise::model {

struct FieldView {
  std::string_view name;
  std::string_view value;
};

/// A record: the fields that it has, in any order; of several with one name the last counts.
using RecordView = std::span<const FieldView>;

/// Plain text, or a record. Valid as long as the memory that it names.
using ContentView = std::variant<std::string_view, RecordView>;

}  // namespace tilewise::model
