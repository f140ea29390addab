// Where int8 is good enough, and how each layer quantises its input: measured on rows of the
// user's.
#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <numeric>
#include <utility>

#include <fmt/format.h>

#include "artifact/schema.h"
#include "compile/calibration_tokens.h"
#include "compile/layer_inputs.h"
#include "compile/parallel.h"
#include "compile/passes.h"
#include "compile/simulation.h"

namespace tilewise::compile {
namespace {

using Outputs = std::vector<std::vector<float>>;  // a task each

/// SmoothQuant's alpha, in quarters; 0 means no smoothing.
constexpr int kSmoothing[] = {0, 1, 2, 3};
/// Smoothing costs a multiplication an input whenever the model runs: it must be worth that.
constexpr double kWorthSmoothing = 0.95;

/// Of the sequences, every so many are enough to compare layers with each other.
constexpr int32_t kComparisonStep = 8;

double relative_error(std::span<const float> found, std::span<const float> exact) {
  double difference = 0;
  double size = 0;
  for (size_t i = 0; i < exact.size(); ++i) {
    const double d = double{found[i]} - exact[i];
    difference += d * d;
    size += double{exact[i]} * exact[i];
  }
  return size > 0 ? std::sqrt(difference / size) : 0;
}

std::vector<double> relative_errors(const Outputs& found, const Outputs& exact) {
  std::vector<double> errors;
  for (size_t t = 0; t < exact.size(); ++t) errors.push_back(relative_error(found[t], exact[t]));
  return errors;
}

/// What is recorded: more digits would mean nothing.
float three_digits(double value) {
  return std::strtof(fmt::format("{:.2e}", value).c_str(), nullptr);
}

/// Every kComparisonStep-th sequence.
std::vector<TaskTokens> few_of(const std::vector<TaskTokens>& tasks) {
  std::vector<TaskTokens> few;
  for (const TaskTokens& all : tasks) {
    TaskTokens& some = few.emplace_back();
    some.task = all.task;
    for (int32_t s = 0; s < all.sequences(); s += kComparisonStep) {
      const auto first = all.offsets[s];
      const auto last = all.offsets[s + 1];
      some.ids.insert(some.ids.end(), all.ids.begin() + first, all.ids.begin() + last);
      some.types.insert(some.types.end(), all.types.begin() + first, all.types.begin() + last);
      some.offsets.push_back(static_cast<int32_t>(some.ids.size()));
    }
  }
  return few;
}

class Calibrator {
 public:
  Calibrator(Draft& draft, Simulation simulation, std::vector<TaskTokens> tokens)
      : draft_(draft), simulation_(std::move(simulation)), tokens_(std::move(tokens)) {
    for (size_t i = 0; i < draft.inputs.size(); ++i) {
      if (draft.metadata.linears[i].precision == model::Precision::int8) candidates_.push_back(i);
    }
  }

  Result<std::string> run() {
    InputCollector collector(draft_, token_count());
    TILEWISE_ASSIGN_OR_RETURN(
        exact_, simulation_.run(tokens_, [&](const auto& input) { collector.add(input); }));
    TILEWISE_RETURN_IF_ERROR(check_finite());
    choose_inputs(collector.take());
    TILEWISE_ASSIGN_OR_RETURN(std::vector<double> errors, errors_without({}));
    if (!is_small(errors)) {
      TILEWISE_ASSIGN_OR_RETURN(errors, keep_the_worst_in_bf16());
    }
    return record(errors);
  }

 private:
  int64_t token_count() const {
    return std::accumulate(
        tokens_.begin(), tokens_.end(), int64_t{0},
        [](int64_t sum, const TaskTokens& task) { return sum + task.offsets.back(); });
  }

  /// Errors against something that is no number would look small.
  Status check_finite() const {
    for (size_t t = 0; t < exact_.size(); ++t) {
      if (std::ranges::all_of(exact_[t], [](float value) { return std::isfinite(value); }))
        continue;
      const std::string& name = draft_.metadata.tasks[tokens_[t].task].task.name;
      return invalid_input(
          {.what = "The model's own outputs are infinite or not a number",
           .where = fmt::format("calibration rows of task {}", name),
           .expected = "finite outputs in fp32",
           .remedy = "Train the checkpoint again, or compile without calibration"});
    }
    return {};
  }

  bool is_small(const std::vector<double>& errors) const {
    return std::ranges::max(errors) <= draft_.most_error;
  }

  /// The smoothing of each layer with the least error of the layer's output.
  void choose_inputs(const std::vector<LayerInputs>& inputs) {
    layers_.resize(draft_.inputs.size());
    for_each_in_parallel(candidates_.size(), [&](size_t c) {
      const size_t i = candidates_[c];
      const model::LinearWeights& weights = linear_weights(draft_, i);
      const std::vector<float> exact = simulation_.outputs_of(i, inputs[i].rows);
      double least = HUGE_VAL;
      for (const int quarters : kSmoothing) {
        InputQuantization input = draft_.inputs[i];
        if (quarters > 0) {
          input.smooth = smoothing_factors(inputs[i].largest, weights.weight, quarters);
        }
        Int8Linear layer = quantize(weights, std::move(input));
        simulation_.set_int8(i, layer);
        const double error = relative_error(simulation_.outputs_of(i, inputs[i].rows), exact);
        if (error >=
            (quarters > 0 && layers_[i].input.smooth.empty() ? kWorthSmoothing * least : least)) {
          continue;
        }
        least = error;
        layers_[i] = std::move(layer);
      }
      draft_.metadata.linears[i].error = three_digits(least);
      simulation_.set_fp32(i);
    });
  }

