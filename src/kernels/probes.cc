#include "kernels/probes.h"

#include <algorithm>
#include <cstdint>
#include <cstring>

#include "base/clock.h"
#include "kernels/rate_of.h"

namespace tilewise::kernels {

#if defined(__x86_64__)
// Read `rounds` times through [data, data + bytes); each in the file of its instruction set.
namespace avx2 {
void read_through(const void* data, int64_t bytes, int64_t rounds);
}
namespace avx512 {
void read_through(const void* data, int64_t bytes, int64_t rounds);
}
#endif

namespace {

using ReadFn = void (*)(const void* data, int64_t bytes, int64_t rounds);

// In assembly, as all probes, so that no compiler drops or spills what is measured.
#if defined(__x86_64__)
void read_portable(const void* data, int64_t bytes, int64_t rounds) {
  for (; rounds > 0; --rounds) {
    const auto* at = static_cast<const char*>(data);
    const char* const end = at + bytes;
    asm volatile(
        "1:\n"
        ".irp n,0,1,2,3,4,5,6,7\n movaps 16*\\n(%0),%%xmm\\n\n.endr\n"
        ".irp n,0,1,2,3,4,5,6,7\n movaps 128+16*\\n(%0),%%xmm\\n\n.endr\n"
        "add $256,%0\n"
        "cmp %1,%0\n"
        "jb 1b\n"
        : "+r"(at)
        : "r"(end)
        : "cc", "memory", "xmm0", "xmm1", "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7");
  }
}

double additions(int64_t rounds) {
  const double count = 16.0 * static_cast<double>(rounds);
  int64_t sum = 0;
  asm volatile(
      "1:\n"
      ".rept 16\n add %2,%1\n.endr\n"  // of a register: some cores fold constants away
      "dec %0\n"
      "jnz 1b\n"
      : "+r"(rounds), "+r"(sum)
      : "r"(int64_t{3})
      : "cc");
  return count;
}
#elif defined(__aarch64__)
void read_portable(const void* data, int64_t bytes, int64_t rounds) {
  for (; rounds > 0; --rounds) {
    const auto* at = static_cast<const char*>(data);
    const char* const end = at + bytes;
    asm volatile(
        "1:\n"
        "ldp q0,q1,[%0]\n ldp q2,q3,[%0,32]\n ldp q4,q5,[%0,64]\n ldp q6,q7,[%0,96]\n"
        "ldp q0,q1,[%0,128]\n ldp q2,q3,[%0,160]\n ldp q4,q5,[%0,192]\n ldp q6,q7,[%0,224]\n"
        "add %0,%0,256\n"
        "cmp %0,%1\n"
        "b.lo 1b\n"
        : "+r"(at)
        : "r"(end)
        : "cc", "memory", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7");
  }
}

double additions(int64_t rounds) {
  const double count = 16.0 * static_cast<double>(rounds);
  int64_t sum = 0;
  asm volatile(
      "1:\n"
      ".rept 16\n add %1,%1,%2\n.endr\n"
      "subs %0,%0,1\n"
      "b.ne 1b\n"
      : "+r"(rounds), "+r"(sum)
      : "r"(int64_t{3})
      : "cc");
  return count;
}
#else
void read_portable(const void* data, int64_t bytes, int64_t rounds) {
  uint64_t sum = 0;
  for (; rounds > 0; --rounds) {
    const auto* at = static_cast<const volatile uint64_t*>(data);
    for (int64_t i = 0; i < bytes / 8; ++i) sum += at[i];
  }
}
#endif

ReadFn read_function(Isa isa) {
#if defined(__x86_64__)
  if (isa == Isa::avx512) return avx512::read_through;
  if (isa == Isa::avx2) return avx2::read_through;
#endif
  static_cast<void>(isa);
  return read_portable;
}

/// The best rate of `move`, which moves `bytes` each time, called for about `seconds`, at least
/// three times. The first call is not counted: it may have to fetch what the others find.
template <class Move>
double best_rate(double bytes, double seconds, Move move) {
  constexpr int kLeastCalls = 3;
  const SteadyClock clock;
  move();
  double best = 0;
  const Time start = clock.now();
  Time before = start;
  for (int calls = 0; calls < kLeastCalls || seconds_between(start, before) < seconds; ++calls) {
    move();
    const Time after = clock.now();
    best = std::max(best, bytes / seconds_between(before, after));
    before = after;
  }
  return best;
}

/// How often to move `bytes` between two looks at the clock.
int64_t rounds_for(size_t bytes) {
  constexpr size_t kLeastBytes = 1 << 20;
  return static_cast<int64_t>(std::max<size_t>(1, kLeastBytes / bytes));
}

}  // namespace

std::optional<double> measure_clock(double seconds) {
#if defined(__x86_64__) || defined(__aarch64__)
  return rate_of<additions>(seconds);
#else
  static_cast<void>(seconds);
  return std::nullopt;
#endif
}

Isa read_probe_isa(const CpuFeatures& cpu) {
#if defined(__aarch64__)
  static_cast<void>(cpu);
  return Isa::neon;
#else
  for (const Isa isa : {Isa::avx512, Isa::avx2}) {
    if (supports(cpu, isa)) return isa;
  }
  return Isa::portable;
#endif
}

double measure_read(const void* data, size_t bytes, double seconds) {
  const ReadFn read = read_function(read_probe_isa(cpu_features()));
  const int64_t rounds = rounds_for(bytes);
  return best_rate(static_cast<double>(bytes) * static_cast<double>(rounds), seconds,
                   [&] { read(data, static_cast<int64_t>(bytes), rounds); });
}

double measure_write(void* data, size_t bytes, double seconds) {
  return best_rate(static_cast<double>(bytes), seconds, [&] {
    std::memset(data, 1, bytes);
    asm volatile("" : : "r"(data) : "memory");  // somebody may look at it
  });
}

double measure_copy(void* data, size_t bytes, double seconds) {
  const size_t half = bytes / 2;
  return best_rate(2.0 * static_cast<double>(half), seconds, [&] {
    std::memcpy(static_cast<char*>(data) + half, data, half);
    asm volatile("" : : "r"(data) : "memory");
  });
}

}  // namespace tilewise::kernels
