// Attention of the AMX level, on the processor where it has AMX and on the model of the tile unit
// everywhere.
#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <vector>

#include <gtest/gtest.h>

#include "kernels/tile_unit_fixture.h"

namespace tilewise::kernels {
namespace {

/// Packed sequences of random Q, K and V.
struct Sequences {
  Sequences(const std::vector<int>& lengths, int head_count, int dimensions, unsigned seed,
            float score_scale = 1.0f)
      : offsets(lengths.size() + 1),
        heads(head_count),
        head_dim(dimensions),
        section(static_cast<int>(round_up(head_count * dimensions, 32))),
        qkv((std::partial_sum(lengths.begin(), lengths.end(), offsets.begin() + 1), offsets.back()),
            3 * section, 2) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal;
    for (int r = 0; r < offsets.back(); ++r) {
      for (int i = 0; i < section; ++i) {
        qkv.set_bf16(r, i, normal(random) * score_scale / std::sqrt(static_cast<float>(head_dim)));
      }
      for (int i = section; i < 3 * section; ++i) qkv.set_bf16(r, i, normal(random));
    }
  }

  int count() const { return static_cast<int>(offsets.size()) - 1; }
  int rows() const { return offsets.back(); }
  int longest() const {
    int most = 0;
    for (int s = 0; s < count(); ++s) most = std::max(most, offsets[s + 1] - offsets[s]);
    return most;
  }

  /// Adds a bias by distance to the scores.
  Sequences& with_bias(unsigned seed) {
    reach = static_cast<int>(round_up(longest(), 32));
    bias.resize(static_cast<size_t>(2 * reach * heads));
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0, 2);
    for (float& b : bias) b = normal(random);
    return *this;
  }
  Sequences& with_window(int width) {
    window = width;
    return *this;
  }

  std::vector<int> offsets;
  int heads, head_dim, section;
  Matrix qkv;
  std::vector<float> bias;  // for each head of distances from -reach to reach - 1
  int reach = 0;
  int window = 0;
};

/// Attention over the sequences [first, first + count).
Matrix run(const TileUnit& unit, const Sequences& s, int first, int count) {
  const int row = s.offsets[first];
  std::vector<int> offsets;
  for (int i = first; i <= first + count; ++i) offsets.push_back(s.offsets[i] - row);
  Matrix context(offsets.back(), s.section, 2);
  const size_t needed = unit.attention_scratch(s.longest(), s.head_dim);
  constexpr size_t kGuard = 64;
  const Bytes scratch(needed + kGuard);
  std::memset(scratch.as<char>(), 0xff, scratch.size());  // NaN: nothing may be taken for granted

  AttentionArgs args;
  args.qkv = s.qkv.row<char>(row);
  args.qkv_stride = s.qkv.stride();
  args.section = s.section;
  args.context = context.row<char>(0);
  args.context_stride = context.stride();
  args.offsets = offsets.data();
  args.sequences = count;
  args.heads = s.heads;
  args.head_dim = s.head_dim;
  if (!s.bias.empty()) args.relative_bias = s.bias.data() + s.reach;
  args.relative_bias_stride = 2 * s.reach;
  args.window = s.window;
  args.scratch = scratch.as<char>();
  unit.attention(args);

  for (size_t i = needed; i < needed + kGuard; ++i)
    EXPECT_EQ(scratch.as<unsigned char>()[i], 0xff) << "beyond the scratch";
  return context;
}

void expect_fp64_result(const Sequences& s, const Matrix& context) {
  for (int sequence = 0; sequence < s.count(); ++sequence) {
    const int first = s.offsets[sequence], tokens = s.offsets[sequence + 1] - first;
    for (int head = 0; head < s.heads; ++head) {
      for (int query = 0; query < tokens; ++query) {
        std::vector<double> weights(static_cast<size_t>(tokens), -INFINITY);
        double score_size = 0;
        for (int key = 0; key < tokens; ++key) {
          if (s.window > 0 && std::abs(key - query) > s.window) continue;
          weights[key] = s.bias.empty() ? 0 : s.bias[s.reach * (2 * head + 1) + key - query];
          double size = std::fabs(weights[key]);
          for (int d = 0; d < s.head_dim; ++d) {
            const int column = head * s.head_dim + d;
            const double product = double{s.qkv.bf16(first + query, column)} *
                                   s.qkv.bf16(first + key, s.section + column);
            weights[key] += product;
            size += std::fabs(product);
          }
          score_size = std::max(score_size, size);
        }
        const double largest = *std::max_element(weights.begin(), weights.end());
        double sum = 0;
        for (double& w : weights) sum += w = std::exp2(w - largest);
        // A weight errs by its rounding to bf16 (2^-9), by 2^x (3e-6) and by the fp32 sum that its
        // score is; the result by one rounding to bf16 more, and the weighted sum and the sum of
        // weights in fp32.
        const double weight_error = 0x1p-9 + 3e-6 + s.head_dim * 0x1p-24 * score_size;
        for (int d = 0; d < s.head_dim; ++d) {
          const int column = head * s.head_dim + d;
          double expected = 0, size = 0;
          for (int key = 0; key < tokens; ++key) {
            const double value = s.qkv.bf16(first + key, 2 * s.section + column);
            expected += weights[key] / sum * value;
            size += weights[key] / sum * std::fabs(value);
          }
          // Numerator and denominator both carry the weights' errors.
          const double tolerance =
              size * 2 * (weight_error + tokens * 0x1p-24) + 0x1p-8 * std::fabs(expected) + 1e-30;
          ASSERT_NEAR(context.bf16(first + query, column), expected, tolerance)
              << "sequence " << sequence << " of " << tokens << ", head " << head << ", query "
              << query << ", " << d;
        }
      }
    }
  }
}

