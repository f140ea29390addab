// The kernel sets of one precision against each other on random shapes: the same packed weights,
// the same inputs, on every instruction set that this CPU runs.
#include <cmath>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/isa.h"
#include "kernels/kernel_reference.h"
#include "kernels/kernel_set.h"
#include "kernels/kernel_set_fixture.h"

namespace tilewise::kernels {
namespace {

using model::Precision;

/// One block of an encoder with random sizes: linear, attention, linear, layer norm, linear with
/// GELU.
struct Shape {
  int32_t heads, head_dim, wide;
  std::vector<int32_t> lengths;

  explicit Shape(std::mt19937& random)
      : heads(std::uniform_int_distribution(1, 5)(random)),
        head_dim(std::uniform_int_distribution(1, 70)(random)),
        wide(std::uniform_int_distribution(1, 300)(random)),
        lengths(1 + random() % 5) {
    for (int32_t& length : lengths) length = std::uniform_int_distribution(1, 60)(random);
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
        gain_(hidden()),
        bias_(hidden()) {
    for (const int32_t length : shape_.lengths) offsets_.push_back(offsets_.back() + length);
    input_ = std::make_unique<Matrix>(rows(), hidden(), precision);
    input_->fill(random);
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
  FloatArray gain_, bias_;
  std::unique_ptr<Matrix> input_;
};

class AgreementTest : public testing::TestWithParam<Precision> {};

TEST_P(AgreementTest, OnRandomShapes) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  std::vector<const KernelSet*> sets;
  for (const KernelSet& set : all_kernel_sets()) {
    if (set.precision == GetParam() && supports(cpu_features(), set.isa)) sets.push_back(&set);
  }
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

}  // namespace
}  // namespace tilewise::kernels