  /// The errors of the tasks with all candidates in int8 but these.
  Result<std::vector<double>> errors_without(std::span<const size_t> kept) {
    for (const size_t i : candidates_) simulation_.set_int8(i, layers_[i]);
    for (const size_t i : kept) simulation_.set_fp32(i);
    TILEWISE_ASSIGN_OR_RETURN(const Outputs found, simulation_.run(tokens_));
    return relative_errors(found, exact_);
  }

  /// Candidates, those first that cost most for the arithmetic that they save: by the squared error
  /// that the outputs have with that layer alone in int8.
  Result<std::vector<size_t>> worst_first() {
    const std::vector<TaskTokens> few = few_of(tokens_);
    const auto shapes = artifact::linear_layers(draft_.metadata.spec);
    for (const size_t i : candidates_) simulation_.set_fp32(i);
    TILEWISE_ASSIGN_OR_RETURN(const Outputs exact, simulation_.run(few));
    std::vector<std::pair<double, size_t>> costs;
    for (const size_t i : candidates_) {
      simulation_.set_int8(i, layers_[i]);
      TILEWISE_ASSIGN_OR_RETURN(const Outputs found, simulation_.run(few));
      simulation_.set_fp32(i);
      double squares = 0;
      for (const double error : relative_errors(found, exact)) squares += error * error;
      costs.emplace_back(squares / static_cast<double>(shapes[i].outputs * shapes[i].inputs), i);
    }
    std::ranges::sort(costs, [](const auto& a, const auto& b) {
      return a.first != b.first ? a.first > b.first : a.second < b.second;
    });
    std::vector<size_t> order;
    for (const auto& [cost, index] : costs) order.push_back(index);
    return order;
  }

  /// As few as make all errors small, found by halving; returns the errors that are left.
  Result<std::vector<double>> keep_the_worst_in_bf16() {
    TILEWISE_ASSIGN_OR_RETURN(const std::vector<size_t> order, worst_first());
    size_t too_few = 0;
    size_t enough = order.size();
    std::vector<double> errors(tokens_.size());  // of `enough`: with none in int8 there are none
    while (enough - too_few > 1) {
      const size_t middle = (too_few + enough) / 2;
      TILEWISE_ASSIGN_OR_RETURN(std::vector<double> found,
                                errors_without(std::span(order).first(middle)));
      if (is_small(found)) {
        enough = middle;
        errors = std::move(found);
      } else {
        too_few = middle;
      }
    }
    for (const size_t i : std::span(order).first(enough)) {
      draft_.metadata.linears[i].precision = model::Precision::bf16;
    }
    return errors;
  }

  /// The choices and what they cost, into the draft.
  std::string record(const std::vector<double>& errors) {
    size_t kept = 0;
    for (const size_t i : candidates_) {
      artifact::LinearPrecision& linear = draft_.metadata.linears[i];
      draft_.inputs[i] = std::move(layers_[i].input);
      linear.is_smoothed = !draft_.inputs[i].smooth.empty();
      if (linear.precision == model::Precision::int8) continue;
      draft_.inputs[i] = {};
      linear.is_smoothed = false;
      linear.input_floor.reset();
      ++kept;
    }
    for (size_t t = 0; t < tokens_.size(); ++t) {
      draft_.metadata.calibration.push_back({.task = draft_.calibration[t].task,
                                             .rows = tokens_[t].sequences(),
                                             .sha256 = draft_.calibration[t].sha256,
                                             .error = three_digits(errors[t])});
    }
    return fmt::format("{} tokens, error of the outputs {:.2f} %, {} layers stay in bf16",
                       token_count(), 100 * std::ranges::max(errors), kept);
  }

  Draft& draft_;
  Simulation simulation_;
  std::vector<TaskTokens> tokens_;
  std::vector<size_t> candidates_;  ///< layers that may be int8
  std::vector<Int8Linear> layers_;  ///< what they would be
  Outputs exact_;
};

}  // namespace

Result<std::string> calibrate(Draft& draft) {
  if (draft.calibration.empty()) return std::string("no rows: int8 wherever it fits");
  TILEWISE_ASSIGN_OR_RETURN(std::vector<TaskTokens> tokens, calibration_tokens(draft));
  TILEWISE_ASSIGN_OR_RETURN(Simulation simulation, Simulation::create(draft));
  return Calibrator(draft, std::move(simulation), std::move(tokens)).run();
}

}  // namespace tilewise::compile
