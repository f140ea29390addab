// fp32 vectors to bf16 in memory, for the files of the AMX level and of its model.
#pragma once

#include "kernels/vector_math-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Rounds two vectors to nearest even and stores them one after the other.
template <class D, class V>
HWY_INLINE void StoreBf16(D d, V low, V high, uint16_t* to) {
#if defined(__AVX512BF16__) && HWY_TARGET <= HWY_AVX3
  (void)d;
  const __m512bh both = _mm512_cvtne2ps_pbh(high.raw, low.raw);
  _mm512_store_si512(to, reinterpret_cast<__m512i>(both));
#else
  const hn::RebindToUnsigned<D> du;
  const hn::Rebind<uint16_t, D> dh;
  const auto round = [du, dh](V v) HWY_ATTR {
    return hn::TruncateTo(dh, hn::ShiftRight<16>(RoundToBf16Bits(du, v)));
  };
  hn::Store(round(low), dh, to);
  hn::Store(round(high), dh, to + hn::Lanes(d));
#endif
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
