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
/// limits.
template <class D, class V>
HWY_INLINE V GeluExact(D d, V x) {
  // max(x, 0) - u Q(u) with u = |x| and Q(u) = Phi(-u) = exp(-u^2 / 2) R(u): nothing cancels in the
  // lower tail.
  static constexpr float kTerms[] = {0.499999255f,     -0.398923367f,   0.249843672f,
                                     -0.132350013f,    0.061023362f,    -0.0243884698f,
                                     0.00817416608f,   -0.00217844313f, 0.000432283501f,
                                     -5.88287694e-05f, 4.83275426e-06f, -1.79050332e-07f};
  const V u =
      hn::Min(hn::Set(d, 20.0f), hn::Abs(x));  // Q(20) is 0; a finite u keeps 0 * infinity away
  const V gauss = Exp2(d, hn::Mul(hn::Mul(u, u), hn::Set(d, -0.721347520f)));
  const V ratio = Polynomial(d, hn::Min(u, hn::Set(d, 6.0f)), kTerms);
  const V value = hn::Sub(hn::Max(x, hn::Zero(d)), hn::Mul(u, hn::Mul(gauss, ratio)));
  return hn::IfThenElse(hn::IsNaN(x), x, value);
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
