// Adaptive depth: what leaves early has the bits of the plain definition, whatever is around it.
#include "runtime/exits.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <set>

#include <gtest/gtest.h>

#include "base/aligned_buffer.h"
#include "kernels/pack.h"
#include "runtime/replica_fixture.h"

namespace tilewise::runtime {
namespace {

// ---------------------------------------------------------------------------------------------------------------------
// One decision

model::Exit exit_at(float confidence, float temperature = 1, std::optional<float> below = {}) {
  return {.after_layer = 1, .confidence = confidence, .temperature = temperature, .below = below};
}

TEST(IsCertain, ABinaryAnswerOnEitherSide) {
  // sigmoid(2.2) = 0.90025, sigmoid(2.19) = 0.89935.
  for (const float sign : {1.0F, -1.0F}) {
    EXPECT_TRUE(is_certain(exit_at(0.9F), std::array{sign * 2.2F}));
    EXPECT_FALSE(is_certain(exit_at(0.9F), std::array{sign * 2.19F}));
    EXPECT_TRUE(is_certain(exit_at(0.9F, 2), std::array{sign * 4.4F}));
    EXPECT_FALSE(is_certain(exit_at(0.9F, 2), std::array{sign * 4.38F}));
  }
  EXPECT_TRUE(is_certain(exit_at(1), std::array{1000.0F}));
  EXPECT_FALSE(is_certain(exit_at(1), std::array{30.0F}));  // 1 - 9e-14
}

TEST(IsCertain, TheLargestOfManyClasses) {
  // exp(3) / (exp(3) + 2) = 0.90944.
  EXPECT_TRUE(is_certain(exit_at(0.909F), std::array{0.0F, 3.0F, 0.0F}));
  EXPECT_FALSE(is_certain(exit_at(0.91F), std::array{0.0F, 3.0F, 0.0F}));
  EXPECT_TRUE(is_certain(exit_at(0.909F, 0.5F), std::array{5.0F, 6.5F, 5.0F}));
  EXPECT_FALSE(is_certain(exit_at(0.91F, 0.5F), std::array{5.0F, 6.5F, 5.0F}));
  EXPECT_TRUE(is_certain(exit_at(0.9F), std::array{-3e38F, 3e38F}));
}

TEST(IsCertain, WhatMayBeOutOfScopeGoesOn) {
  // ln(exp(5) + 2 exp(0)) = 5.01339; the temperature is not asked there.
  for (const float temperature : {0.5F, 1.0F}) {
    EXPECT_TRUE(is_certain(exit_at(0.9F, temperature, 5.0133F), std::array{0.0F, 5.0F, 0.0F}));
    EXPECT_FALSE(is_certain(exit_at(0.9F, temperature, 5.0135F), std::array{0.0F, 5.0F, 0.0F}));
  }
}

TEST(IsCertain, WhatIsNoNumberIsNever) {
  for (const float wrong : {NAN, INFINITY}) {
    EXPECT_FALSE(is_certain(exit_at(0.6F), std::array{wrong, 0.0F}));
    EXPECT_FALSE(is_certain(exit_at(0.6F), std::array{9.0F, wrong}));
  }
  EXPECT_FALSE(is_certain(exit_at(0.6F), std::array{NAN}));
  EXPECT_FALSE(is_certain(exit_at(0.6F), std::array{-INFINITY, -INFINITY}));
}

TEST(Packed, ClosesUpInOrder) {
  std::vector<int32_t> offsets = {0, 3, 4, 9, 11, 18}, numbers = {7, 8, 9, 10, 11}, from(5, -1);
  Packed packed{offsets.data(), numbers.data(), 5};
  const auto keep = [&](std::set<int32_t> kept) {
    packed.close_up([&](int32_t number) { return kept.contains(number); }, from.data());
  };
  keep({7, 9, 11});
  EXPECT_EQ(packed.sequences, 3);
  EXPECT_EQ(packed.tokens(), 15);
  EXPECT_EQ(std::vector(offsets.begin(), offsets.begin() + 4), (std::vector<int32_t>{0, 3, 8, 15}));
  EXPECT_EQ(std::vector(numbers.begin(), numbers.begin() + 3), (std::vector<int32_t>{7, 9, 11}));
  EXPECT_EQ(std::vector(from.begin(), from.begin() + 3), (std::vector<int32_t>{0, 4, 11}));
  keep({7, 9, 11});
  EXPECT_EQ(std::vector(from.begin(), from.begin() + 3), (std::vector<int32_t>{0, 3, 8}));
  keep({11});
  EXPECT_EQ(packed.tokens(), 7);
  EXPECT_EQ(from[0], 8);
  keep({});
  EXPECT_EQ(packed.sequences, 0);
  EXPECT_EQ(packed.tokens(), 0);
}

// ---------------------------------------------------------------------------------------------------------------------
// A pass

constexpr int32_t kVector = 0, kClasses = 2, kSame = 3;  // tasks; the last is added here
constexpr Pooling kAllPoolings[] = {Pooling::mean, Pooling::cls, Pooling::mean, Pooling::cls};
constexpr int32_t kLayers = 5;

/// A head of random weights, packed as an artifact has it.
class PackedLinear {
 public:
  PackedLinear(int32_t outputs, int32_t inputs, float size, uint32_t seed) : outputs_(outputs) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, size / std::sqrt(float(inputs)));
    std::vector<float> weight(size_t(outputs) * inputs), bias(kernels::padded_n(outputs));
    for (float& value : weight) value = normal(random);
    for (int32_t i = 0; i < outputs; ++i) bias[i] = normal(random);
    panels_ = copy(kernels::pack_panels(weight, outputs, inputs, Precision::fp32));
    bias_ = copy(std::as_bytes(std::span(bias)));
    inputs_ = inputs;
  }

