// Rotary positions against their definition in fp64.
#include <cmath>
#include <cstring>
#include <random>
#include <vector>

#include "kernels/kernel_reference.h"
#include "kernels/kernel_set_fixture.h"
#include "kernels/pack.h"

namespace tilewise::kernels {
namespace {

class RotateTest : public KernelSetTest {
 protected:
  static constexpr int32_t kPositions = 40;

  /// The angles of rotary positions (Su et al. 2021): position * base^(-2 i / head_dim).
  struct Angles {
    explicit Angles(int32_t half) : cosines(kPositions * half), sines(kPositions * half) {
      for (int32_t position = 0; position < kPositions; ++position) {
        for (int32_t i = 0; i < half; ++i) {
          const double angle = position * std::pow(10000.0, -static_cast<double>(i) / half);
          cosines[position * half + i] = static_cast<float>(std::cos(angle));
          sines[position * half + i] = static_cast<float>(std::sin(angle));
        }
      }
    }
    FloatArray cosines, sines;
  };

  static void rotate(Matrix& qkv, const Angles& angles, const std::vector<int32_t>& offsets,
                     int32_t section, int32_t head_dim, int32_t first_head, int32_t heads) {
    const int64_t bytes = is_bf16() ? 2 : 4;
    set().rotate({.qkv = static_cast<std::byte*>(qkv.data()) + first_head * head_dim * bytes,
                  .qkv_stride = qkv.stride(),
                  .section = section,
                  .offsets = offsets.data(),
                  .sequences = static_cast<int32_t>(offsets.size()) - 1,
                  .heads = heads,
                  .head_dim = head_dim,
                  .cosines = angles.cosines.data(),
                  .sines = angles.sines.data()});
  }
};

TEST_P(RotateTest, EqualsItsDefinition) {
  std::mt19937 random(1);
  const std::vector<int32_t> offsets = {0, 1, 4, 44, 45};
  for (const int32_t head_dim : {2, 6, 32, 64, 70, 128}) {
    constexpr int32_t kHeads = 3;
    const auto section = static_cast<int32_t>(round_up(kHeads * head_dim, 32));
    const int32_t half = head_dim / 2;
    const Angles angles(half);
    Matrix qkv(offsets.back(), 3 * section, set().precision);
    qkv.fill(random);
    const Matrix before = qkv.copy();
    rotate(qkv, angles, offsets, section, head_dim, 0, kHeads);
    for (size_t s = 0; s + 1 < offsets.size(); ++s) {
      for (int32_t row = offsets[s]; row < offsets[s + 1]; ++row) {
        for (int32_t column = 0; column < 3 * section; ++column) {
          const int32_t in_part = column % section;
          double expected = before.at(row, column), size = 0;
          if (column < 2 * section && in_part < kHeads * head_dim) {
            const int32_t i = in_part % head_dim % half;
            const bool is_first = in_part % head_dim < half;
            const int32_t at = (row - offsets[s]) * half + i;
            const double other = before.at(row, is_first ? column + half : column - half);
            const double cosine = angles.cosines.data()[at], sine = angles.sines.data()[at];
            expected = expected * cosine + (is_first ? -other : other) * sine;
            size = std::abs(before.at(row, column)) + std::abs(other);
          }
          // Two roundings in fp32, one to the element type.
          ASSERT_NEAR(qkv.at(row, column), expected,
                      2 * kFp32Rounding * size +
                          (is_bf16() && size > 0 ? kBf16Rounding * std::abs(expected) : 0))
              << "row " << row << ", column " << column << " of sections of " << section;
        }
      }
    }
  }
}

// Heads are shared out over the members of a team: those of others stay as they are.
TEST_P(RotateTest, HeadByHeadGivesTheSameBits) {
  std::mt19937 random(2);
  const std::vector<int32_t> offsets = {0, 7, 30};
  const Angles angles(16);
  Matrix together(30, 3 * 96, set().precision);
  together.fill(random);
  Matrix apart = together.copy();
  rotate(together, angles, offsets, 96, 32, 0, 3);
  for (int32_t head = 0; head < 3; ++head) rotate(apart, angles, offsets, 96, 32, head, 1);
  for (int32_t row = 0; row < 30; ++row) {
    ASSERT_EQ(0, std::memcmp(together.row(row), apart.row(row),
                             static_cast<size_t>(3 * 96 * (is_bf16() ? 2 : 4))))
        << row;
  }
}

TILEWISE_FOR_ALL_KERNEL_SETS(RotateTest);

}  // namespace
}  // namespace tilewise::kernels
