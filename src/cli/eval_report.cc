#include "cli/eval_report.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "rows/json_writer.h"

namespace tilewise::cli {
namespace {

using eval::Confusion;
using eval::LabelQuality;

constexpr size_t kWorstLabels = 5;

std::string line(const char* name, const std::string& value) {
  return fmt::format("{:<20}{}\n", name, value);
}
std::string percent(const std::optional<double>& share) {
  return share ? fmt::format("{:.2f} %", 100 * *share) : "-";
}
std::string number(const std::optional<double>& value) {
  return value ? fmt::format("{:.4f}", *value) : "-";
}
std::string logit(const std::optional<float>& value) {
  return value ? fmt::format("{}", *value) : "-";
}

std::string describe(float temperature, const std::optional<eval::BestCalibration>& best) {
  if (!best) return "";
  return line("best temperature",
              fmt::format("{:.4g} instead of {}: calibration error {}, log loss {} on these rows",
                          best->temperature, temperature, percent(best->calibration_error),
                          number(best->log_loss)));
}

std::string describe(const eval::DepthQuality& depth) {
  return line("depth",
              fmt::format("{:.2f} of {} layers; {:.2f} % of the decisions are others at full depth",
                          depth.mean, depth.layers, 100 * depth.changed));
}

std::string describe(const Confusion& counts) {
  return fmt::format(
      "{:.2f} %  (precision {:.2f} %, recall {:.2f} %: {} right, {} too many, {} missed)",
      100 * counts.f1(), 100 * counts.precision(), 100 * counts.recall(), counts.true_positives,
      counts.false_positives, counts.false_negatives);
}

/// Labels that are answered wrong at all, those with the lowest F1 first.
std::vector<LabelQuality> worst_of(std::vector<LabelQuality> labels) {
  std::erase_if(labels, [](const LabelQuality& label) {
    return label.confusion.false_positives + label.confusion.false_negatives == 0;
  });
  std::ranges::sort(labels, {}, [](const LabelQuality& label) {
    return std::pair(label.confusion.f1(), label.label);
  });
  if (labels.size() > kWorstLabels) labels.resize(kWorstLabels);
  return labels;
}

std::string describe_worst(const std::vector<LabelQuality>& labels, const model::Task& task) {
  std::string text;
  for (const LabelQuality& label : worst_of(labels)) {
    const Confusion& counts = label.confusion;
    text += line(text.empty() ? "worst labels, F1" : "",
                 fmt::format("{:6.2f} %  {}: {} rows, {} missed, {} too many", 100 * counts.f1(),
                             task.labels[label.label], label.rows, counts.false_negatives,
                             counts.false_positives));
  }
  return text;
}

struct Describer {
  const model::Task& task;

  std::string operator()(const eval::BinaryQuality& quality) const {
    std::string text = line("F1", describe(quality.at_threshold)) +
                       line("accuracy", percent(quality.at_threshold.accuracy())) +
                       line("threshold", fmt::format("{}", quality.threshold));
    if (quality.best) {
      text +=
          line("best threshold", fmt::format("{} with an F1 of {} on these rows",
                                             quality.best->threshold, percent(quality.best->f1)));
    }
    return text + line("ROC AUC", percent(quality.roc_auc)) +
           line("average precision", percent(quality.average_precision)) +
           line("calibration error", percent(quality.calibration_error)) +
           line("log loss", number(quality.log_loss)) +
           describe(task.temperature, quality.best_calibration);
  }

  std::string operator()(const eval::MulticlassQuality& quality) const {
    std::string text =
        line("accuracy", percent(quality.accuracy)) + line("macro F1", percent(quality.macro_f1)) +
        line("calibration error", percent(quality.calibration_error)) +
        line("log loss", number(quality.log_loss)) +
        describe(task.temperature, quality.best_calibration) + describe_worst(quality.labels, task);
    if (!quality.out_of_scope) return text;
    const eval::OutOfScopeQuality& outside = *quality.out_of_scope;
    text += line("out of scope", fmt::format("{} rows", outside.rows));
    if (outside.below) {
      text += line(
          "  at the task's",
          fmt::format("recall {}, in scope kept {}, decisions right {}", percent(outside.recall),
                      percent(outside.in_scope_kept), percent(outside.decisions_right)));
    }
    return text +
           line("  keeping 95 %",
                fmt::format("recall {} below {}", percent(outside.recall_keeping_95),
                            logit(outside.below_keeping_95))) +
           line("  ROC AUC", percent(outside.roc_auc));
  }

  std::string operator()(const eval::MultilabelQuality& quality) const {
    return line("micro F1", describe(quality.micro)) + line("macro F1", percent(quality.macro_f1)) +
           line("all labels right", percent(quality.exact)) +
           line("threshold", fmt::format("{}", quality.threshold)) +
           describe_worst(quality.labels, task);
  }