void expect_same_rows(const Sequences& s, const Matrix& found, const Matrix& expected,
                      int first_expected, int rows) {
  for (int r = 0; r < rows; ++r) {
    ASSERT_EQ(0, std::memcmp(found.row<char>(r), expected.row<char>(first_expected + r),
                             static_cast<size_t>(s.heads * s.head_dim) * 2))
        << "row " << r << " of " << rows << ", from " << first_expected;
  }
}

class AttentionAmx : public TileUnitTest {};
INSTANTIATE_TEST_SUITE_P(Unit, AttentionAmx, testing::Values(&kTileModel, &kTileHardware),
                         unit_name);

TEST_P(AttentionAmx, MatchesAnFp64Loop) {
  for (const int head_dim : {32, 64}) {
    const Sequences s({1, 2, 3, 12, 15, 16, 17, 31, 32, 33, 48, 63, 64, 65, 100, 129}, 3, head_dim,
                      1);
    expect_fp64_result(s, run(*GetParam(), s, 0, s.count()));
  }
}

TEST_P(AttentionAmx, MatchesAnFp64LoopForLongSequences) {
  const Sequences s({512, 700}, 1, 32, 2);
  expect_fp64_result(s, run(*GetParam(), s, 0, s.count()));
}

TEST_P(AttentionAmx, AddsABiasByDistance) {
  for (const int head_dim : {32, 64}) {
    Sequences s({1, 2, 15, 16, 17, 32, 33, 48, 65, 100}, 3, head_dim, 8);
    s.with_bias(9);
    expect_fp64_result(s, run(*GetParam(), s, 0, s.count()));
  }
}

TEST_P(AttentionAmx, LeavesOutWhatLiesBehindTheWindow) {
  for (const int window : {1, 15, 16, 33, 64}) {
    for (const int head_dim : {32, 64}) {
      Sequences s({1, 17, 64, 65, 66, 131, 200}, 2, head_dim, 10);
      s.with_window(window);
      expect_fp64_result(s, run(*GetParam(), s, 0, s.count()));
      if (HasFatalFailure()) return;
    }
  }
  Sequences both({150, 12}, 2, 32, 11);
  both.with_window(20).with_bias(12);
  expect_fp64_result(both, run(*GetParam(), both, 0, both.count()));
}

TEST_P(AttentionAmx, TakesAnySizeOfScores) {
  // Scores up to some thousands: without the subtraction of the maximum, 2^score would overflow
  // from 128 on.
  const Sequences s({12, 40}, 2, 32, 3, 1000.0f);
  expect_fp64_result(s, run(*GetParam(), s, 0, s.count()));
}

TEST_P(AttentionAmx, TakesAnySizeOfHead) {
  for (const int head_dim : {1, 24, 48, 80, 256}) {
    const Sequences s({5, 33}, 2, head_dim, 4);
    expect_fp64_result(s, run(*GetParam(), s, 0, s.count()));
  }
}

TEST_P(AttentionAmx, ASequenceDoesNotDependOnItsNeighbours) {
  std::mt19937 random(5);
  for (const int head_dim : {32, 64}) {
    for (int trial = 0; trial < 4; ++trial) {
      std::vector<int> lengths;
      for (int i = 0; i < 12; ++i) {
        const int most = i % 4 == 3 ? 512 : i % 4 == 2 ? 70 : 16;
        lengths.push_back(1 + static_cast<int>(random() % static_cast<unsigned>(most)));
      }
      std::shuffle(lengths.begin(), lengths.end(), random);
      Sequences s(lengths, 2, head_dim, static_cast<unsigned>(random()));
      if (trial % 2 != 0) s.with_bias(13).with_window(trial == 1 ? 0 : 40);
      const Matrix together = run(*GetParam(), s, 0, s.count());
      for (int i = 0; i < s.count(); ++i) {
        const Matrix alone = run(*GetParam(), s, i, 1);
        expect_same_rows(s, alone, together, s.offsets[i], lengths[i]);
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_P(AttentionAmx, ANeighbourOfNanHarmsNobody) {
  for (const int head_dim : {32, 64}) {
    const std::vector<int> lengths = {3, 5, 12, 4, 20, 7};
    const Sequences clean(lengths, 2, head_dim, 6), spoilt(lengths, 2, head_dim, 6);
    for (const int bad : {1, 3}) {
      for (int r = spoilt.offsets[bad]; r < spoilt.offsets[bad + 1]; ++r) {
        for (int i = 0; i < 3 * spoilt.section; ++i) {
          spoilt.qkv.set_bf16(r, i, i % 2 ? std::numeric_limits<float>::infinity() : std::nanf(""));
        }
      }
    }
    const Matrix expected = run(*GetParam(), clean, 0, clean.count());
    const Matrix found = run(*GetParam(), spoilt, 0, spoilt.count());
    for (const int good : {0, 2, 4, 5}) {
      for (int r = clean.offsets[good]; r < clean.offsets[good + 1]; ++r) {
        EXPECT_EQ(0, std::memcmp(found.row<char>(r), expected.row<char>(r),
                                 static_cast<size_t>(2 * head_dim) * 2))
            << "sequence " << good << ", row " << r;
      }
    }
  }
}

TEST_P(AttentionAmx, SkipsEmptySequences) {
  const Sequences s({0, 5, 0, 0, 17, 0}, 1, 32, 7);
  expect_fp64_result(s, run(*GetParam(), s, 0, s.count()));
  const Sequences none({0, 0}, 1, 32, 7);
  run(*GetParam(), none, 0, none.count());
}

}  // namespace
}  // namespace tilewise::kernels
