#include "base/aligned_buffer.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <fstream>
#include <limits>
#include <utility>

#include <gtest/gtest.h>
#include <unistd.h>

namespace tilewise {
namespace {

constexpr size_t kMiB = size_t{1} << 20;

AlignedBuffer allocate(size_t size) {
  Result<AlignedBuffer> buffer = AlignedBuffer::allocate(size);
  EXPECT_TRUE(buffer.ok()) << buffer.status().message();
  return *std::move(buffer);
}

size_t resident_bytes() {
  size_t total = 0;
  size_t resident = 0;
  std::ifstream("/proc/self/statm") >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

// Sizes on both sides of where memory comes from the system instead of the heap.
class AlignedBufferOfSize : public testing::TestWithParam<size_t> {};
INSTANTIATE_TEST_SUITE_P(Sizes, AlignedBufferOfSize,
                         testing::Values(1, 63, 64, 65, 100'000, 4 * kMiB - 1, 4 * kMiB,
                                         4 * kMiB + 1, 9 * kMiB + 77));

TEST_P(AlignedBufferOfSize, IsAlignedZeroedAndWritable) {
  // Twice, since the first buffer's dirty memory may come back.
  for (int i = 0; i < 2; ++i) {
    const AlignedBuffer buffer = allocate(GetParam());
    EXPECT_EQ(buffer.size(), GetParam());
    EXPECT_EQ(reinterpret_cast<uintptr_t>(buffer.data()) % 64, 0u);
    EXPECT_TRUE(std::all_of(buffer.data(), buffer.data() + buffer.size(),
                            [](std::byte b) { return b == std::byte{0}; }));
    std::memset(buffer.data(), 0xff, buffer.size());
  }
}

TEST_P(AlignedBufferOfSize, Moves) {
  AlignedBuffer first = allocate(GetParam());
  std::byte* const data = first.data();
  data[0] = std::byte{42};
  AlignedBuffer second = std::move(first);
  EXPECT_EQ(second.data(), data);
  AlignedBuffer third = allocate(100);
  third = std::move(second);
  EXPECT_EQ(third.data(), data);
  EXPECT_EQ(third.size(), GetParam());
  EXPECT_EQ(third.data()[0], std::byte{42});
}

TEST(AlignedBuffer, EmptyIsFine) {
  const AlignedBuffer buffer = allocate(0);
  EXPECT_EQ(buffer.data(), nullptr);
  EXPECT_EQ(buffer.size(), 0u);
}

TEST(AlignedBuffer, LargeMemoryCostsNothingUntilItIsTouched) {
  const size_t before = resident_bytes();
  const AlignedBuffer buffer = allocate(512 * kMiB);
  buffer.data()[0] = std::byte{1};
  // At most one huge page of 2 MiB was touched; the rest of the room is for the program around.
  EXPECT_LT(resident_bytes(), before + 64 * kMiB);
}

TEST(AlignedBuffer, GivesMemoryBack) {
  const size_t before = resident_bytes();
  for (int i = 0; i < 50; ++i) {
    const AlignedBuffer buffer = allocate(16 * kMiB);
    std::memset(buffer.data(), 1, buffer.size());
  }
  EXPECT_LT(resident_bytes(), before + 64 * kMiB);
}

TEST(AlignedBuffer, OutOfMemoryIsAStatus) {
  for (const size_t size : {std::numeric_limits<size_t>::max(), size_t{1} << 62, size_t{1} << 56}) {
    const Status status = AlignedBuffer::allocate(size).status();
    EXPECT_EQ(status.code(), StatusCode::unavailable_machine) << size;
    EXPECT_EQ(status.problem().where, "a buffer of " + std::to_string(size) + " bytes");
    EXPECT_FALSE(status.problem().remedy.empty());
  }
}

}  // namespace
}  // namespace tilewise
