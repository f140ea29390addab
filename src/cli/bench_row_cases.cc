// The operations on rows: layer norm, embedding, pooling.
#include <algorithm>
#include <cmath>
#include <memory>
#include <new>
#include <random>
#include <utility>

#include <fmt/format.h>

#include "cli/bench_cases.h"
#include "kernels/kernel_reference.h"
#include "kernels/pack.h"

namespace tilewise::cli {
namespace {

using kernels::FloatArray;
using kernels::Matrix;
using model::Precision;

constexpr int32_t kTokens = 192;  // of a case

constexpr double kFp32Rounding = 0x1p-24, kBf16Rounding = 0x1p-8;  // half a unit in the last place

/// Mean and variance err by `columns` roundings, the rest by a few; values here are some units in
/// size. Then one rounding to the element type.
std::optional<WrongValue> compare_norm(const Matrix& output, int32_t row,
                                       const std::vector<double>& expected) {
  const auto columns = static_cast<int32_t>(expected.size());
  for (int32_t j = 0; j < columns; ++j) {
    const double size = std::abs(expected[j]);
    const double allowed = (2 * columns + 20) * kFp32Rounding * (4 + size) +
                           (output.precision() == Precision::bf16 ? kBf16Rounding * size : 0);
    const double found = output.at(row, j);
    if (std::abs(found - expected[j]) <= allowed) continue;
    return WrongValue{fmt::format("row {}, column {}", row, j), expected[j], found, allowed};
  }
  return std::nullopt;
}

struct NormOperands {
  Matrix input, residual, output;
  FloatArray gain, bias;
  float epsilon;

  NormOperands(const model::EncoderSpec& spec, Precision precision)
      : input(kTokens, spec.hidden, precision),
        residual(kTokens, spec.hidden, precision),
        output(kTokens, spec.hidden, precision),
        gain(spec.hidden),
        bias(spec.hidden),
        epsilon(spec.norm_epsilon) {
    std::mt19937 random(1);
    input.fill(random);
    residual.fill(random);
    gain.fill(random, 1, 0.3, spec.hidden);
    bias.fill(random, 0, 0.5, spec.hidden);
  }

  kernels::AddNormArgs args() {
    return {.input = input.data(),
            .input_stride = input.stride(),
            .residual = residual.data(),
            .residual_stride = residual.stride(),
            .gain = gain.data(),
            .bias = bias.data(),
            .epsilon = epsilon,
            .output = output.data(),
            .output_stride = output.stride(),
            .rows = kTokens,
            .columns = input.columns()};
  }

  std::optional<WrongValue> compare() const {
    for (const int32_t row : {0, kTokens - 1}) {
      std::vector<double> sums(static_cast<size_t>(input.columns()));
      for (int32_t j = 0; j < input.columns(); ++j) {
        sums[j] = input.at(row, j) + residual.at(row, j);
      }
      const auto expected = kernels::norm_reference(sums, gain.data(), bias.data(), epsilon);
      if (auto wrong = compare_norm(output, row, expected)) return wrong;
    }
    return std::nullopt;
  }
};

/// Random ids from a table of the vocabulary's size, so that rows come from as far as they do.
struct EmbedOperands {
  AlignedBuffer words;
  std::vector<int32_t> ids, positions, types;
  FloatArray position_table, type_table, gain, bias;
  Matrix output;
  float epsilon;
  bool has_types;

  EmbedOperands(const model::EncoderSpec& spec, Precision precision, AlignedBuffer memory)
      : words(std::move(memory)),
        ids(kTokens),
        positions(kTokens),
        types(kTokens),
        position_table(int64_t{spec.max_positions} * spec.embedding_width()),
        type_table(int64_t{std::max(spec.token_types, 1)} * spec.embedding_width()),
        gain(spec.embedding_width()),
        bias(spec.embedding_width()),
        output(kTokens, spec.embedding_width(), precision),
        epsilon(spec.norm_epsilon),
        has_types(spec.token_types > 0) {
    std::mt19937 random(1);
    fill_words(precision);
    std::uniform_int_distribution<int32_t> any(0, spec.vocab_size - 1);
    for (int32_t& id : ids) id = any(random);
    for (int32_t i = 0; i < kTokens; ++i) positions[i] = i % std::min(12, spec.max_positions);
    position_table.fill(random, 0, 1, int64_t{spec.max_positions} * spec.embedding_width());
    type_table.fill(random, 0, 1, int64_t{std::max(spec.token_types, 1)} * spec.embedding_width());
    gain.fill(random, 1, 0.3, spec.embedding_width());
    bias.fill(random, 0, 0.5, spec.embedding_width());
  }

  /// Uniform from -1 to 1: a normal distribution would take a second for a whole vocabulary.
  void fill_words(Precision precision) {
    uint32_t state = 1;
    const auto next = [&] {
      state = state * 1664525U + 1013904223U;
      return static_cast<float>(static_cast<int32_t>(state)) * 0x1p-31f;
    };
    if (precision == Precision::fp32) {
      auto* values = reinterpret_cast<float*>(words.data());
      std::generate(values, values + words.size() / sizeof *values, next);
    } else {
      auto* values = reinterpret_cast<uint16_t*>(words.data());
      std::generate(values, values + words.size() / sizeof *values,
                    [&] { return kernels::to_bf16(next()); });
    }
  }

  double word(int32_t id, int32_t column) const {
    const int64_t at = int64_t{id} * output.columns() + column;
    if (output.precision() == Precision::fp32) {
      return reinterpret_cast<const float*>(words.data())[at];
    }
    return kernels::from_bf16(reinterpret_cast<const uint16_t*>(words.data())[at]);
  }

