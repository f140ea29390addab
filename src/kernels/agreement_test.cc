// The kernel sets of one precision against each other on random shapes: the same packed weights,
// the same inputs, on every instruction set that this CPU runs.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/isa.h"
#include "kernels/int8_kernel_set.h"
#include "kernels/int8_reference.h"
#include "kernels/kernel_reference.h"
#include "kernels/kernel_set.h"
#include "kernels/kernel_set_fixture.h"
#include "kernels/tile_model_set.h"

namespace tilewise::kernels {
namespace {

using model::Precision;

/// One block of an encoder with random sizes: linear, attention, linear, layer norm, linear with
/// GELU.
struct Shape {
  int32_t heads, head_dim, wide;
  std::vector<int32_t> lengths;
  int32_t window;  ///< 0 every other time

  explicit Shape(std::mt19937& random)
      : heads(std::uniform_int_distribution(1, 5)(random)),
        // Every other time a size that tiles take.
        head_dim(random() % 2 != 0 ? 32 + random() % 2 * 32
                                   : std::uniform_int_distribution(1, 70)(random)),
        wide(std::uniform_int_distribution(1, 300)(random)),
        lengths(1 + random() % 5) {
    for (int32_t& length : lengths) length = std::uniform_int_distribution(1, 60)(random);
    window = random() % 2 != 0 ? std::uniform_int_distribution(1, 20)(random) : 0;
  }
  int32_t hidden() const { return heads * head_dim; }
};

class Block {
 public:
  Block(Shape shape, Precision precision, std::mt19937& random)
      : shape_(std::move(shape)),
        precision_(precision),
        offsets_{0},
        query_key_value_(hidden(), 3 * section(), precision, random),
        wide_(hidden(), shape_.wide, precision, random),
        relative_bias_(int64_t{2 * kReach} * shape_.heads),
        gain_(hidden()),
        bias_(hidden()) {
    for (const int32_t length : shape_.lengths) offsets_.push_back(offsets_.back() + length);
    input_ = std::make_unique<Matrix>(rows(), hidden(), precision);
    input_->fill(random);
    relative_bias_.fill(random, 0, 1, int64_t{2 * kReach} * shape_.heads);
    gain_.fill(random, 1, 0.3, hidden());
    bias_.fill(random, 0, 0.3, hidden());
  }

  Matrix run(const KernelSet& set) const {
    Matrix qkv(rows(), 3 * section(), precision_), context(rows(), section(), precision_);
    Matrix normal(rows(), section(), precision_), wide(rows(), wide_.padded_n(), precision_);
    const auto scratch =
        AlignedBuffer::allocate(set.attention_scratch(60, shape_.head_dim)).value();
    set.begin_pass();
    linear(set, query_key_value_, *input_, qkv, Fused::none);
    set.attention({.qkv = qkv.data(),
                   .qkv_stride = qkv.stride(),
                   .section = section(),
                   .context = context.data(),
                   .context_stride = context.stride(),
                   .offsets = offsets_.data(),
                   .sequences = static_cast<int32_t>(shape_.lengths.size()),
                   .heads = shape_.heads,
                   .head_dim = shape_.head_dim,
                   .relative_bias = relative_bias_.data() + kReach,
                   .relative_bias_stride = int64_t{2 * kReach},
                   .window = shape_.window,
                   .scratch = scratch.data()});
    set.add_norm({.input = context.data(),
                  .input_stride = context.stride(),
                  .residual = input_->row(0),
                  .residual_stride = input_->stride(),
                  .gain = gain_.data(),
                  .bias = bias_.data(),
                  .epsilon = 1e-5f,
                  .output = normal.data(),
                  .output_stride = normal.stride(),
                  .rows = rows(),
                  .columns = hidden()});
    linear(set, wide_, normal, wide, Fused::gelu_erf);
    set.end_pass();
    return wide;
  }

  int32_t columns() const { return wide_.n(); }