  Linear view() const {
    Linear linear;
    linear.weights = panels_.data();
    linear.bias = reinterpret_cast<const float*>(bias_.data());
    linear.n = static_cast<int32_t>(kernels::padded_n(outputs_));
    linear.k = static_cast<int32_t>(kernels::padded_k(inputs_, Precision::fp32));
    linear.columns = inputs_;
    linear.panel_bytes = static_cast<int64_t>(
        kernels::packed_bytes(kernels::kPanelColumns, inputs_, Precision::fp32));
    return linear;
  }

 private:
  static AlignedBuffer copy(std::span<const std::byte> bytes) {
    auto buffer = AlignedBuffer::allocate(bytes.size());
    EXPECT_TRUE(buffer.ok());
    std::memcpy(buffer->data(), bytes.data(), bytes.size());
    return *std::move(buffer);
  }

  AlignedBuffer panels_, bias_;
  int32_t outputs_ = 0;
  int32_t inputs_ = 0;
};

/// A random model with exits behind layers 1, 2 and 4 of "classes", and of "same" behind 2 and 3.
class ExitsModel {
 public:
  ExitsModel(const KernelChoice& kernels, int hidden, int heads) {
    model::EncoderSpec spec = spec_of(hidden, heads, 2 * hidden);
    spec.layers = kLayers;
    random_ = RandomModel::make(spec, 41);
    opened_.emplace(random_, kernels);
    if (!opened_->weights) return;
    Head same;
    same.outputs = 1;
    same.output = add(1, 3);
    opened_->weights->heads.emplace_back(same);
    add_exits(kClasses, {{1, 0.5F}, {2, 0.6F}, {4, 0.65F}}, 0.8F, 1.6F);
    add_exits(kSame, {{2, 0.85F}, {3, 0.8F}}, 1.25F, std::nullopt);
  }

  Weights& weights() { return *opened_->weights; }
  bool is_open() const { return opened_->weights.has_value(); }

  /// The first `layers` alone, with the exits' heads as the tasks' own.
  Weights cut(int32_t layers) const {
    Weights cut = *opened_->weights;
    cut.spec.layers = layers;
    cut.layers.resize(layers);
    for (auto& head : cut.heads) {
      if (!head) continue;
      if (const Head::Exit* exit = head->exit_after(layers)) {
        head->output = exit->linear;
        head->dense.reset();
      }
      head->exits.clear();
    }
    return cut;
  }

 private:
  Linear add(int32_t outputs, float size) {
    const auto seed = static_cast<uint32_t>(100 + linears_.size());
    linears_.push_back(
        std::make_unique<PackedLinear>(outputs, opened_->weights->spec.hidden, size, seed));
    return linears_.back()->view();
  }

  void add_exits(int32_t task, const std::vector<std::pair<int32_t, float>>& exits,
                 float temperature, std::optional<float> below) {
    Head& head = *opened_->weights->heads[task];
    for (const auto& [layer, confidence] : exits) {
      head.exits.push_back({.rule = {.after_layer = layer,
                                     .confidence = confidence,
                                     .temperature = temperature,
                                     .below = below},
                            .linear = add(head.outputs, 3),
                            .scale = 1.5F / temperature});
    }
  }

  RandomModel random_;
  std::optional<Opened> opened_;
  std::vector<std::unique_ptr<PackedLinear>> linears_;
};

