// Loads and stores of activations: fp32, or bf16 in uint16_t, always fp32 in registers. See
// vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#include "kernels/gelu-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

template <class D>
HWY_INLINE hn::VFromD<D> load(D d, const float* from) {
  return hn::LoadU(d, from);
}

template <class D>
HWY_INLINE hn::VFromD<D> load(D d, const uint16_t* from) {
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> du16;
  return hn::BitCast(d, hn::ShiftLeft<16>(hn::PromoteTo(du, hn::LoadU(du16, from))));
}

template <class D, class V>
HWY_INLINE void store(D d, V v, float* to) {
  hn::StoreU(v, d, to);
}

template <class D, class V>
HWY_INLINE void store(D d, V v, uint16_t* to) {
#if defined(__AVX512BF16__)
  if constexpr (hn::MaxLanes(D()) == 16) {
    const auto narrow = _mm512_cvtneps_pbh(v.raw);
    __builtin_memcpy(to, &narrow, sizeof narrow);
    return;
  }
#endif
  (void)d;
  const hn::RebindToUnsigned<D> du;
  const hn::RebindToSigned<D> di;
  const hn::Rebind<uint16_t, D> du16;
  // Seen as signed the upper halves are under 2^16, so the saturation of DemoteTo changes nothing.
  const auto upper = hn::BitCast(di, hn::ShiftRight<16>(RoundToBf16Bits(du, v)));
  hn::StoreU(hn::DemoteTo(du16, upper), du16, to);
}

/// Stores two vectors side by side.
template <class D, class V>
HWY_INLINE void store_pair(D d, V low, V high, float* to) {
  hn::StoreU(low, d, to);
  hn::StoreU(high, d, to + hn::Lanes(d));
}

template <class D, class V>
HWY_INLINE void store_pair(D d, V low, V high, uint16_t* to) {
#if defined(__AVX512BF16__)
  // One instruction rounds both to nearest even; it also flushes results under 2^-126 to zero.
  const auto both = _mm512_cvtne2ps_pbh(high.raw, low.raw);
  __builtin_memcpy(to, &both, sizeof both);
  (void)d;
#else
  store(d, low, to);
  store(d, high, to + hn::Lanes(d));
#endif
}

/// Stores the lower halves of the lanes of `first`, then the upper halves of those of `second`.
template <class DU, class VU>
HWY_INLINE void store_halves(DU du, VU first, VU second, void* to) {
#if HWY_TARGET == HWY_AVX3
  if constexpr (hn::MaxLanes(DU()) == 16) {
    alignas(64) static constexpr uint16_t kOrder[32] = {0,  2,  4,  6,  8,  10, 12, 14, 16, 18, 20,
                                                        22, 24, 26, 28, 30, 1,  3,  5,  7,  9,  11,
                                                        13, 15, 17, 19, 21, 23, 25, 27, 29, 31};
    (void)du;
    const __m512i both = _mm512_mask_mov_epi16(first.raw, 0xaaaaaaaaU, second.raw);
    _mm512_storeu_si512(to, _mm512_permutexvar_epi16(_mm512_load_si512(kOrder), both));
    return;
  }
#endif
  const hn::Rebind<uint16_t, DU> du16;
  auto* halves = static_cast<uint16_t*>(to);
  hn::StoreU(hn::TruncateTo(du16, first), du16, halves);
  hn::StoreU(hn::TruncateTo(du16, hn::ShiftRight<16>(second)), du16, halves + hn::Lanes(du));
}

/// store_pair for bf16 without a case for NaN: right for numbers, infinities and the NaNs that
/// arithmetic makes of bf16, whose lower halves are zero.
template <class D, class V>
HWY_INLINE void store_pair_of_numbers(D d, V low, V high, uint16_t* to) {
#if defined(__AVX512BF16__)
  store_pair(d, low, high, to);
#else
  (void)d;
  const hn::RebindToUnsigned<D> du;
  const auto rounded = [&](V v) {
    const auto bits = hn::BitCast(du, v);
    const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1));
    return hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7fff)));
  };
  store_halves(du, hn::ShiftRight<16>(rounded(low)), rounded(high), to);
#endif
}

/// GELU as accurate as the element that takes the result needs it.
template <class Element, class D, class V>
HWY_INLINE V gelu(D d, V x) {
  if constexpr (sizeof(Element) == sizeof(float)) {
    return GeluExact(d, x);
  } else {
    return GeluFast(d, x);
  }
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
