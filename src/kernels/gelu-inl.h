// GELU (Hendrycks and Gimpel 2016) in its exact definition x Phi(x) = x/2 (1 + erf(x / sqrt 2)),
// and its tanh variant. Vector code in Highway; see vector_math-inl.h for the linkage. The
// polynomials come from tools/fit_gelu.py.
#pragma once

#include "kernels/vector_math-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// x Phi(x) for results that are rounded to bf16: absolute error at most 1e-4. Exactly x for x
/// > 4.2, 0 for x < -4.2; NaN gives NaN, and so does -infinity, as in PyTorch.
template <class D, class V>
HWY_INLINE V GeluFast(D d, V x) {
  // Phi(x) = 1/2 + x P(x^2). The square stops at 4.18^2, where P is pinned a little above 1 / (2
  // * 4.18): from there on 1/2 + x P leaves [0, 1], and the clamp gives the exact tails for any x.
  static constexpr float kTerms[] = {0.398451149f,     -0.0655040294f, 0.00928506907f,
                                     -0.000947310298f, 6.6440698e-05f, -3.00500096e-06f,
                                     7.81743807e-08f,  -8.8299823e-10f};
  const V square = hn::Min(hn::Mul(x, x), hn::Set(d, 17.4724f));
  const V phi = hn::MulAdd(Polynomial(d, square, kTerms), x, hn::Set(d, 0.5f));
  return hn::Mul(x, hn::Min(hn::Max(phi, hn::Zero(d)), hn::Set(d, 1.0f)));
}

/// x Phi(x) for fp32 results: error at most 1.2e-7 max(1, |x|); NaN gives NaN, the infinities their
/// limits (up to 1e-32).
template <class D, class V>
HWY_INLINE V GeluExact(D d, V x) {
  // max(x, 0) - u Q(u) with u = |x| and Q(u) = Phi(-u) = exp(-u^2 / 2) R(u): nothing cancels in the
  // lower tail. Beyond 13.2, where Q is under 1e-38, u stops: 2^x needs no bounds of its own then.
  static constexpr float kTerms[] = {0.499999255f,     -0.398923367f,   0.249843657f,
                                     -0.132349968f,    0.0610232875f,   -0.0243883803f,
                                     0.00817409623f,   -0.00217840844f, 0.000432272325f,
                                     -5.88265357e-05f, 4.83250278e-06f, -1.79038167e-07f};
  const V u = AtMost(d, hn::Abs(x), 13.2f);
  const V gauss = Exp2InRange(d, hn::Mul(hn::Mul(u, u), hn::Set(d, -0.721347520f)));
  const V below = hn::Mul(u, hn::Mul(gauss, Polynomial(d, u, kTerms)));
  return hn::Sub(hn::Max(x, hn::Zero(d)), below);
}

/// x/2 (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3))), written as x / (1 + exp(-2 ...)); error at most
/// 3e-7 max(1, |x|).
template <class D, class V>
HWY_INLINE V GeluTanh(D d, V x) {
  const V cubic = hn::MulAdd(hn::Mul(x, x), hn::Set(d, 0.044715f), hn::Set(d, 1.0f));
  const V e =
      Exp2(d, hn::Mul(hn::Mul(x, cubic), hn::Set(d, -2.30220819f)));  // -2 sqrt(2/pi) log2(e)
  return hn::Div(x, hn::Add(hn::Set(d, 1.0f), e));
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
