#include "kernels/attention.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>
#include <random>

#include "kernels/kernel_reference.h"
#include "kernels/kernel_set_fixture.h"
#include "kernels/pack.h"

namespace tilewise::kernels {
namespace {

struct Shape {
  int32_t heads;
  int32_t head_dim;
  int32_t section() const { return static_cast<int32_t>(round_up(heads * head_dim, 32)); }
};

/// Packed sequences with random Q, K and V.
class Sequences {
 public:
  Sequences(const Shape& shape, const std::vector<int32_t>& lengths, model::Precision precision,
            std::mt19937& random, double query_deviation = 1)
      : shape_(shape),
        offsets_(lengths.size() + 1),
        qkv_(std::accumulate(lengths.begin(), lengths.end(), 0), 3 * shape.section(), precision) {
    std::partial_sum(lengths.begin(), lengths.end(), offsets_.begin() + 1);
    qkv_.fill(random);
    for (int32_t i = 0; i < qkv_.rows(); ++i) {
      for (int32_t j = 0; j < 3 * shape.section(); ++j) {
        if (j % shape.section() >= shape.heads * shape.head_dim) qkv_.set(i, j, 0);
      }
      for (int32_t j = 0; j < shape.section(); ++j) {
        qkv_.set(i, j, query_deviation * qkv_.at(i, j));
      }
    }
    qkv_.poison_slack();
  }

  const Shape& shape() const { return shape_; }
  Matrix& qkv() { return qkv_; }
  int32_t count() const { return static_cast<int32_t>(offsets_.size()) - 1; }
  int32_t offset(int32_t sequence) const { return offsets_[sequence]; }
  int32_t length(int32_t sequence) const { return offsets_[sequence + 1] - offsets_[sequence]; }

  /// Adds a bias by distance to the scores.
  Sequences& with_bias(std::mt19937& random) {
    int32_t longest = 0;
    for (int32_t s = 0; s < count(); ++s) longest = std::max(longest, length(s));
    reach_ = round_up(longest, 32);
    bias_ = std::make_shared<FloatArray>(2 * reach_ * shape_.heads);
    bias_->fill(random, 0, 2, 2 * reach_ * shape_.heads);
    return *this;
  }

  Sequences& with_window(int32_t window) {
    window_ = window;
    return *this;
  }

  AttentionArgs args() const {
    return {.qkv = qkv_.row(0),
            .qkv_stride = qkv_.stride(),
            .section = shape_.section(),
            .offsets = offsets_.data(),
            .sequences = count(),
            .heads = shape_.heads,
            .head_dim = shape_.head_dim,
            .relative_bias = bias_ ? bias_->data() + reach_ : nullptr,
            .relative_bias_stride = 2 * reach_,
            .window = window_};
  }

  /// One of them by itself.
  Sequences only(int32_t sequence) const {
    Sequences one(shape_, length(sequence), qkv_.precision());
    std::memcpy(one.qkv_.data(), qkv_.row(offset(sequence)),
                static_cast<size_t>(length(sequence) * qkv_.stride()));
    one.bias_ = bias_;
    one.reach_ = reach_;
    one.window_ = window_;
    return one;
  }

 private:
  Sequences(const Shape& shape, int32_t length, model::Precision precision)
      : shape_(shape), offsets_{0, length}, qkv_(length, 3 * shape.section(), precision) {}

  Shape shape_;
  std::vector<int32_t> offsets_;
  Matrix qkv_;
  std::shared_ptr<FloatArray> bias_;  // may be shared with those that were taken out
  int64_t reach_ = 0;                 // distances on each side that it has
  int32_t window_ = 0;
};

class AttentionTest : public KernelSetTest {
 protected:
  static constexpr double kUntouched = 77;

  static Matrix run(const Sequences& sequences) {
    int32_t longest = 0;
    for (int32_t s = 0; s < sequences.count(); ++s)
      longest = std::max(longest, sequences.length(s));
    const AttentionArgs& inputs = sequences.args();
    auto scratch =
        AlignedBuffer::allocate(set().attention_scratch(longest, inputs.head_dim)).value();
    std::memset(scratch.data(), 0xff,
                scratch.size());  // NaN: what a sequence finds there must not matter
    Matrix context(sequences.offset(sequences.count()), inputs.section, set().precision);
    for (int32_t i = 0; i < context.rows(); ++i) {
      for (int32_t j = 0; j < inputs.section; ++j) context.set(i, j, kUntouched);
    }
    AttentionArgs args = inputs;
    args.context = context.data();
    args.context_stride = context.stride();
    args.scratch = scratch.data();
    set().attention(args);
    return context;
  }

