// The linear layers of an encoder, in the precision of its activations and in int8.
#include <cmath>
#include <memory>
#include <random>

#include <fmt/format.h>

#include "cli/bench_cases.h"
#include "kernels/int8_reference.h"
#include "kernels/kernel_reference.h"
#include "kernels/pack.h"

namespace tilewise::cli {
namespace {

using kernels::Fused;
using kernels::Matrix;
using model::Precision;

constexpr int32_t kRowCounts[] = {8, 16, 64, 192, 256};
constexpr int32_t kMostRows = 256;

constexpr double kFp32Rounding = 0x1p-24, kBf16Rounding = 0x1p-8;  // half a unit in the last place

/// Which rows are compared: all columns of three of them.
struct Sample {
  int32_t rows[3];
  explicit Sample(int32_t count) : rows{0, count / 2, count - 1} {}
  std::string text() const { return fmt::format("rows {}, {} and {}", rows[0], rows[1], rows[2]); }
};

/// The sizes that a kernel sees (padded as the compiler pads) and the arithmetic that is needed.
struct LinearShape {
  int32_t k, n;
  double flops_per_row;
  Fused fused = Fused::none;

  LinearShape(const std::string& part, const model::EncoderSpec& spec) {
    const auto section = static_cast<int32_t>(kernels::padded_n(spec.hidden));
    const double hidden = spec.hidden;
    if (part == "qkv") {
      k = spec.hidden, n = 3 * section, flops_per_row = 2 * hidden * 3 * hidden;
    } else if (part == "attention_output") {
      k = section, n = spec.hidden, flops_per_row = 2 * hidden * hidden;
    } else if (part == "ffn_up") {
      k = spec.hidden, n = spec.ffn_up_outputs(), flops_per_row = 2 * hidden * n;
      if (spec.activation == model::Activation::gelu_erf && !spec.is_gated) fused = Fused::gelu_erf;
    } else {
      k = spec.intermediate, n = spec.hidden, flops_per_row = 2 * hidden * spec.intermediate;
    }
  }

  CaseInfo info(const std::string& part, Precision precision, Isa isa, int32_t rows) const {
    return {.kernel = fused == Fused::gelu_erf ? "linear+gelu" : "linear",
            .layer = part,
            .precision = precision,
            .isa = isa,
            .sizes = {{"rows", rows}, {"k", k}, {"n", n}},
            .flops = flops_per_row * rows,
            .rows = rows,
            .check = Sample(rows).text()};
  }
};

/// Adding k products in any order errs by at most k roundings of the sum of their sizes (Higham
/// 2002, 3.5), the fast GELU of bf16 by 1e-4 and the exact one by some roundings (their slope is
/// under 1.13), and storing bf16 rounds once.
double tolerance(const kernels::Reference& before, double result, double roundings, Fused fused,
                 Precision stored) {
  double bound = roundings * kFp32Rounding * before.magnitude;
  if (fused == Fused::gelu_erf) {
    bound = 1.13 * bound +
            (stored == Precision::fp32 ? 2e-7 * std::max(1.0, std::abs(before.value)) : 1e-4);
  }
  if (stored == Precision::bf16) bound += kBf16Rounding * (std::abs(result) + bound);
  return bound + kFp32Rounding * std::abs(result);
}

/// The first value of `output` that is not within its tolerance; `expected` gives the sum before
/// the activation.
template <class Expected>
std::optional<WrongValue> compare_rows(const Matrix& output, int32_t rows, int32_t columns,
                                       Fused fused, double roundings, Expected expected) {
  for (const int32_t row : Sample(rows).rows) {
    for (int32_t column = 0; column < columns; ++column) {
      const kernels::Reference before = expected(row, column);
      const double result =
          fused == Fused::gelu_erf ? kernels::gelu_reference(before.value) : before.value;
      const double allowed = tolerance(before, result, roundings, fused, output.precision());
      const double found = output.at(row, column);
      if (std::abs(found - result) <= allowed) continue;
      return WrongValue{fmt::format("row {}, column {}", row, column), result, found, allowed};
    }
  }
  return std::nullopt;
}

struct LinearOperands {
  kernels::LinearLayer layer;
  Matrix input, output;

