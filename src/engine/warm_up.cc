#include "engine/warm_up.h"

#include <algorithm>
#include <array>
#include <mutex>

namespace tilewise::engine {
namespace {

/// Sequences of one length.
struct Shape {
  int32_t sequences = 1;
  int32_t length = 1;
};

// From short sequences to long ones, and cheap ones first; they differ in tokens alone, and in the
// lengths of as many tokens.
constexpr std::array kShapes = {Shape{1, 8},  Shape{8, 8},  Shape{16, 12},
                                Shape{1, 32}, Shape{2, 64}, Shape{1, 192}};
constexpr double kMeasuredSeconds = 0.03;
constexpr int kMostRounds = 3;

/// Passes of some shape with made-up tokens.
class Rehearsal {
 public:
  Rehearsal(const LoadedModel& model, Worker& worker, ReplicaTurn& turn)
      : model_(model), worker_(worker), turn_(turn) {}

  /// Returns the seconds of the pass itself, without the wait for the turn.
  double run(const Shape& shape, const TaskSet& tasks, bool full_depth, const Clock& clock) {
    fill(shape);
    std::vector<std::vector<float>> values;
    std::vector<runtime::TaskOutput> outputs;
    for (const int32_t task : tasks) {
      values.emplace_back(static_cast<size_t>(shape.sequences) * model_.output_width(task));
      outputs.push_back({task, values.back()});
    }
    turn_.lock_politely();
    const std::lock_guard turn(turn_, std::adopt_lock);
    const Time start = clock.now();
    worker_.run_tokens({ids_, types_, offsets_}, outputs, {.full_depth = full_depth});
    return seconds_between(start, clock.now());
  }

 private:
  void fill(const Shape& shape) {
    const auto vocabulary = static_cast<uint32_t>(model_.metadata().spec.vocab_size);
    ids_.clear();
    offsets_.assign(1, 0);
    // Spread over the table, as tokens of text are.
    for (int32_t i = 0; i < shape.sequences * shape.length; ++i) {
      ids_.push_back(static_cast<int32_t>(static_cast<uint32_t>(i) * 7919U % vocabulary));
    }
    for (int32_t s = 1; s <= shape.sequences; ++s) offsets_.push_back(s * shape.length);
    types_.assign(ids_.size(), 0);
  }

  const LoadedModel& model_;
  Worker& worker_;
  ReplicaTurn& turn_;
  std::vector<int32_t> ids_, types_, offsets_;
};

}  // namespace

void warm_up(const LoadedModel& model, Worker& worker, ReplicaTurn& turn, const Clock& clock) {
  TaskSet all;
  for (size_t t = 0; t < model.metadata().tasks.size(); ++t) {
    all.push_back(static_cast<int32_t>(t));
  }
  const int32_t length = std::min(16, model.metadata().spec.max_positions);
  Rehearsal rehearsal(model, worker, turn);
  for (const bool full_depth : {true, false}) rehearsal.run({1, length}, all, full_depth, clock);
}

std::vector<runtime::PassSample> measure_passes(const LoadedModel& model, Worker& worker,
                                                ReplicaTurn& turn, const Clock& clock) {
  Rehearsal rehearsal(model, worker, turn);
  std::vector<runtime::PassSample> best;  // of each shape: others may have had the core meanwhile
  double total = 0;
  for (int round = 0; round < kMostRounds; ++round) {
    for (size_t i = 0; i < kShapes.size(); ++i) {
      if (kShapes[i].length > model.metadata().spec.max_positions) break;
      // A slow model is measured with the first shapes alone.
      if (total > kMeasuredSeconds && best.size() >= 3) return best;
      runtime::PassSample sample;
      for (int32_t s = 0; s < kShapes[i].sequences; ++s) sample.shape.add(kShapes[i].length);
      sample.seconds = rehearsal.run(kShapes[i], {0}, true, clock);
      total += sample.seconds;
      if (i == best.size()) {
        best.push_back(sample);
      } else if (sample.seconds < best[i].seconds) {
        best[i] = sample;
      }
    }
  }
  return best;
}

}  // namespace tilewise::engine