  std::string operator()(const eval::RegressionQuality& quality) const {
    return line("mean abs. error", number(quality.mean_absolute_error)) +
           line("root mean sq. error", number(quality.root_mean_square_error)) +
           line("Pearson", number(quality.pearson)) + line("Spearman", number(quality.spearman));
  }
};

void write(rows::JsonWriter& json, const char* name, const std::optional<double>& value) {
  json.key(name);
  value ? json.number(*value) : json.null();
}

void write_float32(rows::JsonWriter& json, const char* name, const std::optional<float>& value) {
  json.key(name);
  value ? json.float32(*value) : json.null();
}

void write_calibration(rows::JsonWriter& json, float temperature,
                       const std::optional<eval::BestCalibration>& best) {
  const auto of_best = [&](const char* name, double eval::BestCalibration::* value) {
    write(json, name, best ? std::optional((*best).*value) : std::nullopt);
  };
  json.key("temperature").float32(temperature);
  of_best("best_temperature", &eval::BestCalibration::temperature);
  of_best("best_calibration_error", &eval::BestCalibration::calibration_error);
  of_best("best_log_loss", &eval::BestCalibration::log_loss);
}

void write_depth(rows::JsonWriter& json, const eval::DepthQuality& depth) {
  json.key("depth").begin_object().key("mean").number(depth.mean);
  json.key("layers").integer(depth.layers).key("changed").number(depth.changed).end_object();
}

void write_counts(rows::JsonWriter& json, const Confusion& counts) {
  write(json, "f1", counts.f1());
  write(json, "precision", counts.precision());
  write(json, "recall", counts.recall());
  json.key("true_positives").integer(counts.true_positives);
  json.key("false_positives").integer(counts.false_positives);
  json.key("true_negatives").integer(counts.true_negatives);
  json.key("false_negatives").integer(counts.false_negatives);
}

void write_labels(rows::JsonWriter& json, const std::vector<LabelQuality>& labels,
                  const model::Task& task) {
  json.key("labels").begin_array();
  for (const LabelQuality& label : labels) {
    json.begin_object().key("label").string(task.labels[label.label]);
    json.key("rows").integer(label.rows);
    write_counts(json, label.confusion);
    json.end_object();
  }
  json.end_array();
}

void write_out_of_scope(rows::JsonWriter& json, const eval::OutOfScopeQuality& quality) {
  json.key("out_of_scope").begin_object().key("rows").integer(quality.rows);
  write_float32(json, "below", quality.below);
  write(json, "recall", quality.recall);
  write(json, "in_scope_kept", quality.in_scope_kept);
  write(json, "decisions_right", quality.decisions_right);
  write(json, "roc_auc", quality.roc_auc);
  write_float32(json, "below_keeping_95", quality.below_keeping_95);
  write(json, "recall_keeping_95", quality.recall_keeping_95);
  json.end_object();
}

struct JsonReporter {
  rows::JsonWriter& json;
  const model::Task& task;

  void operator()(const eval::BinaryQuality& quality) const {
    json.key("threshold").float32(quality.threshold);
    write_counts(json, quality.at_threshold);
    write(json, "accuracy", quality.at_threshold.accuracy());
    write_float32(json, "best_threshold",
                  quality.best ? std::optional(quality.best->threshold) : std::nullopt);
    write(json, "best_f1", quality.best ? std::optional(quality.best->f1) : std::nullopt);
    write(json, "roc_auc", quality.roc_auc);
    write(json, "average_precision", quality.average_precision);
    write(json, "calibration_error", quality.calibration_error);
    write(json, "log_loss", quality.log_loss);
    write_calibration(json, task.temperature, quality.best_calibration);
  }

  void operator()(const eval::MulticlassQuality& quality) const {
    write(json, "accuracy", quality.accuracy);
    write(json, "macro_f1", quality.macro_f1);
    write(json, "calibration_error", quality.calibration_error);
    write(json, "log_loss", quality.log_loss);
    write_calibration(json, task.temperature, quality.best_calibration);
    if (quality.out_of_scope) write_out_of_scope(json, *quality.out_of_scope);
    write_labels(json, quality.labels, task);
  }

  void operator()(const eval::MultilabelQuality& quality) const {
    json.key("threshold").float32(quality.threshold);
    json.key("micro").begin_object();
    write_counts(json, quality.micro);
    json.end_object();
    write(json, "macro_f1", quality.macro_f1);
    write(json, "exact", quality.exact);
    write_labels(json, quality.labels, task);
  }

  void operator()(const eval::RegressionQuality& quality) const {
    write(json, "mean_absolute_error", quality.mean_absolute_error);
    write(json, "root_mean_square_error", quality.root_mean_square_error);
    write(json, "pearson", quality.pearson);
    write(json, "spearman", quality.spearman);
  }
};

}  // namespace

std::string describe(const eval::Report& report, const model::Task& task) {
  std::string rows = std::to_string(report.rows);
  if (report.rejected > 0) rows += fmt::format(", {} more rejected", report.rejected);
  if (report.truncated > 0) rows += fmt::format(", {} of them cut", report.truncated);
  return line("task", fmt::format("{} ({})", task.name, model::name_of(task.kind))) +
         line("rows", rows) + (report.depth ? describe(*report.depth) : "") +
         std::visit(Describer{task}, report.quality);
}

std::string to_json(const eval::Report& report, const model::Task& task,
                    const engine::Engine& engine) {
  rows::JsonWriter json;
  json.begin_object().key("task").string(task.name).key("kind").string(model::name_of(task.kind));
  json.key("precision").string(name_of(engine.metadata().precision));
  json.key("isa").string(engine.isa());
  json.key("rows").integer(report.rows).key("rejected").integer(report.rejected);
  json.key("truncated").integer(report.truncated).key("seconds").number(report.seconds);
  if (report.depth) write_depth(json, *report.depth);
  std::visit(JsonReporter{json, task}, report.quality);
  json.end_object();
  return json.text() + "\n";
}

}  // namespace tilewise::cli
