// Chosen by CMake on x86-64.
#include <array>
#include <cstring>
#include <string>

#include <cpuid.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cpuid.h"
#include "base/isa.h"

namespace tilewise {
namespace {

struct Registers {
  uint32_t eax = 0, ebx = 0, ecx = 0, edx = 0;
};

// All zero where the processor does not have the leaf.
Registers cpuid(uint32_t leaf, uint32_t subleaf = 0) {
  Registers r;
  if (__get_cpuid_count(leaf, subleaf, &r.eax, &r.ebx, &r.ecx, &r.edx) == 0) return {};
  return r;
}

uint64_t read_xcr0() {
  uint32_t low = 0;
  uint32_t high = 0;
  __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return (uint64_t{high} << 32) | low;
}

std::string read_vendor() {
  const Registers r = cpuid(0);
  std::array<char, 12> text{};
  std::memcpy(text.data(), &r.ebx, 4);
  std::memcpy(text.data() + 4, &r.edx, 4);
  std::memcpy(text.data() + 8, &r.ecx, 4);
  return {text.data(), text.size()};
}

std::string read_brand() {
  std::array<char, 49> text{};  // 3 leaves of 16 bytes and a final zero
  for (uint32_t i = 0; i < 3; ++i) {
    const Registers r = cpuid(0x80000002 + i);
    std::memcpy(text.data() + size_t{16} * i, &r, sizeof(r));
  }
  std::string brand = text.data();
  const size_t first = brand.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return brand.substr(first, brand.find_last_not_of(' ') - first + 1);
}

// Linux gives a process the tile registers only on request (Documentation/arch/x86/xstate.rst).
bool request_amx_permission() {
  constexpr int kArchReqXcompPerm = 0x1023;
  constexpr int kXfeatureTileData = 18;
  return syscall(SYS_arch_prctl, kArchReqXcompPerm, kXfeatureTileData) == 0;
}

CpuFeatures read_cpu_features() {
  CpuidAnswers a;
  a.vendor = read_vendor();
  const Registers leaf1 = cpuid(1);
  a.leaf1_eax = leaf1.eax;
  a.leaf1_ecx = leaf1.ecx;
  const Registers leaf7 = cpuid(7);
  a.leaf7_ebx = leaf7.ebx;
  a.leaf7_ecx = leaf7.ecx;
  a.leaf7_edx = leaf7.edx;
  if (leaf7.eax >= 1) a.leaf7_1_eax = cpuid(7, 1).eax;  // eax: the highest subleaf
  const bool os_uses_xsave = ((a.leaf1_ecx >> 27) & 1u) != 0;
  if (os_uses_xsave) a.xcr0 = read_xcr0();
  a.amx_permitted = has_tile_state(a.xcr0) && request_amx_permission();
  a.brand = read_brand();
  return decode_cpuid(a);
}

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = read_cpu_features();
  return features;
}

}  // namespace tilewise
