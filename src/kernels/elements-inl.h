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
