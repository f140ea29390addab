// A task: one head of a model with its labels, its input template and its kind. Plain data, from
// tasks.json.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "model/encoder_spec.h"
#include "model/precision.h"

namespace tilewise::model {

enum class TaskKind {
  binary,      ///< one logit, sigmoid
  multiclass,  ///< softmax over the labels
  multilabel,  ///< a sigmoid a label
  regression,  ///< the value itself
  embedding,   ///< no head: the pooled vector
};

enum class InputKind { text, pair };
enum class Truncation { longest_first, only_first, only_second };

/// How a record becomes text: for each field that the record has with a non-empty value, in this
/// order, `prefix` and the value; the pieces are joined by `separator`. Without fields a record is
/// refused and only plain strings are taken.
struct InputTemplate {
  struct Field {
    std::string name;
    std::string prefix;
    bool operator==(const Field&) const = default;
  };
  std::vector<Field> fields;
  std::string separator = " ";
  bool operator==(const InputTemplate&) const = default;
};

/// A sequence whose logsumexp of the logits lies under `below` belongs to none of the labels.
struct OutOfScope {
  float below = 0;
  bool operator==(const OutOfScope&) const = default;
};

/// A head after an inner layer: a sequence whose answer is certain there leaves the pass with it
/// (Xin et al. 2020, "DeeBERT"). Its weights are TaskWithHead::exits.
struct Exit {
  int32_t after_layer = 0;  ///< from 1 to layers - 1: so many layers have run
  /// Certain: the largest class probability (binary: max(p, 1 - p)) is at least this.
  float confidence = 1;
  float temperature = 1;  ///< this exit's logits are divided by it before that
  /// With out_of_scope: a sequence whose logsumexp of this exit's logits lies under it goes on.
  std::optional<float> below = {};
  bool operator==(const Exit&) const = default;
};

struct Task {
  std::string name;
  TaskKind kind = TaskKind::embedding;
  InputKind input = InputKind::text;
  Pooling pooling = Pooling::mean;
  std::vector<std::string>
      labels;              ///< in the order of the logits; empty for regression and embedding
  int32_t max_tokens = 0;  ///< special tokens included; longer input is cut
  Truncation truncation = Truncation::longest_first;
  InputTemplate record_template;   ///< used for records; plain strings pass as they are
  std::optional<float> threshold;  ///< on the logit, for binary and multilabel (default 0)
  float temperature = 1;  ///< logits are divided by it before a probability is made of them
  std::optional<OutOfScope> out_of_scope;
  bool normalize = false;        ///< embedding: scale the vector to length 1 (L2)
  std::vector<Exit> exits = {};  ///< by after_layer, upwards; binary and multiclass only

  /// Number of logits of the head; 0 for an embedding.
  int32_t outputs() const {
    switch (kind) {
      case TaskKind::embedding:
        return 0;
      case TaskKind::binary:
      case TaskKind::regression:
        return 1;
      case TaskKind::multiclass:
      case TaskKind::multilabel:
        return static_cast<int32_t>(labels.size());
    }
    return 0;
  }
  bool operator==(const Task&) const = default;
};

/// The names used in tasks.json and in the artifact: "binary", "pair", "longest_first", "mean",
/// "gelu_erf"...
const char* name_of(TaskKind kind);
const char* name_of(InputKind kind);
const char* name_of(Truncation truncation);
const char* name_of(Pooling pooling);
const char* name_of(Activation activation);
const char* name_of(NormPlacement placement);
const char* name_of(Positions positions);

/// The inverse; nullopt for a name that does not exist.
template <class Enum>
std::optional<Enum> parse_name(const std::string& name);
template <>
std::optional<Precision> parse_name(const std::string& name);
template <>
std::optional<TaskKind> parse_name(const std::string& name);
template <>
std::optional<InputKind> parse_name(const std::string& name);
template <>
std::optional<Truncation> parse_name(const std::string& name);
template <>
std::optional<Pooling> parse_name(const std::string& name);
template <>
std::optional<Activation> parse_name(const std::string& name);
template <>
std::optional<NormPlacement> parse_name(const std::string& name);
template <>
std::optional<Positions> parse_name(const std::string& name);

}  // namespace tilewise::model