using Answers = std::map<int32_t, std::vector<float>>;  // by task

Answers run(Replica& replica, const Weights& weights, const Batch& batch,
            const std::vector<int32_t>& tasks, const PassOptions& options = {}) {
  Answers answers;
  std::vector<TaskOutput> outputs;
  for (const int32_t task : tasks) {
    auto& values = answers[task];
    values.assign(size_t(batch.sequences()) * weights.output_width(task), NAN);
    outputs.push_back({task, values});
  }
  replica.run(batch, outputs, options);
  return answers;
}

Replica replica_on(const Weights& weights, const KernelChoice& kernels, int32_t cores = 1) {
  auto team = Team::create(cores);
  EXPECT_TRUE(team.ok()) << team.status().message();
  auto replica = Replica::create(weights, kernels, kAllPoolings, *std::move(team));
  EXPECT_TRUE(replica.ok()) << replica.status().message();
  return *std::move(replica);
}

/// The definition of model::Exit on paper.
bool is_certain_by_definition(const model::Exit& exit, const float* logits, int32_t outputs) {
  if (outputs == 1) {
    const double p = 1 / (1 + std::exp(-double{logits[0]} / exit.temperature));
    return std::max(p, 1 - p) >= exit.confidence;
  }
  double total = 0, energy = 0, largest = 0;
  for (int32_t i = 0; i < outputs; ++i) {
    total += std::exp(double{logits[i]} / exit.temperature);
    energy += std::exp(double{logits[i]});
  }
  for (int32_t i = 0; i < outputs; ++i) {
    largest = std::max(largest, std::exp(double{logits[i]} / exit.temperature) / total);
  }
  return largest >= exit.confidence && (!exit.below || std::log(energy) >= *exit.below);
}

/// Each sequence alone, through every depth from the beginning: of each task the first certain
/// exit's answer, or that of the whole model.
class Reference {
 public:
  Reference(ExitsModel& model, const KernelChoice& kernels) : weights_(model.weights()) {
    whole_ = weights_;
    for (auto& head : whole_.heads) {
      if (head) head->exits.clear();
    }
    for (int32_t layers = 1; layers < kLayers; ++layers) cuts_.push_back(model.cut(layers));
    cuts_.push_back(whole_);
    for (const Weights& cut : cuts_) replicas_.push_back(replica_on(cut, kernels));
  }

  Answers answer(const Sequences& sequences, bool full_depth = false) {
    Answers answers;
    for (int32_t s = 0; s < sequences.count(); ++s) {
      const auto ids = sequences.slice(sequences.ids, s);
      const auto types = sequences.slice(sequences.types, s);
      const std::vector<int32_t> offsets = {0, static_cast<int32_t>(ids.size())};
      std::vector<Answers> depths;  // [layers - 1]
      for (size_t i = 0; i < cuts_.size(); ++i) {
        depths.push_back(run(replicas_[i], cuts_[i], {ids, types, offsets}, {kClasses, kSame}));
      }
      for (const int32_t task : {kClasses, kSame}) {
        append(task, depths, full_depth, answers[task]);
      }
    }
    return answers;
  }

 private:
  void append(int32_t task, std::vector<Answers>& depths, bool full_depth,
              std::vector<float>& to) const {
    const Head& head = *weights_.heads[task];
    int32_t depth = kLayers;
    float scale = 1;
    for (const Head::Exit& exit : head.exits) {
      const auto& logits = depths[exit.rule.after_layer - 1][task];
      if (full_depth || !is_certain_by_definition(exit.rule, logits.data(), head.outputs)) continue;
      depth = exit.rule.after_layer;
      scale = exit.scale;
      break;
    }
    for (const float logit : depths[depth - 1][task]) to.push_back(logit * scale);
    to.push_back(static_cast<float>(depth));
  }

  const Weights& weights_;
  Weights whole_;
  std::vector<Weights> cuts_;  // by layers, from 1
  std::vector<Replica> replicas_;
};

void expect_same(const std::vector<float>& found, const std::vector<float>& expected,
                 const std::string& what) {
  ASSERT_EQ(found.size(), expected.size()) << what;
  ASSERT_EQ(0, std::memcmp(found.data(), expected.data(), found.size() * sizeof(float))) << what;
}

/// How many sequences took each depth.
std::map<float, int> depths_of(const std::vector<float>& values, int32_t width) {
  std::map<float, int> depths;
  for (size_t i = width - 1; i < values.size(); i += width) ++depths[values[i]];
  return depths;
}

