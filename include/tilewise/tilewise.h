// tilewise: BERT-class encoders on the matrix and vector units of server processors.
//
//   auto model = tilewise::Model::open("model.tw");
//   if (!model.ok()) { ... model.status().message() ... }
//   auto answers = model->predict("intent", {"where is my parcel"});
//
// Standard headers only. Every failure is a Status; nothing here throws but for lack of memory.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <tilewise/status.h>

namespace tilewise {

/// "0.1.0".
const char* version();

/// A flat record: field name -> text, in any order.
using Record = std::vector<std::pair<std::string, std::string>>;

/// Plain text, or a record that the task's template turns into text.
using Content = std::variant<std::string, Record>;

struct Pair {
  Content left;
  Content right;
};

struct TaskInfo {
  std::string name;
  std::string kind;   ///< "binary", "multiclass", "multilabel", "regression", "embedding"
  std::string input;  ///< "text" or "pair"
  std::vector<std::string> labels;
  int32_t max_tokens = 0;
};

struct LabelScore {
  std::string label;
  float score = 0;  ///< probability
};

/// The fields that a task's kind sets; see TaskInfo::kind.
struct Prediction {
  float score = 0;                       ///< binary: the probability
  std::optional<std::string> label;      ///< binary: set when the threshold is reached; multiclass: the best
  std::vector<LabelScore> labels;        ///< multiclass: best first; multilabel: those over the threshold
  bool out_of_scope = false;             ///< multiclass
  float value = 0;                       ///< regression
  std::vector<float> embedding;          ///< embedding
  std::vector<float> logits;             ///< raw output of the head
  bool truncated = false;                ///< the text was longer than the task takes and was cut
};

struct OpenOptions {
  std::string isa = {};  ///< "amx", "avx512_bf16", "avx512", "avx2", "portable", "neon"; empty: the best of this machine
  int32_t replicas = 0;  ///< 0: one a core of the cpuset and quota
  bool pin = true;       ///< pin each replica to its core
};

struct PredictOptions {
  int32_t top = 1;                 ///< labels of a multiclass answer; 0: all
  bool both_orders = false;        ///< pairs: mean over both orders
  std::optional<float> threshold = {};  ///< on the logit, instead of the task's own
};

/// An opened artifact with its replicas. Cheap to copy (copies share everything), thread-safe.
class Model {
 public:
  /// Errors: not_found, invalid_input (a broken file), unavailable_machine (the ISA asked for does not run here).
  static Result<Model> open(const std::string& path, const OpenOptions& options = {});

  std::vector<TaskInfo> tasks() const;
  std::string isa() const;
  int32_t replicas() const;

  /// One answer a text, in order; each may fail alone. Errors of the whole call: not_found (no such task),
  /// invalid_argument (the task takes pairs).
  Result<std::vector<Result<Prediction>>> predict(const std::string& task,
                                                  const std::vector<Content>& texts,
                                                  const PredictOptions& options = {}) const;

  /// The same for a task that takes pairs.
  Result<std::vector<Result<Prediction>>> score(const std::string& task,
                                                const std::vector<Pair>& pairs,
                                                const PredictOptions& options = {}) const;

 private:
  struct State;
  explicit Model(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

struct CompileOptions {
  std::string backbone = {};       ///< folder of the backbone where it lies elsewhere
  std::string precision = "bf16";  ///< "bf16" or "fp32"
};

/// Compiles a checkpoint folder into the artifact `output`, which appears whole or not at all.
Status compile(const std::string& folder, const std::string& output,
               const CompileOptions& options = {});

}  // namespace tilewise
