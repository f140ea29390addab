// 2^x, tanh, bf16 conversion: vector code in Highway, compiled for the instruction set of the file
// that includes it.
//
// Everything here has internal linkage: the same name compiled with two sets of flags must never be
// merged by the linker. The polynomials come from tools/fit_gelu.py.
#pragma once

#include <hwy/highway.h>

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

namespace hn = hwy::HWY_NAMESPACE;

/// c[0] + c[1] x + ... by Horner's rule.
template <class D, class V, size_t kTerms>
HWY_INLINE V Polynomial(D d, V x, const float (&c)[kTerms]) {
  V sum = hn::Set(d, c[kTerms - 1]);
  HWY_UNROLL(16)
  for (size_t i = 1; i < kTerms; ++i) sum = hn::MulAdd(sum, x, hn::Set(d, c[kTerms - 1 - i]));
  return sum;
}

/// min(x, bound) and max(x, bound) that keep a NaN in x. x86 returns the second operand when one is
/// NaN, Arm the NaN; Highway's emulated targets would return the bound.
template <class D, class V>
HWY_INLINE V AtMost(D d, V x, float bound) {
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  return hn::IfThenElse(hn::Gt(x, hn::Set(d, bound)), hn::Set(d, bound), x);
#else
  return hn::Min(hn::Set(d, bound), x);
#endif
}
template <class D, class V>
HWY_INLINE V AtLeast(D d, V x, float bound) {
#if HWY_TARGET == HWY_SCALAR || HWY_TARGET == HWY_EMU128
  return hn::IfThenElse(hn::Lt(x, hn::Set(d, bound)), hn::Set(d, bound), x);
#else
  return hn::Max(hn::Set(d, bound), x);
#endif
}

/// 2^x for x from -126.5 to 127.5, and NaN: x = n + f with n the nearest integer, 2^f from the
/// polynomial, 2^n put together from bits.
template <class D, class V, size_t kTerms>
HWY_INLINE V Exp2InRangeBy(D d, V x, const float (&c)[kTerms]) {
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits; 127 is the bias of the
  // exponent.
  const V magic = hn::Set(d, 12582912.0f + 127.0f);
  const V shifted = hn::Add(x, magic);
  const V fraction = hn::Sub(x, hn::Sub(shifted, magic));
  const hn::RebindToUnsigned<D> du;
  const V power = hn::BitCast(d, hn::ShiftLeft<23>(hn::BitCast(du, shifted)));
  return hn::Mul(Polynomial(d, fraction, c), power);
}

/// For any x: 0 under -126.5, infinity above 127.5, for at the bounds the bits put together are
/// those of 0 and of infinity.
template <class D, class V, size_t kTerms>
HWY_INLINE V Exp2By(D d, V x, const float (&c)[kTerms]) {
  return Exp2InRangeBy(d, AtMost(d, AtLeast(d, x, -127.0f), 128.0f), c);
}

constexpr float kExp2Terms[] = {1.0f,          0.693147004f,   0.240222424f,
                                0.0555073358f, 0.00967151299f, 0.00132647273f};
constexpr float kExp2FastTerms[] = {1.0f, 0.693124175f, 0.240240991f, 0.0559064262f,
                                    0.00958285294f};

/// 2^x for fp32 results: relative error at most 2e-7.
template <class D, class V>
HWY_INLINE V Exp2(D d, V x) {
  return Exp2By(d, x, kExp2Terms);
}

/// 2^x for results that are rounded to bf16: relative error at most 3e-6.
template <class D, class V>
HWY_INLINE V Exp2Fast(D d, V x) {
  return Exp2By(d, x, kExp2FastTerms);
}

/// Exp2 for x from -126.5 to 127.5, and NaN.
template <class D, class V>
HWY_INLINE V Exp2InRange(D d, V x) {
  return Exp2InRangeBy(d, x, kExp2Terms);
}

/// 2^x of x <= 0, and NaN, as accurate as results of type Element need: like Exp2 for fp32, like
/// Exp2Fast for bf16.
template <class Element, class D, class V>
HWY_INLINE V Exp2OfNegative(D d, V x) {
  const V bounded = AtLeast(d, x, -127.0f);
  if constexpr (sizeof(Element) == sizeof(float)) {
    return Exp2InRangeBy(d, bounded, kExp2Terms);
  } else {
    return Exp2InRangeBy(d, bounded, kExp2FastTerms);
  }
}

/// tanh(x), absolute error at most 2e-7.
template <class D, class V>
HWY_INLINE V Tanh(D d, V x) {
  const V one = hn::Set(d, 1.0f);
  const V e = Exp2(d, hn::Mul(hn::Abs(x), hn::Set(d, -2.88539008f)));  // exp(-2|x|)
  return hn::CopySign(hn::Div(hn::Sub(one, e), hn::Add(one, e)), x);
}

/// Rounds to the nearest bf16, ties to even, and leaves it in the upper half of each lane; NaN
/// stays NaN.
template <class DU, class V>
HWY_INLINE hn::VFromD<DU> RoundToBf16Bits(DU du, V v) {
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff)));
  const auto quiet = hn::Or(bits, hn::Set(du, 0x00400000));
  const hn::RebindToFloat<DU> df;
  const auto is_nan = hn::RebindMask(du, hn::IsNaN(hn::BitCast(df, bits)));
  return hn::IfThenElse(is_nan, quiet, rounded);
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
