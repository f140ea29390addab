// Chosen by CMake on 64-bit Arm.
#include <fstream>
#include <string>

#include <sys/auxv.h>

#include "base/isa.h"

namespace tilewise {
namespace {

// Linux arch/arm64/include/uapi/asm/hwcap.h; named here because older headers lack some.
constexpr unsigned long kHwcapAsimd = 1ul << 1;
constexpr unsigned long kHwcapAes = 1ul << 3;
constexpr unsigned long kHwcapAsimdDot = 1ul << 20;
constexpr unsigned long kHwcap2Bf16 = 1ul << 14;

std::string first_line(const char* path) {
  std::string line;
  std::ifstream file(path);
  std::getline(file, line, '\0');  // device-tree strings end in a zero byte
  while (!line.empty() && line.back() == '\n') line.pop_back();
  return line;
}

// Arm has no brand string; the main id register tells cores apart (0x...d400...: Neoverse V1,
// Graviton 3).
std::string read_name() {
  const std::string midr = first_line("/sys/devices/system/cpu/cpu0/regs/identification/midr_el1");
  return midr.empty() ? "aarch64" : "aarch64 (MIDR " + midr + ")";
}

CpuFeatures read_cpu_features() {
  const unsigned long hwcap = getauxval(AT_HWCAP);
  const unsigned long hwcap2 = getauxval(AT_HWCAP2);
  CpuFeatures cpu;
  cpu.neon = (hwcap & kHwcapAsimd) != 0;
  cpu.aes = (hwcap & kHwcapAes) != 0;
  cpu.arm_dot = (hwcap & kHwcapAsimdDot) != 0;
  cpu.arm_bf16 = (hwcap2 & kHwcap2Bf16) != 0;
  cpu.name = read_name();
  return cpu;
}

}  // namespace

const CpuFeatures& cpu_features() {
  static const CpuFeatures features = read_cpu_features();
  return features;
}

}  // namespace tilewise