  kernels::EmbedArgs args() {
    return {.ids = ids.data(),
            .positions = positions.data(),
            .types = has_types ? types.data() : nullptr,
            .word_table = words.data(),
            .position_table = position_table.data(),
            .type_table = has_types ? type_table.data() : nullptr,
            .gain = gain.data(),
            .bias = bias.data(),
            .epsilon = epsilon,
            .output = output.data(),
            .output_stride = output.stride(),
            .rows = kTokens,
            .columns = output.columns()};
  }

  std::optional<WrongValue> compare() const {
    for (const int32_t row : {0, kTokens - 1}) {
      std::vector<double> sums(static_cast<size_t>(output.columns()));
      for (int32_t j = 0; j < output.columns(); ++j) {
        sums[j] = word(ids[row], j) +
                  position_table.data()[int64_t{positions[row]} * output.columns() + j] +
                  (has_types ? type_table.data()[j] : 0.0f);
      }
      const auto expected = kernels::norm_reference(sums, gain.data(), bias.data(), epsilon);
      if (auto wrong = compare_norm(output, row, expected)) return wrong;
    }
    return std::nullopt;
  }
};

struct PoolOperands {
  static constexpr int32_t kLength = 12, kCount = kTokens / kLength;
  std::vector<int32_t> offsets;
  Matrix input, output;

  PoolOperands(const model::EncoderSpec& spec, Precision precision)
      : input(kTokens, spec.hidden, precision), output(kCount, spec.hidden, Precision::fp32) {
    for (int32_t s = 0; s <= kCount; ++s) offsets.push_back(s * kLength);
    std::mt19937 random(1);
    input.fill(random);
  }

  kernels::PoolArgs args() {
    return {.input = input.data(),
            .input_stride = input.stride(),
            .offsets = offsets.data(),
            .sequences = kCount,
            .pooling = model::Pooling::mean,
            .output = static_cast<float*>(output.data()),
            .output_stride = output.stride(),
            .columns = input.columns()};
  }

  std::optional<WrongValue> compare() const {
    for (const int32_t sequence : {0, kCount - 1}) {
      for (int32_t j = 0; j < input.columns(); ++j) {
        double sum = 0, magnitude = 0;
        for (int32_t t = 0; t < kLength; ++t) {
          const double value = input.at(sequence * kLength + t, j) / kLength;
          sum += value;
          magnitude += std::abs(value);
        }
        const double allowed = (kLength + 2) * kFp32Rounding * magnitude;
        const double found = output.at(sequence, j);
        if (std::abs(found - sum) <= allowed) continue;
        return WrongValue{fmt::format("sequence {}, column {}", sequence, j), sum, found, allowed};
      }
    }
    return std::nullopt;
  }
};

/// A set with a matrix unit borrows its operations on rows: the weakest set that has the same.
Isa rows_isa(const kernels::KernelSet& set) {
  Isa isa = set.isa;
  for (const kernels::KernelSet& other : kernels::all_kernel_sets()) {
    if (other.add_norm == set.add_norm) isa = std::min(isa, other.isa);
  }
  return isa;
}

CaseInfo row_info(const char* kernel, const kernels::KernelSet& set, int64_t columns,
                  double bytes_per_value) {
  return {.kernel = kernel,
          .precision = set.precision,
          .isa = rows_isa(set),
          .sizes = {{"rows", kTokens}, {"columns", columns}},
          .bytes = bytes_per_value * kTokens * static_cast<double>(columns),
          .rows = kTokens,
          .check = "first and last row"};
}

/// The case of `info`, which calls `function` with the operands' args().
template <class Function, class Operands>
KernelCase row_case(const CaseInfo& info, const kernels::KernelSet& set, Function function,
                    const std::shared_ptr<Operands>& operands) {
  return {.info = info,
          .begin_pass = set.begin_pass,
          .end_pass = set.end_pass,
          .run = [function, operands, args = operands->args()] { function(args); },
          .compare = [operands] { return operands->compare(); }};
}

std::shared_ptr<EmbedOperands> embed_operands(const model::EncoderSpec& spec, Precision precision) {
  auto words = AlignedBuffer::allocate(static_cast<size_t>(spec.vocab_size) *
                                       static_cast<size_t>(spec.embedding_width()) *
                                       kernels::element_bytes(precision));
  if (!words.ok()) throw std::bad_alloc();
  return std::make_shared<EmbedOperands>(spec, precision, std::move(*words));
}

}  // namespace

CaseGroup row_cases(const model::EncoderSpec& spec, const kernels::KernelSet& set) {
  const auto element = static_cast<double>(kernels::element_bytes(set.precision));
  CaseGroup group;
  group.infos = {
      row_info("add_norm", set, spec.hidden, 3 * element),
      row_info("embed", set, spec.embedding_width(),
               2 * element),  // positions and types stay in L1
      row_info("pool", set, spec.hidden, element + 4.0 / PoolOperands::kLength),
  };
  group.make = [&set, spec, infos = group.infos] {
    return std::vector<KernelCase>{
        row_case(infos[0], set, set.add_norm, std::make_shared<NormOperands>(spec, set.precision)),
        row_case(infos[1], set, set.embed, embed_operands(spec, set.precision)),
        row_case(infos[2], set, set.pool, std::make_shared<PoolOperands>(spec, set.precision))};
  };
  return group;
}

}  // namespace tilewise::cli
