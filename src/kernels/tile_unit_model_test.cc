// The model of the tile unit against the definition of TDPBF16PS, worked out by hand.
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
