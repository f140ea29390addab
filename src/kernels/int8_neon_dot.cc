// The dot products of Armv8.2: sdot multiplies quads of s8 and adds them to int32. Compiled with
// these flags; see int8.cmake.
#include "kernels/int8_kernels-inl.h"
#include "kernels/int8_neon-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

struct QuadDot : SignedDot {
  static constexpr int kMaxRows = 6;

  template <int kRows>
  static HWY_INLINE void step(const Rows<kRows>& left, int64_t offset, const char* right,
                              IntSums<kRows, 4>& sums) {
    int8x16_t weights[4];
    load_weights(right, weights);
    HWY_UNROLL(8)
    for (int i = 0; i < kRows; ++i) {
      // In assembly: a plain load, for one that repeats the quad takes a vector unit as well; and
      // because compilers spill around the intrinsics.
      int8x8_t quad;
      asm("ldr %s[quad],%[left]\n\t"
          "sdot %[s0].4s,%[w0].16b,%[quad].4b[0]\n\t"
          "sdot %[s1].4s,%[w1].16b,%[quad].4b[0]\n\t"
          "sdot %[s2].4s,%[w2].16b,%[quad].4b[0]\n\t"
          "sdot %[s3].4s,%[w3].16b,%[quad].4b[0]"
          : [quad] "=&w"(quad), [s0] "+w"(sums.v[i][0].raw), [s1] "+w"(sums.v[i][1].raw),
            [s2] "+w"(sums.v[i][2].raw), [s3] "+w"(sums.v[i][3].raw)
          : [left] "m"(*reinterpret_cast<const Quad*>(left.row(i) + offset)), [w0] "w"(weights[0]),
            [w1] "w"(weights[1]), [w2] "w"(weights[2]), [w3] "w"(weights[3]));
    }
  }
};

/// 24 independent sums hide the latency.
double multiply_adds_of_quads(int64_t rounds) {
  const double operations = 24.0 * 16 * 2 * static_cast<double>(rounds);
  asm volatile(
      ".irp n,0,1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25\n"
      " movi v\\n\\().4s,#0\n.endr\n"
      "1:\n"
      ".irp n,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25\n"
      " sdot v\\n\\().4s,v0.16b,v1.16b\n.endr\n"
      "subs %0,%0,#1\n"
      "b.ne 1b\n"
      : "+r"(rounds)
      :
      : "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12",
        "v13", "v14", "v15", "v16", "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25");
  return operations;
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE

TILEWISE_DEFINE_INT8_KERNELS(neon_dot, HWY_NAMESPACE::QuadDot,
                             HWY_NAMESPACE::multiply_adds_of_quads)
