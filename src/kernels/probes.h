// What a core can do apart from arithmetic: its clock, and how fast it reads, writes and copies.
#pragma once

#include <cstddef>
#include <optional>

#include "base/isa.h"

namespace tilewise::kernels {

/// Clock of this core just now, in Hz: the best rate of a chain of additions, which take one cycle
/// each. nullopt where the build knows no such chain.
std::optional<double> measure_clock(double seconds);

/// Which instruction set's loads a read probe uses: the widest that this CPU has.
Isa read_probe_isa(const CpuFeatures& cpu);

/// Bytes a second at which this core reads all of `data` again and again, in order, with the
/// loads of read_probe_isa(). `data` is 64-byte aligned, `bytes` a multiple of 1024. The best of
/// several passes over at least 1 MB: a neighbour on the core only ever slows.
double measure_read(const void* data, size_t bytes, double seconds);

/// The same for writing (the C library's memset; bytes written), and for copying the first half
/// to the second (memcpy; bytes read plus bytes written).
double measure_write(void* data, size_t bytes, double seconds);
double measure_copy(void* data, size_t bytes, double seconds);

}  // namespace tilewise::kernels