  LinearOperands(const LinearShape& shape, Precision precision, std::mt19937 random)
      : layer(shape.k, shape.n, precision, random),
        input(kMostRows, shape.k, precision),
        output(kMostRows, layer.padded_n(), precision) {
    input.fill(random);
  }

  kernels::LinearArgs args(int32_t rows, Fused fused) {
    kernels::LinearArgs args = layer.args();
    args.input = input.data();
    args.input_stride = input.stride();
    args.output = output.data();
    args.output_stride = output.stride();
    args.rows = rows;
    args.fused = fused;
    return args;
  }

  std::optional<WrongValue> compare(int32_t rows, Fused fused) const {
    std::vector<double> left(static_cast<size_t>(layer.k()));
    int32_t left_row = -1;
    return compare_rows(output, rows, layer.n(), fused, layer.k() + 2,
                        [&](int32_t row, int32_t column) {
                          if (row != left_row) {
                            for (size_t i = 0; i < left.size(); ++i) {
                              left[i] = input.at(row, static_cast<int32_t>(i));
                            }
                            left_row = row;
                          }
                          return sum(left, column);
                        });
  }

 private:
  kernels::Reference sum(const std::vector<double>& left, int32_t column) const {
    kernels::Reference result{layer.bias(column), std::abs(layer.bias(column))};
    const std::span<const float> right = layer.weights(column);
    for (size_t i = 0; i < left.size(); ++i) {
      const double product = left[i] * right[i];
      result.value += product;
      result.magnitude += std::abs(product);
    }
    return result;
  }
};

struct Int8Operands {
  kernels::Int8Layer layer;
  kernels::QuantizedRows input;
  Matrix output;

  Int8Operands(const LinearShape& shape, std::mt19937 random)
      : layer(shape.k, shape.n, random),
        input(kMostRows, shape.k),
        output(kMostRows, layer.padded_n(), Precision::bf16) {
    input.fill(random);
  }

  kernels::Int8LinearArgs args(int32_t rows, Fused fused) {
    kernels::Int8LinearArgs args = layer.args();
    args.input = input.row(0);
    args.input_stride = input.stride();
    args.input_scales = input.scales().data();
    args.output = output.data();
    args.output_stride = output.stride();
    args.rows = rows;
    args.fused = fused;
    return args;
  }

  std::optional<WrongValue> compare(int32_t rows, Fused fused) const {
    constexpr double kRoundings = 6;  // the sum is exact; two scales, the bias and the conversion
    return compare_rows(
        output, rows, layer.n(), fused, kRoundings, [&](int32_t row, int32_t column) {
          return kernels::int8_linear_reference(layer, input, kernels::kSymmetricZero, row, column);
        });
  }
};

struct QuantizeOperands {
  Matrix input;
  kernels::QuantizedRows output;

  explicit QuantizeOperands(int32_t columns, std::mt19937 random)
      : input(kMostRows, columns, Precision::bf16), output(kMostRows, columns) {
    input.fill(random);
  }

  kernels::QuantizeArgs args(int32_t rows) {
    return {.input = input.data(),
            .input_stride = input.stride(),
            .output = output.row(0),
            .output_stride = output.stride(),
            .scales = output.scales().data(),
            .rows = rows,
            .columns = input.columns()};
  }

