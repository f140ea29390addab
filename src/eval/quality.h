// The quality of a task's answers, by its kind.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <variant>
#include <vector>

#include "engine/engine.h"
#include "eval/metrics.h"
#include "eval/temperature.h"
#include "eval/truth.h"
#include "model/row.h"
#include "model/task.h"

namespace tilewise::eval {

/// What the task's temperature would better be. It changes the answers at full depth: those of
/// exits have temperatures of their own, and stay as they are.
struct BestCalibration {
  double temperature = 0;        ///< with the lowest log loss, on these very rows
  double calibration_error = 0;  ///< of all rows with it
  double log_loss = 0;
};

struct BinaryQuality {
  float threshold = 0;  ///< on the logit: the one in force
  Confusion at_threshold = {};
  std::optional<BestThreshold> best = {};  ///< on the logit, on these very rows
  std::optional<double> roc_auc = {};
  std::optional<double> average_precision = {};
  double calibration_error = 0;
  double log_loss = 0;
  std::optional<BestCalibration> best_calibration = {};
};

/// Telling what belongs to none of the labels, by the logsumexp of the logits.
struct OutOfScopeQuality {
  int64_t rows = 0;                          ///< that belong to none
  std::optional<float> below = {};           ///< the task's threshold
  std::optional<double> recall = {};         ///< of those rows, with it
  std::optional<double> in_scope_kept = {};  ///< share of the others that it leaves alone
  double decisions_right = 0;                ///< of all rows: the label, or that there is none
  std::optional<double> roc_auc = {};
  /// A threshold that keeps 95 % of the other rows in scope, and its recall.
  std::optional<float> below_keeping_95 = {};
  std::optional<double> recall_keeping_95 = {};
};

/// All but `out_of_scope` of the best label and of the rows that have one; nullopt without any.
struct MulticlassQuality {
  std::optional<double> accuracy = {};
  std::optional<double> macro_f1 = {};
  std::optional<double> calibration_error = {};  ///< of the best label's probability
  std::optional<double> log_loss = {};
  std::optional<BestCalibration> best_calibration = {};
  std::vector<LabelQuality> labels = {};
  std::optional<OutOfScopeQuality> out_of_scope =
      {};  ///< where a row belongs to none of the labels
};

struct MultilabelQuality {
  float threshold = 0;
  Confusion micro = {};  ///< each label of each row counted once
  double macro_f1 = 0;
  double exact = 0;  ///< share of the rows whose labels are all right
  std::vector<LabelQuality> labels = {};
};

struct RegressionQuality {
  double mean_absolute_error = 0;
  double root_mean_square_error = 0;
  std::optional<double> pearson = {};
  std::optional<double> spearman = {};
};

using Quality =
    std::variant<BinaryQuality, MulticlassQuality, MultilabelQuality, RegressionQuality>;

/// What exits did to the answers.
struct DepthQuality {
  double mean = 0;     ///< layers that an answer took
  int32_t layers = 0;  ///< of the model
  double changed = 0;  ///< share of the decisions that are others at full depth
};

/// The label, or that there is none: whether both say the same of it. Of a binary or multiclass
/// task.
bool is_same_decision(const model::Prediction& one, const model::Prediction& other);

/// Collects answers, some 20 bytes each, and 4 bytes more for each class of a multiclass task. Not
/// thread-safe. Any task but an embedding.
class Collector {
 public:
  /// `task` must outlive the collector. `layers`: of the model.
  Collector(const model::Task& task, const engine::PredictOptions& options, int32_t layers);

  /// `prediction`: as the engine gives it with PredictOptions::top 0.
  void add(const model::Prediction& prediction, const Truth& truth);

  int64_t rows() const { return rows_; }
  /// Whether an exit gave the answer (with both orders: of one of them).
  bool is_early(const model::Prediction& prediction) const {
    return !task_.exits.empty() && prediction.depth < static_cast<float>(layers_);
  }
  Quality quality() const;

 private:
  void add_logits(const model::Prediction& prediction, int32_t due);
  void add_multiclass(const model::Prediction& prediction, const Truth& truth);
  void add_multilabel(const model::Prediction& prediction, const Truth& truth);
  BinaryQuality binary() const;
  MulticlassQuality multiclass() const;
  OutOfScopeQuality out_of_scope() const;
  std::optional<BestCalibration> best_calibration(std::span<const int32_t> asked,
                                                  std::span<const uint8_t> happened,
                                                  std::vector<double> probabilities,
                                                  std::vector<double> of_truth) const;
  MultilabelQuality multilabel() const;
  RegressionQuality regression() const;

  const model::Task& task_;
  float threshold_;
  int32_t layers_;
  int64_t rows_ = 0;

  // Of the rows that have a class, those that were answered at full depth: which, and their logits.
  std::vector<size_t> full_rows_;
  LabelledLogits full_logits_;
  size_t class_rows_ = 0;

  std::vector<float> scores_;    // binary: logit; multiclass: logsumexp; regression: value
  std::vector<uint8_t> truths_;  // binary: positive; multiclass: in scope
  std::vector<float> values_;    // regression
  // Multiclass, one a row: label that is right (-1: none), best label, its probability, that of the
  // right one.
  std::vector<int32_t> due_, best_;
  std::vector<float> best_probability_, due_probability_;
  std::vector<uint8_t> rejected_;  // as out of scope
  // Multilabel.
  std::vector<LabelQuality> labels_;
  int64_t exact_ = 0;
};

}  // namespace tilewise::eval
