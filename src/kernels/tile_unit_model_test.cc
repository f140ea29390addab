// The model of the tile unit against the definitions of TDPBF16PS and TDPBUSD, worked out by hand.
#include "kernels/tile_unit_model.h"

#include <cmath>

#include <gtest/gtest.h>

#include "kernels/pack.h"

namespace tilewise::kernels {
namespace {

/// One element of the accumulator: start + sum of left[i] * right[i] over the 32 values of k.
float dot(float start, const float (&left)[32], const float (&right)[32]) {
  alignas(64) float sums[16][16] = {};
  alignas(64) uint16_t a[16][32] = {}, b[16][32] = {};
  constexpr int kRow = 3, kColumn = 5;
  sums[kRow][kColumn] = start;
  for (int i = 0; i < 32; ++i) {
    a[kRow][i] = to_bf16(left[i]);
    b[i / 2][2 * kColumn + i % 2] = to_bf16(right[i]);
  }
  ModelTiles::configure();
  ModelTiles::load<1>(sums, 64);
  ModelTiles::load<2>(a, 64);
  ModelTiles::load_streaming<7>(b, 64);
  ModelTiles::multiply_add_bf16<1, 2, 7>();
  ModelTiles::store<1>(sums, 64);
  ModelTiles::release();
  return sums[kRow][kColumn];
}

TEST(TileUnitModel, AddsTheProductsToTheAccumulator) {
  float left[32], right[32];
  for (int i = 0; i < 32; ++i) {
    left[i] = static_cast<float>(i + 1);
    right[i] = 2.0f;
  }
  EXPECT_EQ(dot(0.5f, left, right), 0.5f + 2 * 32 * 33 / 2);
}

TEST(TileUnitModel, SumsEvenAndOddElementsApart) {
  // In one chain 2^24 + 1 would lose the 1 (ties to even); apart, the odd sum is 2, and 2^24 + 2 is
  // a number of fp32.
  float left[32] = {0x1p24f, 1, 0, 1}, right[32] = {1, 1, 0, 1};
  EXPECT_EQ(dot(0, left, right), 0x1p24f + 2);
  // Within the even elements they do get lost, one after the other.
  float even[32] = {0x1p24f, 0, 1, 0, 1, 0}, ones[32] = {1, 0, 1, 0, 1, 0};
  EXPECT_EQ(dot(0, even, ones), 0x1p24f);
}

TEST(TileUnitModel, AddsTheAccumulatorLast) {
  // Starting from 2^24 each 1 would be lost; added as one sum of 16 they are not.
  float left[32], right[32];
  for (int i = 0; i < 32; ++i) left[i] = 0.5f, right[i] = 1.0f;
  EXPECT_EQ(dot(0x1p24f, left, right), 0x1p24f + 16);
}

TEST(TileUnitModel, TreatsSubnormalNumbersAsZero) {
  const float subnormal = 0x1p-130f;
  float left[32] = {subnormal}, right[32] = {0x1p20f};
  EXPECT_EQ(dot(0, left, right), 0.0f);
  float zero[32] = {};
  EXPECT_EQ(dot(subnormal, zero, zero), 0.0f);
  float small[32] = {0x1p-70f}, smaller[32] = {0x1p-60f};  // the product is subnormal
  EXPECT_EQ(dot(0, small, smaller), 0.0f);
}

TEST(TileUnitModel, MultipliesAndAddsWithOneRounding) {
  // 2^100 * 2^100 is beyond fp32, and so is its difference with any fp32 number; but infinity must
  // not turn up early: 2^64 * 2^64 = 2^128 overflows by itself, yet 2^128 - 2^127 - 2^127 in one
  // fused step does not.
  float left[32] = {-0x1p63f, 0, 0x1p64f}, right[32] = {0x1p64f, 0, 0x1p64f};
  EXPECT_EQ(dot(0, left, right), 0x1p127f);
}

TEST(TileUnitModel, MultipliesUnsignedWithSignedBytes) {
  // Row 3 of u8 with column 5 of s8; four values of k lie side by side in both.
  alignas(64) int32_t sums[16][16] = {};
  alignas(64) uint8_t left[16][64] = {};
  alignas(64) int8_t right[16][64] = {};
  int32_t expected = sums[3][5] = -7;
  for (int k = 0; k < 64; ++k) {
    const int a = k == 0 ? 255 : 4 * k, b = k == 0 ? -128 : 2 * k - 63;
    left[3][k] = static_cast<uint8_t>(a);
    right[k / 4][4 * 5 + k % 4] = static_cast<int8_t>(b);
    expected += a * b;
  }
  ModelTiles::configure();
  ModelTiles::load<0>(sums, 64);
  ModelTiles::load<3>(left, 64);
  ModelTiles::load<4>(right, 64);
  ModelTiles::multiply_add_u8_s8<0, 3, 4>();
  ModelTiles::store<0>(sums, 64);
  ModelTiles::release();
  EXPECT_EQ(sums[3][5], expected);
  EXPECT_EQ(sums[3][4], 0);
  EXPECT_EQ(sums[2][5], 0);
}

TEST(TileUnitModelDeathTest, FaultsWithoutConfiguration) {
  ModelTiles::release();
  EXPECT_DEATH(ModelTiles::zero<0>(), "");
}

TEST(TileUnitModel, RepeatsOneRowForAStrideOfZero) {
  alignas(64) float row[16], all[16][16];
  for (int i = 0; i < 16; ++i) row[i] = static_cast<float>(i);
  ModelTiles::configure();
  ModelTiles::load<0>(row, 0);
  ModelTiles::store<0>(all, 64);
  ModelTiles::release();
  for (int r = 0; r < 16; ++r) {
    for (int i = 0; i < 16; ++i) EXPECT_EQ(all[r][i], row[i]);
  }
}

}  // namespace
}  // namespace tilewise::kernels
