// The dot products that Highway expresses: fp32, and bf16 widened to fp32. See micro_kernel-inl.h
// for what a Dot is.
#pragma once

#include "kernels/micro_kernel-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

// The block that fills the registers: sums, one step of the right operand and one value of the
// left.
#if HWY_TARGET == HWY_AVX3
constexpr int kFp32Rows = 14, kWidenedRows = 14, kRegisterVectors = 2;  // 32 registers of 16 lanes
#elif HWY_TARGET == HWY_AVX2
constexpr int kFp32Rows = 6, kWidenedRows = 6, kRegisterVectors = 2;  // 16 of 8
#elif HWY_TARGET == HWY_NEON
constexpr int kFp32Rows = 6, kWidenedRows = 5, kRegisterVectors = 4;  // 32 of 4
#else
constexpr int kFp32Rows = 3, kWidenedRows = 3, kRegisterVectors = 4;  // 16 of 4
#endif

/// sums[j] += *left * right[j]: one value of a row times one step.
template <int kVectors>
HWY_INLINE void multiply_row(const float* left, const Floats (&right)[kVectors],
                             Floats (&sums)[kVectors]) {
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX2
  // In assembly, because compilers hoist the broadcasts of high blocks and then spill.
  if constexpr (kVectors == 2) {
    Floats value;
    asm("vbroadcastss %[left],%[value]\n\t"
        "vfmadd231ps %[r0],%[value],%[s0]\n\t"
        "vfmadd231ps %[r1],%[value],%[s1]"
        : [value] "=&v"(value.raw), [s0] "+v"(sums[0].raw), [s1] "+v"(sums[1].raw)
        : [left] "m"(*left), [r0] "v"(right[0].raw), [r1] "v"(right[1].raw));
    return;
  }
#endif
  const FloatTag d;
  const Floats value = hn::Set(d, *left);
  HWY_UNROLL(8)
  for (int j = 0; j < kVectors; ++j) {
    sums[j] = hn::MulAdd(value, right[j], sums[j]);
#if HWY_TARGET == HWY_NEON
    // Keeps the loads of later rows and steps behind this row's sums, for the same reason.
    asm volatile("" : "+w"(sums[j].raw) : : "memory");
#endif
  }
}

/// One k a step; a fused multiply-add where the target has one.
struct Fp32Dot {
  using Block = BlockArgs;
  using Element = float;
  using Left = float;
  static constexpr int kMaxRows = kFp32Rows, kVectors = kRegisterVectors, kLeftStep = 4;

  template <int kRows, int kWidth>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              Sums<kRows, kWidth>& sums) {
    const FloatTag d;
    Floats r[kWidth];
    HWY_UNROLL(8)
    for (int j = 0; j < kWidth; ++j) {
      r[j] = hn::LoadU(d, reinterpret_cast<const float*>(right) + j * kLanes);
    }
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      multiply_row(reinterpret_cast<const float*>(left.row(i) + offset), r, sums.v[i]);
    }
  }
};

/// Two k a step: weights are pairs of bf16, the left operand has been widened to fp32 beforehand.
/// The even k comes first.
struct WidenedDot {
  using Block = BlockArgs;
  using Element = uint16_t;
  using Left = float;
  static constexpr int kMaxRows = kWidenedRows, kVectors = kRegisterVectors, kLeftStep = 8;
  static constexpr int kRange = 512, kRangeBytes = kRange * 4;  // values of k converted at once

  /// bf16 to fp32.
  static HWY_INLINE void convert(const char* from, int32_t count, float* to) {
    const FloatTag d;
    const auto* values = reinterpret_cast<const uint16_t*>(from);
    for (int32_t k = 0; k < count; k += kLanes) hn::StoreU(load(d, values + k), d, to + k);
  }

  template <int kRows, int kWidth>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              Sums<kRows, kWidth>& sums) {
    multiply_half<0>(left, offset, right, sums);
    // Loaded again for the odd k: keeping the pairs would take registers that the sums need.
    asm("" : "+r"(right));
    multiply_half<1>(left, offset, right, sums);
  }

 private:
  template <int kOdd, int kRows, int kWidth>
  static HWY_INLINE void multiply_half(const Rows<kRows>& left, int64_t offset, const char* right,
                                       Sums<kRows, kWidth>& sums) {
    const FloatTag d;
    const hn::RebindToUnsigned<FloatTag> du;
    Floats r[kWidth];
    HWY_UNROLL(8)
    for (int j = 0; j < kWidth; ++j) {
      const auto pair = hn::LoadU(du, reinterpret_cast<const uint32_t*>(right) + j * kLanes);
      if constexpr (kOdd != 0) {
        r[j] = hn::BitCast(d, hn::And(pair, hn::Set(du, 0xffff0000U)));
      } else {
        r[j] = hn::BitCast(d, hn::ShiftLeft<16>(pair));
      }
    }
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      const char* value = left.row(i) + offset + 4 * kOdd;
      multiply_row(reinterpret_cast<const float*>(value), r, sums.v[i]);
    }
  }
};

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
