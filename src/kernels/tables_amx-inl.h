// GELU and 2^x for vector code that runs beside the tile unit.
//
// While tile instructions are in flight these cores execute 512-bit floating-point arithmetic on
// one port instead of two, but integer and shuffle instructions still on the other. So shorter
// polynomials whose coefficients are shuffled out of tables take half the time that the long ones
// of gelu-inl.h and vector_math-inl.h take. The tables come from tools/fit_amx_tables.py. Other
// targets (the model of the tile unit) use the long polynomials.
#pragma once

#include "kernels/gelu-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

// Whether this file is compiled for vectors beside a real tile unit.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
#define TILEWISE_BESIDE_TILES 1
#else
#define TILEWISE_BESIDE_TILES 0
#endif

#if TILEWISE_BESIDE_TILES

/// Phi(x) = p0 + x (p1 + x p2) in 32 intervals; their middles are 0 to 15, then -16 to -1 times
/// the width.
alignas(64) constexpr float kPhi0[32] = {
    0.5f,           0.498996615f,  0.492369592f,  0.482195467f,  0.479509234f,   0.498111784f,
    0.545845091f,   0.619688988f,  0.707453966f,  0.793951333f,  0.867234945f,   0.921715379f,
    0.957720339f,   0.979062498f,  0.990481853f,  0.996023655f,  0.00152816414f, 0.0039763716f,
    0.00951813441f, 0.0209375061f, 0.0422796421f, 0.0782846287f, 0.132765025f,   0.206048638f,
    0.292546064f,   0.380311012f,  0.454154938f,  0.501888216f,  0.520490766f,   0.517804563f,
    0.507630408f,   0.501003385f};
alignas(64) constexpr float kPhi1[32] = {
    0.398028791f,  0.411887258f,  0.444751203f,  0.475411683f,   0.481740981f,    0.451728284f,
    0.387921154f,  0.304093212f,  0.217600316f,  0.14231357f,    0.0852081105f,   0.0467825308f,
    0.0235894918f, 0.0109389033f, 0.0046704784f, 0.00183790713f, 0.000667178014f, 0.00183790713f,
    0.0046704784f, 0.0109389033f, 0.0235894918f, 0.0467825308f,  0.0852081105f,   0.14231357f,
    0.217600316f,  0.304093212f,  0.387921154f,  0.451728284f,   0.481740981f,    0.475411683f,
    0.444751203f,  0.411887258f};
alignas(64) constexpr float kPhi2[32] = {
    8.93024465e-15f,  -0.0519274063f,  -0.0930475816f,  -0.116214536f,   -0.119908214f,
    -0.10779392f,     -0.0864562541f,  -0.0626541153f,  -0.0413364731f,  -0.0249495804f,
    -0.0138223972f,   -0.00704569742f, -0.0033101351f,  -0.00143524515f, -0.000574928825f,
    -0.000212944069f, 7.29738604e-05f, 0.000212944069f, 0.000574928825f, 0.00143524515f,
    0.0033101351f,    0.00704569742f,  0.0138223972f,   0.0249495804f,   0.0413364731f,
    0.0626541153f,    0.0864562541f,   0.10779392f,     0.119908214f,    0.116214536f,
    0.0930475816f,    0.0519274063f};
constexpr float kPhiEnd = 4.2f;
constexpr float kPhiIntervalsPerUnit = 3.69047619f;

HWY_INLINE __m512 look_up(const float (&table)[32], __m512i index) {
  return _mm512_permutex2var_ps(_mm512_load_ps(table), index, _mm512_load_ps(table + 16));
}

