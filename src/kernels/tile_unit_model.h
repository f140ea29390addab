// A software model of the tile unit, bit for bit what the processor computes, so that every machine
// tests the AMX kernels. Source: Intel Architecture Instruction Set Extensions Programming
// Reference, chapter 3 (TDPBF16PS, TDPBUSD, TILELOADD, ...).
#pragma once

#include <bit>
#include <cmath>
#include <cstdint>
#include <cstring>

namespace tilewise::kernels {

/// The interface of HardwareTiles. Every thread has its own tiles, which all files share.
class ModelTiles {
 public:
  static void configure() {
    state = {};
    state.configured = true;
  }
  static void release() { state = {}; }

  template <int kTile>
  static void zero() {
    std::memset(tile<kTile>(), 0, kTileSize);
  }

  template <int kTile>
  static void load(const void* rows, int64_t stride) {
    for (int row = 0; row < kRows; ++row) {
      std::memcpy(tile<kTile>() + row * kRowBytes, static_cast<const char*>(rows) + row * stride,
                  kRowBytes);
    }
  }

  template <int kTile>
  static void load_streaming(const void* rows, int64_t stride) {
    load<kTile>(rows, stride);
  }

  template <int kTile>
  static void store(void* rows, int64_t stride) {
    for (int row = 0; row < kRows; ++row) {
      std::memcpy(static_cast<char*>(rows) + row * stride, tile<kTile>() + row * kRowBytes,
                  kRowBytes);
    }
  }

  /// TDPBF16PS sums even and odd elements of k apart, each by fused multiply-adds that begin at
  /// zero, adds the two sums, and adds that to the accumulator. It rounds to nearest even and takes
  /// and gives zero for subnormal numbers.
  template <int kSums, int kLeft, int kRight>
  static void multiply_add_bf16() {
    float right_even[kRows][kRows], right_odd[kRows][kRows];
    for (int pair = 0; pair < kRows; ++pair) {
      widen(tile<kRight>() + pair * kRowBytes, right_even[pair], right_odd[pair]);
    }
    for (int row = 0; row < kRows; ++row) {
      float left_even[kRows], left_odd[kRows];
      widen(tile<kLeft>() + row * kRowBytes, left_even, left_odd);
      float even[kRows] = {}, odd[kRows] = {};
      for (int pair = 0; pair < kRows; ++pair) {
        for (int column = 0; column < kRows; ++column) {
          even[column] = multiply_add(left_even[pair], right_even[pair][column], even[column]);
          odd[column] = multiply_add(left_odd[pair], right_odd[pair][column], odd[column]);
        }
      }
      float sums[kRows];
      std::memcpy(sums, tile<kSums>() + row * kRowBytes, kRowBytes);
      for (int column = 0; column < kRows; ++column) {
        const float both = flush(double{even[column]} + odd[column]);
        sums[column] = flush(double{flush(sums[column])} + both);
      }
      std::memcpy(tile<kSums>() + row * kRowBytes, sums, kRowBytes);
    }
  }

  /// TDPBUSD: exact products, sums modulo 2^32.
  template <int kSums, int kLeft, int kRight>
  static void multiply_add_u8_s8() {
    for (int row = 0; row < kRows; ++row) {
      uint32_t sums[kRows];
      std::memcpy(sums, tile<kSums>() + row * kRowBytes, kRowBytes);
      const unsigned char* left = tile<kLeft>() + row * kRowBytes;
      for (int k = 0; k < kRowBytes; ++k) {
        const unsigned char* right = tile<kRight>() + k / 4 * kRowBytes + k % 4;
        for (int column = 0; column < kRows; ++column) {
          sums[column] += static_cast<uint32_t>(left[k] * static_cast<int8_t>(right[4 * column]));
        }
      }
      std::memcpy(tile<kSums>() + row * kRowBytes, sums, kRowBytes);
    }
  }

 private:
  static constexpr int kRows = 16;
  static constexpr int kRowBytes = 64;
  static constexpr int kTileSize = kRows * kRowBytes;

  struct State {
    bool configured;
    alignas(64) unsigned char tiles[8][kTileSize];
  };
  static inline thread_local State state{};

  template <int kTile>
  static unsigned char* tile() {
    static_assert(0 <= kTile && kTile < 8);
    if (!state.configured) __builtin_trap();  // the processor raises #UD
    return state.tiles[kTile];
  }

  /// 32 bf16 values to fp32, even and odd ones apart.
  static void widen(const unsigned char* row, float* even, float* odd) {
    for (int pair = 0; pair < kRows; ++pair) {
      uint32_t dword;
      std::memcpy(&dword, row + 4 * pair, sizeof dword);
      even[pair] = flush(std::bit_cast<float>(dword << 16));
      odd[pair] = flush(std::bit_cast<float>(dword & 0xffff0000U));
    }
  }

  /// a * b + c, rounded once. fp64 holds the product of two bf16 numbers exactly, and its sum with
  /// an fp32 number too wherever that lies near a rounding boundary of fp32; so rounding to fp64
  /// first changes nothing.
  static float multiply_add(float a, float b, float c) { return flush(double{a} * b + c); }

  /// To fp32. Results that stay below the smallest normal number when rounded to 24 bits become
  /// zero, with their sign.
  static float flush(double value) {
    constexpr double kTiny = 0x1p-126 - 0x1p-151;
    const double kept = std::fabs(value) < kTiny ? std::copysign(0.0, value) : value;
    return static_cast<float>(kept);
  }
};

}  // namespace tilewise::kernels