std::vector<Sequences> mixes() {
  std::mt19937 random(17);
  std::vector<Sequences> mixes;
  mixes.emplace_back(std::vector<int>{5}, 1);
  mixes.emplace_back(std::vector<int>(40, 9), 2);
  for (const uint32_t longest : {12U, 60U, 200U}) {
    std::vector<int> lengths;
    for (uint32_t n = 8 + random() % 40; n > 0; --n) {
      lengths.push_back(1 + static_cast<int>(random() % longest));
    }
    mixes.emplace_back(lengths, 50 + longest);
  }
  return mixes;
}

class ExitsOfEverySet : public EverySet {};

TEST_P(ExitsOfEverySet, GiveTheBitsOfTheDefinitionInAnyCompany) {
  ExitsModel model(GetParam(), 64, 2);
  ASSERT_TRUE(model.is_open());
  const Weights& weights = model.weights();
  Reference reference(model, GetParam());
  std::map<float, int> depths;
  for (const Sequences& sequences : mixes()) {
    const Answers expected = reference.answer(sequences);
    for (const auto& [depth, count] :
         depths_of(expected.at(kClasses), weights.output_width(kClasses))) {
      depths[depth] += count;
    }
    for (const int32_t cores : {1, 2, 3}) {
      Replica replica = replica_on(weights, GetParam(), cores);
      const std::string what =
          std::to_string(sequences.count()) + " sequences, " + std::to_string(cores) + " cores, ";
      std::vector<std::vector<int32_t>> asked = {{kClasses}, {kClasses, kSame}};
      if (cores == 1) asked.insert(asked.end(), {{kSame}, {kSame, kVector, kClasses}});
      for (const auto& tasks : asked) {
        const Answers found = run(replica, weights, sequences.batch(), tasks);
        for (const int32_t task : tasks) {
          if (task == kVector) continue;
          expect_same(
              found.at(task), expected.at(task),
              what + "task " + std::to_string(task) + " of " + std::to_string(tasks.size()));
        }
      }
    }
  }
  EXPECT_EQ(depths.size(), 4U);  // behind 1, 2, 4 and all layers: the mixes reach every exit
}

TEST_P(ExitsOfEverySet, ATaskWithoutExitsStaysWhatItWas) {
  ExitsModel model(GetParam(), 60, 5);
  ASSERT_TRUE(model.is_open());
  const Weights& weights = model.weights();
  const Sequences sequences(std::vector<int>(30, 11), 7);
  Replica replica = replica_on(weights, GetParam());
  const Answers alone = run(replica, weights, sequences.batch(), {kVector});
  const Answers beside = run(replica, weights, sequences.batch(), {kClasses, kVector, kSame});
  expect_same(beside.at(kVector), alone.at(kVector), "vector");
}

TEST_P(ExitsOfEverySet, AreNotAskedAtFullDepth) {
  ExitsModel model(GetParam(), 64, 2);
  ASSERT_TRUE(model.is_open());
  const Weights& weights = model.weights();
  Reference reference(model, GetParam());
  const Sequences sequences(std::vector<int>{3, 30, 8, 8, 64, 1}, 9);
  const Answers expected = reference.answer(sequences, true);
  Replica replica = replica_on(weights, GetParam());
  const Answers found =
      run(replica, weights, sequences.batch(), {kClasses, kSame}, {.full_depth = true});
  for (const int32_t task : {kClasses, kSame}) {
    expect_same(found.at(task), expected.at(task), "task " + std::to_string(task));
    EXPECT_EQ(depths_of(found.at(task), weights.output_width(task)).size(), 1U);
  }
  // Nor while somebody looks at the layers' inputs.
  int32_t seen = 0;
  replica.observe_linears([&](const LinearInput& input) { seen += input.count; });
  const Answers observed = run(replica, weights, sequences.batch(), {kClasses});
  expect_same(observed.at(kClasses), expected.at(kClasses), "observed");
  EXPECT_EQ(seen, sequences.offsets.back() * kLayers * 4);
}

TEST_P(ExitsOfEverySet, TheTokensOfEveryLayerAreCounted) {
  ExitsModel model(GetParam(), 64, 2);
  ASSERT_TRUE(model.is_open());
  const Weights& weights = model.weights();
  const Sequences sequences(std::vector<int>{3, 30, 8, 8, 64, 1, 17, 40, 9, 12, 12, 100}, 9);
  Replica replica = replica_on(weights, GetParam());
  const int32_t width = weights.output_width(kClasses);
  std::vector<float> values(size_t(sequences.count()) * width);
  const TaskOutput output{kClasses, values};
  const int64_t counted = replica.run(sequences.batch(), {&output, 1});
  int64_t expected = 0;
  for (int32_t s = 0; s < sequences.count(); ++s) {
    const auto depth = static_cast<int64_t>(values[size_t(s + 1) * width - 1]);
    expected += depth * (sequences.offsets[s + 1] - sequences.offsets[s]);
  }
  EXPECT_EQ(counted, expected);
  EXPECT_LT(counted, sequences.offsets.back() * kLayers);
  EXPECT_EQ(replica.run(sequences.batch(), {&output, 1}, {.full_depth = true}),
            sequences.offsets.back() * kLayers);
}