/// x Phi(x), absolute error at most 6e-5; x for x >= 4.2, 0 for x <= -4.2, NaN for NaN and
/// -infinity.
template <class D, class V>
HWY_INLINE V gelu_beside_tiles(D, V v) {
  const __m512 x = v.raw;
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits; the shuffles look at five
  // of them.
  const __m512i interval = _mm512_castps_si512(
      _mm512_fmadd_ps(x, _mm512_set1_ps(kPhiIntervalsPerUnit), _mm512_set1_ps(12582912.0f)));
  const __mmask16 above_low = _mm512_cmp_ps_mask(x, _mm512_set1_ps(-kPhiEnd), _CMP_NLE_UQ);
  const __mmask16 beyond_high = _mm512_cmp_ps_mask(x, _mm512_set1_ps(kPhiEnd), _CMP_GE_OQ);
  const __m512 slope = _mm512_fmadd_ps(look_up(kPhi2, interval), x, look_up(kPhi1, interval));
  const __m512 inside = _mm512_maskz_fmadd_ps(above_low, slope, x, look_up(kPhi0, interval));
  return V{_mm512_mul_ps(x, _mm512_mask_mov_ps(inside, beyond_high, _mm512_set1_ps(1.0f)))};
}

/// 2^(j/16) times the line through 2^f that fits best for |f| <= 1/32.
alignas(64) constexpr float kExp2Offsets[16] = {1.0001173f,  1.04439628f, 1.09063566f, 1.13892221f,
                                                1.18934655f, 1.24200344f, 1.29699171f, 1.35441434f,
                                                1.41437948f, 1.4769994f,  1.54239178f, 1.61067927f,
                                                1.68199015f, 1.75645816f, 1.83422327f, 1.91543126f};
alignas(64) constexpr float kExp2Slopes[16] = {
    0.693201363f, 0.723892033f, 0.755941451f, 0.789409876f, 0.824360013f, 0.860857546f,
    0.898970962f, 0.938771844f, 0.980334818f, 1.02373791f,  1.06906271f,  1.11639416f,
    1.16582108f,  1.21743643f,  1.27133691f,  1.32762384f};

/// Constants for 2^(x - largest), where `largest` is the largest x that will come.
struct Exp2Shift {
  __m512 shift;   ///< x + shift rounds x to a multiple of 1/16 and leaves the fraction in the low
                  ///< four bits
  __m512 top;     ///< the largest x, rounded to an integer, plus shift
  __m512 lowest;  ///< x under it give 0; it equals the largest x where that is huge
};

HWY_INLINE Exp2Shift exp2_shift(__m512 largest) {
  constexpr float kToSixteenths = 786432.0f;  // 1.5 * 2^(23 - 4)
  const __m512 whole = _mm512_roundscale_ps(largest, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  const __m512 shift = _mm512_sub_ps(_mm512_set1_ps(kToSixteenths), whole);
  return {shift, _mm512_add_ps(whole, shift), _mm512_sub_ps(whole, _mm512_set1_ps(120.0f))};
}

/// 2^(x - largest rounded to an integer), relative error at most 1.2e-4, in the given lanes, and 0
/// in the others; NaN for NaN.
HWY_INLINE __m512 exp2_beside_tiles(__mmask16 lanes, __m512 x, const Exp2Shift& largest) {
  const __m512 shifted = _mm512_add_ps(x, largest.shift);
  const __m512 fraction = _mm512_sub_ps(x, _mm512_sub_ps(shifted, largest.shift));
  const __m512i sixteenth = _mm512_castps_si512(shifted);  // the shuffles look at its low four bits
  const __m512 power =
      _mm512_fmadd_ps(_mm512_permutexvar_ps(sixteenth, _mm512_load_ps(kExp2Slopes)), fraction,
                      _mm512_permutexvar_ps(sixteenth, _mm512_load_ps(kExp2Offsets)));
  const __mmask16 counts = _mm512_mask_cmp_ps_mask(lanes, x, largest.lowest, _CMP_NLT_UQ);
  return _mm512_maskz_scalef_ps(counts, power, _mm512_sub_ps(shifted, largest.top));
}

#else

template <class D, class V>
HWY_INLINE V gelu_beside_tiles(D d, V x) {
  return GeluFast(d, x);
}

#endif

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