  /// A score errs by head_dim roundings of its products' sizes, a weight by ln 2 times that, by the
  /// error of exp2 and, in bf16, by one rounding; both the weighted sum and the sum of the weights
  /// carry it. The sums and the output round too.
  static double tolerance(const Reference& reference, double score_magnitude, int32_t head_dim,
                          int32_t tokens) {
    const double score = 2 * (head_dim + 1) * kFp32Rounding * score_magnitude;
    const double weight = std::expm1(score * std::log(2)) +
                          (is_bf16() ? kBf16Rounding + 3e-6 : 2e-7) + (tokens + 4) * kFp32Rounding;
    const double output = (is_bf16() ? kBf16Rounding : kFp32Rounding) * std::abs(reference.value);
    return (2.1 * weight) * reference.magnitude + 1.01 * output;
  }

  static void expect_right(const Sequences& sequences) {
    const Matrix context = run(sequences);
    const AttentionArgs args = sequences.args();
    for (int32_t s = 0; s < sequences.count(); ++s) {
      for (int32_t t = 0; t < sequences.length(s); ++t) {
        for (int32_t h = 0; h < args.heads; ++h) {
          double score_magnitude = 0;
          const auto expected =
              attention_reference(args, set().precision, s, t, h, &score_magnitude);
          for (int32_t i = 0; i < args.head_dim; ++i) {
            ASSERT_NEAR(context.at(sequences.offset(s) + t, h * args.head_dim + i),
                        expected[i].value,
                        tolerance(expected[i], score_magnitude, args.head_dim, sequences.length(s)))
                << "sequence " << s << " of " << sequences.length(s) << " tokens, token " << t
                << ", head " << h << " of " << args.heads << ", dimension " << i << " of "
                << args.head_dim;
          }
        }
        for (int32_t j = args.heads * args.head_dim; j < args.section; ++j) {
          ASSERT_EQ(context.at(sequences.offset(s) + t, j), kUntouched) << "padding column " << j;
        }
      }
    }
  }

