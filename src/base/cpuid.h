// What an x86 processor and its operating system say about themselves, and what follows from it.
#pragma once

#include <cstdint>
#include <string>

#include "base/isa.h"

namespace tilewise {

/// The raw answers, so that the reading of them is tested for any CPU on any machine.
struct CpuidAnswers {
  std::string vendor;      ///< leaf 0: "GenuineIntel", "AuthenticAMD"
  uint32_t leaf1_eax = 0;  ///< family, model and stepping
  uint32_t leaf1_ecx = 0;
  uint32_t leaf7_ebx = 0, leaf7_ecx = 0, leaf7_edx = 0;  ///< leaf 7, subleaf 0
  uint32_t leaf7_1_eax = 0;                              ///< leaf 7, subleaf 1
  uint64_t xcr0 = 0;           ///< the register state that the operating system saves; 0: no XSAVE
  bool amx_permitted = false;  ///< the Linux kernel has granted the tile registers to this process
  std::string brand;
};

/// The features that the processor has AND the operating system supports. A pure function.
/// Bits and the display model: Intel SDM volume 2A, CPUID; volume 1, section 13.3 (XCR0).
CpuFeatures decode_cpuid(const CpuidAnswers& answers);

/// Whether both AMX state components are enabled in XCR0; only then is it worth asking for the
/// permission.
bool has_tile_state(uint64_t xcr0);

}  // namespace tilewise
