// A core's peak with 512-bit vectors: one instruction on 24 independent registers, over and over.
// In assembly, so that no compiler spills or reorders what is measured.
#pragma once

/// Runs `instruction` 24 times in each of `rounds` rounds; leaves `rounds` zero. The factors are
/// zero, so that nothing becomes denormal or infinite.
#define TILEWISE_KEEP_BUSY_AVX512(instruction, rounds)                                            \
  asm volatile(                                                                                   \
      "vzeroall\n"                                                                                \
      ".irp n,16,17,18,19,20,21,22,23,24,25,26,27\n vpxord %%zmm\\n,%%zmm\\n,%%zmm\\n\n.endr\n"   \
      "1:\n"                                                                                      \
      ".irp n,4,5,6,7,8,9,10,11,12,13,14,15,16,17,18,19,20,21,22,23,24,25,26,27\n " instruction   \
      " %%zmm0,%%zmm1,%%zmm\\n\n.endr\n"                                                          \
      "dec %0\n"                                                                                  \
      "jnz 1b\n"                                                                                  \
      : "+r"(rounds)                                                                              \
      :                                                                                           \
      : "cc", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9",     \
        "xmm10", "xmm11", "xmm12", "xmm13", "xmm14", "xmm15", "xmm16", "xmm17", "xmm18", "xmm19", \
        "xmm20", "xmm21", "xmm22", "xmm23", "xmm24", "xmm25", "xmm26", "xmm27")
