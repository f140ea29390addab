// Rows in and predictions out: the data that rows/ reads and writes and that the engine works on.
#pragma once

#include <cstdint>
#include <string>
#include <variant>
#include <vector>

#include "model/task.h"

namespace tilewise::model {

/// A flat record: field -> text, in the order of the input. Numbers keep the spelling that they had
/// there.
struct Record {
  struct Field {
    std::string name;
    std::string value;
  };
  std::vector<Field> fields;
};

/// One side of an input: plain text, or a record that the task's template turns into text.
using Content = std::variant<std::string, Record>;

struct TextInput {
  Content text;
};

struct PairInput {
  Content left;
  Content right;
};

using Input = std::variant<TextInput, PairInput>;

/// An input with its identity. `id` is JSON text ready to print: `"a7"` in quotes for a string,
/// `17` for a number.
struct Row {
  std::string id;
  Input input;
  bool has_id = false;  ///< the input gave it; else it is the number of the line
};

struct LabelScore {
  int32_t label = 0;  ///< index into Task::labels
  float score = 0;    ///< probability
};

/// The answer of one task to one input. Which fields are set depends on the task's kind (see
/// TaskKind).
struct Prediction {
  std::vector<float> logits =
      {};           ///< raw output of the head, before temperature; empty for an embedding
  float score = 0;  ///< binary: the probability
  bool over_threshold = false;  ///< binary: the logit reaches the task's threshold
  std::vector<LabelScore> labels =
      {};  ///< multiclass: best first, at most `top`; multilabel: those over the threshold
  bool out_of_scope = false;          ///< multiclass with Task::out_of_scope
  float value = 0;                    ///< regression
  std::vector<float> embedding = {};  ///< embedding
  bool truncated = false;  ///< the text was longer than the task's max_tokens and was cut
  /// Layers that the answer took, where the task has exits (with both orders: their mean); else 0.
  float depth = 0;
};

}  // namespace tilewise::model