  static void expect_independent(const Sequences& sequences) {
    const Matrix together = run(sequences);
    for (int32_t s = 0; s < sequences.count(); ++s) {
      const Matrix alone = run(sequences.only(s));
      for (int32_t t = 0; t < sequences.length(s); ++t) {
        ASSERT_EQ(
            std::memcmp(together.row(sequences.offset(s) + t), alone.row(t),
                        static_cast<size_t>(sequences.shape().section()) * (is_bf16() ? 2 : 4)),
            0)
            << "sequence " << s << ", token " << t;
      }
    }
  }
};

TEST_P(AttentionTest, EqualsAPlainLoop) {
  std::mt19937 random(1);
  const Shape shapes[] = {{12, 32}, {2, 64}, {3, 20}, {1, 1}, {5, 7}, {1, 256}, {3, 80}, {2, 33}};
  for (const Shape& shape : shapes) {
    expect_right({shape, {1, 2, 3, 12, 16, 17, 31, 33}, set().precision, random});
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionTest, EqualsAPlainLoopOnLongSequences) {
  std::mt19937 random(2);
  expect_right({{2, 32}, {512, 129}, set().precision, random});
  if (!HasFatalFailure()) expect_right({{1, 8}, {1100}, set().precision, random});
}

TEST_P(AttentionTest, EqualsAPlainLoopAtEveryLength) {
  std::mt19937 random(7);
  std::vector<int32_t> lengths(64);
  std::iota(lengths.begin(), lengths.end(), 1);
  for (const int32_t length : {65, 95, 96, 97, 127, 128, 129, 191, 255, 256, 257, 383, 511}) {
    lengths.push_back(length);
  }
  expect_right({{1, 32}, lengths, set().precision, random});
  lengths.resize(64);
  if (!HasFatalFailure()) expect_right({{1, 64}, lengths, set().precision, random});
}

TEST_P(AttentionTest, EqualsAPlainLoopOnRandomShapes) {
  const unsigned seed = std::random_device()();
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  for (int repetition = 0; repetition < 20; ++repetition) {
    const Shape shape{std::uniform_int_distribution(1, 4)(random),
                      std::uniform_int_distribution(1, 100)(random)};
    std::vector<int32_t> lengths(1 + random() % 4);
    for (int32_t& length : lengths) length = std::uniform_int_distribution(1, 70)(random);
    expect_right({shape, lengths, set().precision, random});
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionTest, LargeScores) {
  // Scores up to some hundred: exp2 without the maximum would overflow.
  std::mt19937 random(3);
  expect_right({{2, 32}, {5, 40}, set().precision, random, 30});
}

TEST_P(AttentionTest, ScoresOfTenThousand) {
  std::mt19937 random(8);
  expect_right({{2, 32}, {1, 12, 33, 60}, set().precision, random, 2000});
}

TEST_P(AttentionTest, ScoresNearTheEndOfFp32) {
  // Scores of up to 1e36 in steps that leave one key all the weight: the last where the query is
  // positive, the first where it is negative. Its value comes out as it is.
  std::mt19937 random(9);
  for (const int32_t tokens : {1, 12, 40}) {
    Sequences sequences({1, 32}, {tokens}, set().precision, random, 0);
    for (int32_t t = 0; t < tokens; ++t) {
      for (int32_t j = 32; j < 64; ++j) sequences.qkv().set(t, j, 0);
      sequences.qkv().set(t, 0, t % 2 == 0 ? 1e18 : -1e18);
      sequences.qkv().set(t, 32, 1e18 * (t + 1) / tokens);
    }
    const Matrix context = run(sequences);
    for (int32_t t = 0; t < tokens; ++t) {
      for (int32_t j = 0; j < 32; ++j) {
        ASSERT_EQ(context.at(t, j), sequences.qkv().at(t % 2 == 0 ? tokens - 1 : 0, 64 + j))
            << "token " << t << " of " << tokens << ", dimension " << j;
      }
    }
  }
}

TEST_P(AttentionTest, EqualScoresGiveTheMean) {
  std::mt19937 random(4);
  Sequences sequences({2, 32}, {1, 3, 13, 47}, set().precision, random, 0);
  expect_right(sequences);
}

TEST_P(AttentionTest, ABiasByDistanceIsAddedToTheScores) {
  std::mt19937 random(10);
  for (const Shape& shape : {Shape{3, 32}, {2, 64}, {3, 20}, {1, 80}}) {
    Sequences sequences(shape, {1, 2, 15, 16, 17, 31, 32, 33, 70, 129}, set().precision, random);
    expect_right(sequences.with_bias(random));
    if (HasFatalFailure()) return;
  }
}

TEST_P(AttentionTest, AWindowLeavesOutWhatIsFarther) {
  std::mt19937 random(11);
  for (const int32_t window : {1, 2, 16, 31, 32, 64, 100}) {
    Sequences sequences({2, 32}, {1, 2, 3, 33, 64, 65, 66, 130, 203}, set().precision, random);
    expect_right(sequences.with_window(window));
    if (HasFatalFailure()) return;
  }
  Sequences wide({1, 64}, {300, 47}, set().precision, random);
  expect_right(wide.with_window(64));
  if (HasFatalFailure()) return;
  Sequences odd({3, 20}, {150}, set().precision, random);
  expect_right(odd.with_window(10).with_bias(random));
}

TEST_P(AttentionTest, AWindowOverAllTokensIsNone) {
  std::mt19937 random(12);
  Sequences sequences({2, 32}, {1, 30, 65}, set().precision, random);
  const Matrix global = run(sequences);
  const Matrix local = run(sequences.with_window(64));
  for (int32_t i = 0; i < global.rows(); ++i) {
    for (int32_t j = 0; j < 64; ++j) ASSERT_EQ(local.at(i, j), global.at(i, j)) << i << " " << j;
  }
}

// What is too far away does not even reach a token as a zero weight: a block of keys that no query
// of a block attends to is not read.
TEST_P(AttentionTest, AWindowIsLinearInTheLength) {
  std::mt19937 random(13);
  constexpr int32_t kTokens = 400, kWindow = 20;
  Sequences sequences({1, 32}, {kTokens}, set().precision, random);
  for (int32_t j = 0; j < 3 * 32; ++j) {
    sequences.qkv().set(0, j, std::numeric_limits<double>::quiet_NaN());
  }
  const Matrix context = run(sequences.with_window(kWindow));
  // Up to 31 keys before a window begins its first panel, and 15 other queries share a block.
  for (int32_t i = kWindow + 32 + 15; i < kTokens; ++i) {
    for (int32_t j = 0; j < 32; ++j) ASSERT_FALSE(std::isnan(context.at(i, j))) << i << " " << j;
  }
  for (int32_t i = 0; i <= kWindow; ++i) ASSERT_TRUE(std::isnan(context.at(i, 0))) << i;
}

// Design decision 1: a sequence's result does not depend on its batch, bit for bit.
TEST_P(AttentionTest, ASequenceDoesNotDependOnTheOthers) {
  std::mt19937 random(5);
  const Shape shape{3, 32};
  const std::vector<int32_t> lengths = {12, 1, 512, 7, 16, 17, 100, 2, 64, 333, 32, 8};
  Sequences sequences(shape, lengths, set().precision, random);
  expect_independent(sequences);
  if (!HasFatalFailure()) expect_independent(sequences.with_bias(random));
  if (!HasFatalFailure()) expect_independent(sequences.with_window(24));
}

TEST_P(AttentionTest, ANanStaysInItsSequence) {
  std::mt19937 random(6);
  Sequences sequences({2, 32}, {12, 9, 20}, set().precision, random);
  const Matrix clean = run(sequences);
  for (int32_t j = 0; j < 3 * 64; ++j) {
    sequences.qkv().set(15, j, std::numeric_limits<double>::quiet_NaN());
  }
  const Matrix context = run(sequences);
  for (int32_t i = 0; i < context.rows(); ++i) {
    for (int32_t j = 0; j < 64; ++j) {
      if (i >= 12 && i < 21) {
        ASSERT_TRUE(std::isnan(context.at(i, j))) << i << " " << j;
      } else {
        ASSERT_EQ(context.at(i, j), clean.at(i, j)) << i << " " << j;
      }
    }
  }
}

TILEWISE_FOR_ALL_KERNEL_SETS(AttentionTest);

}  // namespace
}  // namespace tilewise::kernels
