#include "kernels/probes.h"

#include <cstdint>
#include <cstring>

#include <gtest/gtest.h>

#include "base/aligned_buffer.h"

namespace tilewise::kernels {
namespace {

constexpr size_t kBytes = 1 << 14;

// The probes are measured, never judged: what can be wrong with them is what they touch.
TEST(Probes, ReadingLeavesMemoryAlone) {
  const AlignedBuffer buffer = AlignedBuffer::allocate(kBytes).value();
  std::memset(buffer.data(), 7, kBytes);
  EXPECT_GT(measure_read(buffer.data(), kBytes, 1e-4), 0);
  for (size_t i = 0; i < kBytes; ++i) ASSERT_EQ(static_cast<uint8_t>(buffer.data()[i]), 7) << i;
}

TEST(Probes, WritingAndCopyingStayInsideAndReachTheEnd) {
  const AlignedBuffer buffer = AlignedBuffer::allocate(2 * kBytes).value();
  EXPECT_GT(measure_write(buffer.data(), kBytes, 1e-4), 0);
  EXPECT_EQ(static_cast<uint8_t>(buffer.data()[kBytes - 1]), 1);
  EXPECT_EQ(static_cast<uint8_t>(buffer.data()[kBytes]), 0);
  std::memset(buffer.data(), 5, kBytes / 2);
  EXPECT_GT(measure_copy(buffer.data(), kBytes, 1e-4), 0);
  EXPECT_EQ(static_cast<uint8_t>(buffer.data()[kBytes / 2]), 5);
  EXPECT_EQ(static_cast<uint8_t>(buffer.data()[kBytes - 1]), 5);
  EXPECT_EQ(static_cast<uint8_t>(buffer.data()[kBytes]), 0);
}

TEST(Probes, TheWidestLoadsThatTheProcessorHas) {
  CpuFeatures cpu;
#if defined(__x86_64__)
  EXPECT_EQ(read_probe_isa(cpu), Isa::portable);
  cpu.avx2 = cpu.fma = cpu.f16c = cpu.bmi2 = true;
  EXPECT_EQ(read_probe_isa(cpu), Isa::avx2);
  cpu.avx512f = cpu.avx512bw = cpu.avx512cd = cpu.avx512dq = cpu.avx512vl = true;
  EXPECT_EQ(read_probe_isa(cpu), Isa::avx512);
#elif defined(__aarch64__)
  EXPECT_EQ(read_probe_isa(cpu), Isa::neon);
#endif
}

TEST(Probes, AClockWhereTheChainIsKnown) {
  const auto clock = measure_clock(1e-3);
#if defined(__x86_64__) || defined(__aarch64__)
  ASSERT_TRUE(clock.has_value());
  EXPECT_GT(*clock, 1e6);  // an emulator is slow, no processor is slower than a megahertz
#else
  EXPECT_FALSE(clock.has_value());
#endif
}

}  // namespace
}  // namespace tilewise::kernels
