// A core's peak with 256-bit vectors, as busy_avx512-inl.h: instructions on 12 independent
// registers, over and over.
#pragma once

/// Runs `instructions`, in which \n stands for the number of an accumulator, 12 times in each of
/// `rounds` rounds; leaves `rounds` zero. ymm0 to ymm3 are theirs; all registers start as zero, so
/// that nothing becomes denormal or infinite.
#define TILEWISE_KEEP_BUSY_AVX2(instructions, rounds)                                         \
  asm volatile(                                                                               \
      "vzeroall\n"                                                                            \
      "1:\n"                                                                                  \
      ".irp n,4,5,6,7,8,9,10,11,12,13,14,15\n " instructions                                  \
      "\n.endr\n"                                                                             \
      "dec %0\n"                                                                              \
      "jnz 1b\n"                                                                              \
      : "+r"(rounds)                                                                          \
      :                                                                                       \
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", \
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15")