TEST_P(ExitsOfEverySet, ASequenceWaitsForNoTaskThatItDoesNotAskFor) {
  ExitsModel model(GetParam(), 64, 2);
  ASSERT_TRUE(model.is_open());
  const Weights& weights = model.weights();
  Reference reference(model, GetParam());
  const Sequences sequences(std::vector<int>{3, 30, 8, 8, 64, 1, 17, 40, 9, 12, 12, 100, 5, 6}, 8);
  const Answers expected = reference.answer(sequences);
  for (const int32_t cores : {1, 3}) {
    Replica replica = replica_on(weights, GetParam(), cores);
    std::vector<uint8_t> wanted[2];  // classes, same: one of them, the other, or both
    for (int32_t s = 0; s < sequences.count(); ++s) {
      wanted[0].push_back(s % 3 != 1);
      wanted[1].push_back(s % 3 != 0);
    }
    const int32_t tasks[] = {kClasses, kSame};
    std::vector<float> values[2];
    std::vector<TaskOutput> outputs;
    for (int t = 0; t < 2; ++t) {
      values[t].assign(size_t(sequences.count()) * weights.output_width(tasks[t]), NAN);
      outputs.push_back({tasks[t], values[t], wanted[t]});
    }
    const int64_t counted = replica.run(sequences.batch(), outputs);
    int64_t due = 0;
    for (int32_t s = 0; s < sequences.count(); ++s) {
      int64_t depth = 0;
      for (int t = 0; t < 2; ++t) {
        if (wanted[t][s] == 0) continue;
        const size_t width = weights.output_width(tasks[t]);
        const float* const found = &values[t][s * width];
        const float* const answer = &expected.at(tasks[t])[s * width];
        EXPECT_EQ(0, std::memcmp(found, answer, width * sizeof(float))) << s << ", " << t;
        depth = std::max(depth, static_cast<int64_t>(answer[width - 1]));
      }
      due += depth * (sequences.offsets[s + 1] - sequences.offsets[s]);
    }
    EXPECT_EQ(counted, due);
  }
}

// Rows that have left lie behind the block, and what they hold must reach nobody.
TEST_P(ExitsOfEverySet, ANanStaysInItsSequence) {
  ExitsModel model(GetParam(), 60, 5);
  ASSERT_TRUE(model.is_open());
  Weights& weights = model.weights();
  const Sequences sequences(std::vector<int>(20, 13), 12);
  Replica replica = replica_on(weights, GetParam());
  const Answers clean = run(replica, weights, sequences.batch(), {kClasses});
  // A position that the long sequence alone has.
  std::vector<float> positions(weights.position_embeddings,
                               weights.position_embeddings + size_t{512} * 60);
  positions[size_t{13} * 60] = NAN;
  weights.position_embeddings = positions.data();
  std::vector<int> lengths(20, 13);
  lengths[4] = 14;
  Sequences broken(lengths, 12);
  for (int32_t s = 0, from = 0; s < 20; ++s, from += 13) {
    std::copy_n(sequences.ids.begin() + from, 13, broken.ids.begin() + broken.offsets[s]);
    std::copy_n(sequences.types.begin() + from, 13, broken.types.begin() + broken.offsets[s]);
  }
  const Answers found = run(replica, weights, broken.batch(), {kClasses});
  const int32_t width = weights.output_width(kClasses);
  for (int32_t s = 0; s < 20; ++s) {
    const size_t at = size_t(s) * width;
    if (s == 4) {
      EXPECT_TRUE(std::isnan(found.at(kClasses)[at]));
      EXPECT_EQ(found.at(kClasses)[at + width - 1], kLayers);
    } else {
      EXPECT_EQ(0, std::memcmp(&found.at(kClasses)[at], &clean.at(kClasses)[at], width * 4)) << s;
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Kernels, ExitsOfEverySet, testing::ValuesIn(every_choice()),
                         name_of_choice);

}  // namespace
}  // namespace tilewise::runtime
