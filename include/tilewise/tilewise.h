// tilewise: BERT-class encoders on the matrix and vector units of server processors.
//
//   auto model = tilewise::Model::open("model.tw");
//   if (!model.ok()) { ... model.status().message() ... }
//   auto answers = model->predict("intent", {"where is my parcel"});
//
// Standard headers only. Every failure is a Status; nothing here throws but for lack of memory.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <tilewise/export.h>
#include <tilewise/status.h>

namespace tilewise {

/// "0.1.0".
TILEWISE_EXPORT const char* version();

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
  int32_t outputs = 0;  ///< floats of one answer: the logits, or the length of an embedding
  int32_t exits = 0;    ///< inner layers behind which an answer that is certain ends the pass
};

struct LabelScore {
  std::string label;
  float score = 0;  ///< probability
};

/// The fields that a task's kind sets; see TaskInfo::kind.
struct Prediction {
  float score = 0;  ///< binary: the probability
  /// Binary: set when the threshold is reached; multiclass: the best.
  std::optional<std::string> label;
  std::vector<LabelScore> labels;  ///< multiclass: best first; multilabel: those over the threshold
  bool out_of_scope = false;       ///< multiclass
  float value = 0;                 ///< regression
  std::vector<float> embedding;    ///< embedding
  std::vector<float> logits;       ///< raw output of the head
  bool truncated = false;          ///< the text was longer than the task takes and was cut
  /// Layers that the answer took, where the task has exits (with both orders: their mean); else 0.
  float depth = 0;
};

struct OpenOptions {
  /// A level that `tilewise devices` lists, as "amx", "avx512_bf16", "avx512" or "avx2": at most
  /// this one; empty: TILEWISE_ISA from the environment, or else the best of this machine.
  std::string isa = {};
  int32_t replicas = 0;  ///< 0: as many as the cores of the cpuset and quota are enough for
  /// Cores that share each pass of a replica. More answer a single request sooner, with the same
  /// result bit for bit, and get less done in total.
  int32_t cores_per_replica = 1;
  bool pin = true;  ///< pin each thread to its core
};

struct PredictOptions {
  int32_t top = 1;           ///< labels of a multiclass answer; 0: all
  bool both_orders = false;  ///< score: the logits are the mean of (left, right) and (right, left)
  /// Binary and multilabel: on the logit, instead of the task's own.
  std::optional<float> threshold = {};
  bool full_depth = false;  ///< all layers: the task's exits are not used
};

/// Token sequences end to end, without padding, as the model's tokenizer made them: special tokens
/// included. It owns nothing.
struct TokenBatch {
  const int32_t* ids = nullptr;
  const int32_t* types = nullptr;  ///< token types, as many as ids; null: all 0
  /// sequences + 1, from 0: sequence i is ids[offsets[i], offsets[i + 1]).
  const int32_t* offsets = nullptr;
  int32_t sequences = 0;
};

// Of columns.h.
class StringColumn;
struct RecordColumn;
using ContentColumn = std::variant<StringColumn, RecordColumn>;
struct ColumnOptions;
struct AnswerColumns;

/// An opened artifact with its replicas: one thread a core. Cheap to copy (copies share
/// everything), thread-safe. The last copy ends the threads. A moved-from Model may only be
/// assigned to or destroyed.
class TILEWISE_EXPORT Model {
 public:
  /// Maps the file (milliseconds) and starts the replicas. Errors: not_found, io_error,
  /// invalid_input (a broken file), unsupported (written by a newer tilewise), invalid_argument (an
  /// option), unavailable_machine (the ISA asked for does not run here, or there
  /// are fewer cores than one replica shall have).
  static Result<Model> open(const std::string& path, const OpenOptions& options = {});

  std::vector<TaskInfo> tasks() const;
  /// The instruction set that really runs, as in OpenOptions::isa, or two of them for a model in
  /// int8: "avx512_bf16+avx512_vnni".
  std::string isa() const;
  int32_t replicas() const;

  /// One answer a text, in order; each may fail alone (invalid_input: a record where the task has
  /// no template). Blocks until all are there; the texts are spread over the replicas. Text longer
  /// than the task's max_tokens is cut (see truncated). Errors of the whole call: not_found (no
  /// such task), invalid_argument (the task takes pairs, or an option).
  Result<std::vector<Result<Prediction>>> predict(const std::string& task,
                                                  const std::vector<Content>& texts,
                                                  const PredictOptions& options = {}) const;

  /// The same for a task that takes pairs.
  Result<std::vector<Result<Prediction>>> score(const std::string& task,
                                                const std::vector<Pair>& pairs,
                                                const PredictOptions& options = {}) const;

  /// The same answers bit for bit, for inputs that lie in columns: nothing of them is copied on the
  /// way to the tokenizer. Takes <tilewise/columns.h>. Several calls at once share the replicas.
  /// Errors of the whole call: as above; interrupted (ColumnOptions::stop); unavailable_machine (no
  /// memory). A row without text fails alone (invalid_input).
  Result<AnswerColumns> predict_columns(const std::string& task, const ContentColumn& texts,
                                        const ColumnOptions& options) const;

  /// The same for pairs; both columns have as many rows (else: invalid_argument).
  Result<AnswerColumns> score_columns(const std::string& task, const ContentColumn& left,
                                      const ContentColumn& right,
                                      const ColumnOptions& options) const;

  /// Token ids instead of text: the logits of a task, or its embedding; sequences x
  /// TaskInfo::outputs floats, bit for bit those of predict() on a text with these tokens. A
  /// sequence is never cut: it may be longer than TaskInfo::max_tokens, as long as the encoder has
  /// positions. Exits are not taken. `stop` as ColumnOptions::stop. Several calls at once share the
  /// replicas. Errors: not_found (no such task); invalid_argument (a length, an id or a type that
  /// the model does not have, naming it); interrupted; unavailable_machine (no memory).
  Result<std::vector<float>> run_tokens(const std::string& task, const TokenBatch& batch,
                                        const std::function<bool()>& stop = {}) const;

 private:
  struct State;
  explicit Model(std::shared_ptr<const State> state) : state_(std::move(state)) {}
  std::shared_ptr<const State> state_;
};

/// Rows of one task to calibrate int8 with; some hundreds are enough, and no labels are needed.
struct Calibration {
  std::string task;
  std::vector<Content> texts = {};  ///< where the task takes single texts
  std::vector<Pair> pairs = {};     ///< where it takes pairs
};

struct CompileOptions {
  std::string backbone = {};       ///< folder of the backbone where it lies elsewhere
  std::string precision = "bf16";  ///< "bf16", "int8" or "fp32"
  /// int8 only, each task at most once: what layers cost in int8 is measured on these rows, and the
  /// worst stay in bf16. Rows that do not fit their task are left out.
  std::vector<Calibration> calibration = {};
};

/// Compiles a checkpoint (a Hugging Face folder, or one with tasks.json) into the artifact
/// `output`, which appears whole or not at all. Equal input gives equal bytes. Thread-safe. Errors:
/// not_found, io_error, invalid_input (naming the file and the tensor or field; no usable
/// calibration row), unsupported (naming what), invalid_argument (an option).
TILEWISE_EXPORT Status compile(const std::string& folder, const std::string& output,
                               const CompileOptions& options = {});

}  // namespace tilewise
