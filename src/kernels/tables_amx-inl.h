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

/// GELU = q0 + x (q1 + x q2) in 32 intervals; they begin at 0 to 15, then -16 to -1 times the
/// width. The outer two are the tails x and 0.
alignas(64) constexpr float kGelu0[32] = {
    0.0f,           -0.00479923189f, -0.0333580449f,  -0.10371767f,
    -0.211457491f,  -0.326036364f,   -0.407517463f,   -0.429431975f,
    -0.390824258f,  -0.312239617f,   -0.221446753f,   -0.140562028f,
    -0.0803408995f, -0.0415444523f,  -0.0195072684f,  0.0f,
    0.0f,           -0.0195072684f,  -0.0415444523f,  -0.0803408995f,
    -0.140562028f,  -0.221446753f,   -0.312239617f,   -0.390824258f,
    -0.429431975f,  -0.407517463f,   -0.326036364f,   -0.211457491f,
    -0.10371767f,   -0.0333580449f,  -0.00479923189f, 0.0f};
alignas(64) constexpr float kGelu1[32] = {
    0.50091666f,   0.533486724f,  0.636366665f,    0.807686687f,  1.00551653f,
    1.17442226f,   1.27497387f,   1.29870725f,     1.26379371f,   1.19998169f,
    1.13345373f,   1.07950723f,   1.04266298f,     1.02074218f,   1.00917625f,
    1.0f,          0.0f,          -0.00917628035f, -0.02074215f,  -0.0426629372f,
    -0.079507269f, -0.133453757f, -0.199981645f,   -0.263793707f, -0.298707277f,
    -0.274973899f, -0.174422234f, -0.00551655283f, 0.192313328f,  0.363633305f,
    0.466513306f,  0.49908334f};
alignas(64) constexpr float kGelu2[32] = {
    0.391042769f,   0.334939003f,   0.241834313f,    0.137309849f,    0.0463814549f,
    -0.0159147978f, -0.0469502024f, -0.0533712618f,  -0.0454766825f,  -0.0325193629f,
    -0.020329915f,  -0.0113334553f, -0.00569719588f, -0.00260042725f, -0.00108274538f,
    0.0f,           0.0f,           -0.00108274538f, -0.00260042725f, -0.00569719588f,
    -0.0113334553f, -0.020329915f,  -0.0325193629f,  -0.0454766825f,  -0.0533712618f,
    -0.0469502024f, -0.0159147978f, 0.0463814549f,   0.137309849f,    0.241834313f,
    0.334939003f,   0.391042769f};
constexpr float kGeluIntervalsPerUnit = 3.65853659f;
constexpr float kGeluOuterMiddle = 4.23666667f;

HWY_INLINE __m512 look_up(const float (&table)[32], __m512i index) {
  return _mm512_permutex2var_ps(_mm512_load_ps(table), index, _mm512_load_ps(table + 16));
}

/// x Phi(x), absolute error at most 9e-5; x for x >= 4.1, 0 for x < -4.1, NaN for NaN and
/// -infinity.
template <class D, class V>
HWY_INLINE V gelu_beside_tiles(D, V v) {
  const __m512 x = v.raw;
  // The smaller magnitude with the sign of x: what lies beyond the table falls into its outer
  // intervals.
  constexpr int kSmallerMagnitude = 2;
  const __m512 inside = _mm512_range_ps(x, _mm512_set1_ps(kGeluOuterMiddle), kSmallerMagnitude);
  // Adding 1.5 * 2^23 rounds to an integer and leaves it in the low bits; the shuffles look at five
  // of them.
  const __m512i interval = _mm512_castps_si512(_mm512_fmadd_round_ps(
      inside, _mm512_set1_ps(kGeluIntervalsPerUnit), _mm512_set1_ps(12582912.0f),
      _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC));
  // The slope takes the bounded x, so that infinity meets no zero of the tables.
  const __m512 slope =
      _mm512_fmadd_ps(look_up(kGelu2, interval), inside, look_up(kGelu1, interval));
  return V{_mm512_fmadd_ps(slope, x, look_up(kGelu0, interval))};
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