 private:
  static constexpr int32_t kReach = 64;  // distances on each side
  int32_t hidden() const { return shape_.hidden(); }
  int32_t section() const { return (hidden() + 31) / 32 * 32; }
  int32_t rows() const { return offsets_.back(); }

  void linear(const KernelSet& set, const LinearLayer& layer, const Matrix& input, Matrix& output,
              Fused fused) const {
    LinearArgs args = layer.args();
    args.input = input.row(0);
    args.input_stride = input.stride();
    args.output = output.data();
    args.output_stride = output.stride();
    args.rows = rows();
    args.fused = fused;
    set.linear(args);
  }

  Shape shape_;
  Precision precision_;
  std::vector<int32_t> offsets_;
  LinearLayer query_key_value_, wide_;
  FloatArray relative_bias_, gain_, bias_;
  std::unique_ptr<Matrix> input_;
};

class AgreementTest : public testing::TestWithParam<Precision> {};

TEST_P(AgreementTest, OnRandomShapes) {
  const unsigned seed = random_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<const KernelSet*> sets;
  for (const KernelSet& set : all_kernel_sets()) {
    if (set.precision == GetParam() && supports(cpu_features(), set.isa)) sets.push_back(&set);
  }
  if (GetParam() == Precision::bf16) sets.push_back(&tile_model_kernel_set());
  if (sets.size() < 2) GTEST_SKIP() << "this CPU runs one instruction set only";
  for (int repetition = 0; repetition < 15; ++repetition) {
    const Block block(Shape(random), GetParam(), random);
    const Matrix first = block.run(*sets[0]);
    for (size_t other = 1; other < sets.size(); ++other) {
      const Matrix second = block.run(*sets[other]);
      for (int32_t i = 0; i < first.rows(); ++i) {
        for (int32_t j = 0; j < block.columns(); ++j) {
          // Values of some units, after four operations. Each may round another way at its output
          // (one unit, 2^-8, in bf16; fp32 sums of some hundred terms in another order differ by
          // some 1e-5), and a layer carries that on to sums of up to 350 products, where random
          // differences add up like their square root: 16 units are plenty, and a wrong index or a
          // missing term is a hundred times more.
          const double size = 4 + std::abs(first.at(i, j));
          const double tolerance = (GetParam() == Precision::bf16 ? 16 * 0x1p-8 / 4 : 2e-5) * size;
          ASSERT_NEAR(first.at(i, j), second.at(i, j), tolerance)
              << test_name(*sets[0]) << " and " << test_name(*sets[other]) << ", row " << i
              << ", column " << j;
        }
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Precisions, AgreementTest,
                         testing::Values(Precision::fp32, Precision::bf16),
                         [](const auto& tested) { return std::string(name_of(tested.param)); });

/// One int8 layer with random sizes, and rows of bf16 that it quantises in a random manner.
class Int8Step {
 public:
  explicit Int8Step(std::mt19937& random)
      : layer_(uniform(random, 1, 700), uniform(random, 1, 200), random),
        input_(uniform(random, 1, 60), layer_.k(), Precision::bf16),
        smooth_(layer_.padded_k()),
        is_symmetric_(random() % 2 != 0),
        is_smoothed_(random() % 2 != 0),
        fused_(random() % 2 != 0 ? Fused::gelu_erf : Fused::none) {
    input_.fill(random, 3);
    std::uniform_real_distribution<float> spread(0.1f, 10.0f);
    for (int32_t j = 0; j < layer_.padded_k(); ++j) smooth_[j] = spread(random);
    if (is_symmetric_) return;
    for (int32_t i = 0; i < input_.rows(); ++i) {
      for (int32_t j = 0; j < layer_.k(); ++j) {
        input_.set(i, j, std::max(static_cast<double>(kFloor), input_.at(i, j)));
      }
    }
  }

  const Int8Layer& layer() const { return layer_; }
  Fused fused() const { return fused_; }
  int32_t zero_point() const { return is_symmetric_ ? kSymmetricZero : 0; }

  QuantizedRows quantize(const Int8KernelSet& set) const {
    QuantizedRows output(input_.rows(), layer_.k());
    set.quantize({.input = input_.row(0),
                  .input_stride = input_.stride(),
                  .smooth = is_smoothed_ ? smooth_.data() : nullptr,
                  .is_symmetric = is_symmetric_,
                  .floor = is_symmetric_ ? 0 : kFloor,
                  .output = output.row(0),
                  .output_stride = output.stride(),
                  .scales = output.scales().data(),
                  .rows = input_.rows(),
                  .columns = layer_.k()});
    return output;
  }

  Matrix multiply(const Int8KernelSet& set, const QuantizedRows& input) const {
    Matrix output(input.rows(), layer_.padded_n(), Precision::bf16);
    Int8LinearArgs args = layer_.args();
    args.input = input.row(0);
    args.input_stride = input.stride();
    args.input_scales = input.scales().data();
    args.zero_point = zero_point();
    args.output = output.data();
    args.output_stride = output.stride();
    args.rows = input.rows();
    args.fused = fused_;
    set.begin_pass();
    set.linear(args);
    set.end_pass();
    return output;
  }

 private:
  static constexpr float kFloor = -0.17f;

  static int32_t uniform(std::mt19937& random, int32_t least, int32_t most) {
    return std::uniform_int_distribution(least, most)(random);
  }

  Int8Layer layer_;
  Matrix input_;
  FloatArray smooth_;
  bool is_symmetric_, is_smoothed_;
  Fused fused_;
};

// Both take the same bytes, so that a difference is of one operation only.
void expect_agreement(const Int8Step& step, const Int8KernelSet& first,
                      const Int8KernelSet& second) {
  const QuantizedRows bytes = step.quantize(first), others = step.quantize(second);
  for (int32_t i = 0; i < bytes.rows(); ++i) {
    // One definition, rounding by rounding: nothing may differ.
    ASSERT_EQ(bytes.scales().data()[i], others.scales().data()[i]) << "row " << i;
    ASSERT_EQ(std::memcmp(bytes.row(i), others.row(i), static_cast<size_t>(step.layer().k())), 0)
        << "row " << i;
  }
  const Matrix outputs = step.multiply(first, bytes), other_outputs = step.multiply(second, bytes);
  for (int32_t i = 0; i < bytes.rows(); ++i) {
    for (int32_t j = 0; j < step.layer().n(); ++j) {
      // Sums are exact. After them either rounds up to four times in fp32 and once to bf16, and
      // its GELU errs by what gelu-inl.h promises (its slope is under 1.13).
      const double magnitude =
          int8_linear_reference(step.layer(), bytes, step.zero_point(), i, j).magnitude;
      double error = 4 * kFp32Rounding * magnitude;
      if (step.fused() == Fused::gelu_erf) error = 1.13 * error + 1e-4;
      error += kBf16Rounding * (std::abs(outputs.at(i, j)) + error);
      ASSERT_NEAR(outputs.at(i, j), other_outputs.at(i, j), 2 * error)
          << "row " << i << ", column " << j << ", K " << step.layer().k();
    }
  }
}

TEST(Int8AgreementTest, OnRandomShapes) {
  const unsigned seed = random_seed();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<const Int8KernelSet*> sets;
  for (const Int8KernelSet& set : all_int8_kernel_sets()) {
    if (supports(cpu_features(), set.isa)) sets.push_back(&set);
  }
  if (sets.size() < 2) GTEST_SKIP() << "this CPU runs one instruction set only";
  for (int repetition = 0; repetition < 30; ++repetition) {
    const Int8Step step(random);
    for (size_t other = 1; other < sets.size(); ++other) {
      SCOPED_TRACE(std::string(name_of(sets[0]->isa)) + " and " + name_of(sets[other]->isa));
      expect_agreement(step, *sets[0], *sets[other]);
      if (HasFatalFailure()) return;
    }
  }
}

}  // namespace
}  // namespace tilewise::kernels
