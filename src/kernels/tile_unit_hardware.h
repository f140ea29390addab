// The tile unit of the processor (Intel AMX). Only for files compiled with AMX flags.
//
// Instructions are written as assembly because the intrinsics of GCC 12 take tile numbers as
// literals only and do not tell the compiler that tile loads read, and tile stores write, memory.
#pragma once

#include <cstdint>

namespace tilewise::kernels {
namespace {

/// Eight tiles of 16 rows x 64 bytes. tile_unit_model.h has the same interface.
struct HardwareTiles {
  /// Gives all eight tiles their full shape and zeroes them. The thread needs it before any other
  /// call, once.
  static void configure() {
    alignas(64) TileConfig config;
    asm volatile("ldtilecfg %0" ::"m"(config) : "memory");
  }

  /// Returns the tiles to their initial state, so that the system need not save them any more.
  static void release() { asm volatile("tilerelease" ::: "memory"); }

  template <int kTile>
  static void zero() {
    asm volatile("tilezero %%tmm%c0" ::"i"(kTile));
  }

  /// 16 rows of 64 bytes; `stride` bytes lie between their starts, 0 repeats one row.
  template <int kTile>
  static void load(const void* rows, int64_t stride) {
    asm volatile("tileloadd (%0,%1,1), %%tmm%c2" ::"r"(rows), "r"(stride), "i"(kTile) : "memory");
  }

  /// The same for data that is not used again soon: it leaves what the first-level cache holds
  /// alone.
  template <int kTile>
  static void load_streaming(const void* rows, int64_t stride) {
    asm volatile("tileloaddt1 (%0,%1,1), %%tmm%c2" ::"r"(rows), "r"(stride), "i"(kTile) : "memory");
  }

  template <int kTile>
  static void store(void* rows, int64_t stride) {
    asm volatile("tilestored %%tmm%c2, (%0,%1,1)" ::"r"(rows), "r"(stride), "i"(kTile) : "memory");
  }

  /// kSums (16 x 16 fp32) += kLeft (16 x 32 bf16) * kRight (32 x 16 bf16, pairs of rows
  /// interleaved).
  template <int kSums, int kLeft, int kRight>
  static void multiply_add_bf16() {
    asm volatile("tdpbf16ps %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kLeft), "i"(kRight));
  }

  /// kSums (16 x 16 int32) += kLeft (16 x 64 uint8) * kRight (64 x 16 int8, four rows interleaved).
  /// Sums wrap.
  template <int kSums, int kLeft, int kRight>
  static void multiply_add_u8_s8() {
    asm volatile("tdpbusd %%tmm%c2, %%tmm%c1, %%tmm%c0" ::"i"(kSums), "i"(kLeft), "i"(kRight));
  }

 private:
  struct TileConfig {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
    uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
  };
  static_assert(sizeof(TileConfig) == 64);
};

}  // namespace
}  // namespace tilewise::kernels
