// Measures of quality, from scores and truths alone. All sums in double; all functions are pure.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace tilewise::eval {

/// What a threshold makes of a binary score.
struct Confusion {
  int64_t true_positives = 0;
  int64_t false_positives = 0;
  int64_t true_negatives = 0;
  int64_t false_negatives = 0;

  int64_t rows() const {
    return true_positives + false_positives + true_negatives + false_negatives;
  }
  /// Each is 0 where its denominator is.
  double accuracy() const;
  double precision() const;
  double recall() const;
  double f1() const;
};

/// A score at or over `threshold` is a positive; truths hold 1 for a positive, 0 for a negative.
/// scores.size() == truths.size().
Confusion confusion(std::span<const float> scores, std::span<const uint8_t> truths,
                    double threshold);

/// Area under the receiver operating characteristic: the chance that a positive scores higher than
/// a negative, a tie counting half (Mann and Whitney). nullopt without both kinds.
std::optional<double> roc_auc(std::span<const float> scores, std::span<const uint8_t> truths);

/// Sum over the thresholds of precision x the recall that is gained there; nullopt without
/// positives.
std::optional<double> average_precision(std::span<const float> scores,
                                        std::span<const uint8_t> truths);

struct BestThreshold {
  float threshold = 0;  ///< half way to the next lower score
  double f1 = 0;
};

/// The threshold with the highest F1, the highest one of several; nullopt without positives.
std::optional<BestThreshold> best_threshold(std::span<const float> scores,
                                            std::span<const uint8_t> truths);

/// ECE: mean of |share that happened - mean probability| over 15 bins of equal width, weighted by
/// their rows (Guo et al. 2017); 0 without rows. `probabilities`: of the outcome whose occurrence
/// `happened` tells.
double expected_calibration_error(std::span<const double> probabilities,
                                  std::span<const uint8_t> happened);

/// Mean of -ln of the probability that the truth was given, not under 1e-15; 0 without rows.
double log_loss(std::span<const double> of_truth);

/// One label among many.
struct LabelQuality {
  int32_t label = 0;
  int64_t rows = 0;  ///< that have it
  Confusion confusion = {};
};

/// One answer a row: `truths` and `answers` are labels from 0; -1 is none of them. A measure for
/// each of `labels` labels.
std::vector<LabelQuality> quality_by_label(std::span<const int32_t> truths,
                                           std::span<const int32_t> answers, int32_t labels);

/// Mean F1 of the labels that occur, as a truth or as an answer.
double macro_f1(std::span<const LabelQuality> labels);

/// Correlation of values (Pearson) and of their ranks, ties sharing their mean rank (Spearman);
/// nullopt where one side is constant.
std::optional<double> pearson(std::span<const float> a, std::span<const float> b);
std::optional<double> spearman(std::span<const float> a, std::span<const float> b);

}  // namespace tilewise::eval
