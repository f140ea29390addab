// The quality of a task's answers, by its kind.
#pragma once

#include <cstdint>
#include <optional>
#include <variant>
#include <vector>

#include "engine/engine.h"
#include "eval/metrics.h"
#include "eval/truth.h"
#include "model/row.h"
#include "model/task.h"

namespace tilewise::eval {

struct BinaryQuality {
  float threshold = 0;  ///< on the logit: the one in force
  Confusion at_threshold = {};
  std::optional<BestThreshold> best = {};  ///< on the logit, on these very rows
  std::optional<double> roc_auc = {};
  std::optional<double> average_precision = {};
  double calibration_error = 0;
  double log_loss = 0;
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

/// Collects answers, some 20 bytes each. Not thread-safe. Any task but an embedding.
class Collector {
 public:
  /// `task` must outlive the collector.
  Collector(const model::Task& task, const engine::PredictOptions& options);

  /// `prediction`: as the engine gives it with PredictOptions::top 0.
  void add(const model::Prediction& prediction, const Truth& truth);

  int64_t rows() const { return rows_; }
  Quality quality() const;

 private:
  void add_multiclass(const model::Prediction& prediction, const Truth& truth);
  void add_multilabel(const model::Prediction& prediction, const Truth& truth);
  BinaryQuality binary() const;
  MulticlassQuality multiclass() const;
  OutOfScopeQuality out_of_scope() const;
  MultilabelQuality multilabel() const;
  RegressionQuality regression() const;

  const model::Task& task_;
  float threshold_;
  int64_t rows_ = 0;

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