  // int8.h promises the same bytes on every instruction set.
  std::optional<WrongValue> compare(int32_t rows) {
    for (const int32_t row : Sample(rows).rows) {
      const kernels::QuantizedRow expected = kernels::quantize_reference(args(rows), row);
      const double scale = output.scales().data()[row];
      if (!(scale == expected.scale)) {
        return WrongValue{fmt::format("the scale of row {}", row), expected.scale, scale, 0};
      }
      for (int32_t column = 0; column < input.columns(); ++column) {
        if (output.row(row)[column] == expected.bytes[column]) continue;
        return WrongValue{fmt::format("row {}, column {}", row, column),
                          static_cast<double>(expected.bytes[column]),
                          static_cast<double>(output.row(row)[column]), 0};
      }
    }
    return std::nullopt;
  }
};

/// The case of `info`; `operands` have args(rows, fused) and compare(rows, fused).
template <class Set, class Operands>
KernelCase linear_case(const CaseInfo& info, Fused fused, const Set& set,
                       const std::shared_ptr<Operands>& operands) {
  const auto rows = static_cast<int32_t>(info.rows);
  return {.info = info,
          .begin_pass = set.begin_pass,
          .end_pass = set.end_pass,
          .run = [&set, operands, args = operands->args(rows, fused)] { set.linear(args); },
          .compare = [=] { return operands->compare(rows, fused); }};
}

std::vector<CaseInfo> linear_infos(const std::string& part, const LinearShape& shape,
                                   Precision precision, Isa isa) {
  std::vector<CaseInfo> infos;
  for (const int32_t rows : kRowCounts) infos.push_back(shape.info(part, precision, isa, rows));
  return infos;
}

}  // namespace

CaseGroup linear_cases(const std::string& part, const model::EncoderSpec& spec,
                       const kernels::KernelSet& set) {
  const LinearShape shape(part, spec);
  CaseGroup group{.infos = linear_infos(part, shape, set.precision, set.isa)};
  group.make = [&set, shape, infos = group.infos] {
    const auto operands = std::make_shared<LinearOperands>(shape, set.precision, std::mt19937(1));
    std::vector<KernelCase> cases;
    for (const CaseInfo& info : infos) {
      cases.push_back(linear_case(info, shape.fused, set, operands));
    }
    return cases;
  };
  return group;
}

CaseGroup int8_linear_cases(const std::string& part, const model::EncoderSpec& spec,
                            const kernels::Int8KernelSet& set) {
  const LinearShape shape(part, spec);
  CaseGroup group{.infos = linear_infos(part, shape, Precision::int8, set.isa)};
  group.make = [&set, shape, infos = group.infos] {
    const auto operands = std::make_shared<Int8Operands>(shape, std::mt19937(1));
    std::vector<KernelCase> cases;
    for (const CaseInfo& info : infos) {
      cases.push_back(linear_case(info, shape.fused, set, operands));
    }
    return cases;
  };
  return group;
}

CaseGroup quantize_cases(const model::EncoderSpec& spec, const kernels::Int8KernelSet& set) {
  constexpr int32_t kRows = 192;
  CaseGroup group;
  Isa isa = set.isa;  // one that borrows it: the weakest set that has the same
  for (const kernels::Int8KernelSet& other : kernels::all_int8_kernel_sets()) {
    if (other.quantize == set.quantize) isa = std::min(isa, other.isa);
  }
  for (const int32_t columns : {spec.hidden, spec.intermediate}) {
    group.infos.push_back({.kernel = "quantize",
                           .precision = Precision::int8,
                           .isa = isa,
                           .sizes = {{"rows", kRows}, {"columns", columns}},
                           .bytes = 3.0 * kRows * columns,  // bf16 in, a byte out
                           .rows = kRows,
                           .check = Sample(kRows).text()});
  }
  group.make = [&set, infos = group.infos] {
    std::vector<KernelCase> cases;
    for (const CaseInfo& info : infos) {
      const auto columns = static_cast<int32_t>(info.sizes.back().value);
      const auto operands = std::make_shared<QuantizeOperands>(columns, std::mt19937(1));
      cases.push_back(
          {.info = info,
           .begin_pass = set.begin_pass,
           .end_pass = set.end_pass,
           .run = [&set, operands, args = operands->args(kRows)] { set.quantize(args); },
           .compare = [operands] { return operands->compare(kRows); }});
    }
    return cases;
  };
  return group;
}

}  // namespace tilewise::cli
