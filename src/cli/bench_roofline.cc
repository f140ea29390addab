#include "cli/bench_roofline.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include <unistd.h>

#include "base/aligned_buffer.h"
#include "kernels/int8_kernel_set.h"
#include "kernels/kernel_set.h"
#include "kernels/probes.h"

namespace tilewise::cli {
namespace {

constexpr double kMovedShare = 0.03;
constexpr int64_t kMegabyte = 1 << 20;
constexpr int64_t kMostMemory = 1024 * kMegabyte;
constexpr int64_t kLeastMemory = 64 * kMegabyte;

PeakLine peak_line(const CpuFeatures& cpu, model::Precision precision, Isa isa,
                   double (*probe)(double)) {
  PeakLine line{.precision = precision, .isa = isa, .probe = probe};
  if (!supports(cpu, isa)) {
    line.skipped = std::string("this CPU does not run ") + name_of(isa);
  }
  return line;
}

BandwidthLine bandwidth_line(const char* level, const char* operation, int64_t bytes) {
  BandwidthLine line{.level = level,
                     .operation = operation,
                     .isa = kernels::read_probe_isa(cpu_features()),
                     .buffer_bytes = bytes / 1024 * 1024};
  if (line.buffer_bytes <= 0) line.skipped = "the size of this cache is unknown";
  return line;
}

void measure(BandwidthLine& line, const AlignedBuffer& buffer, double seconds) {
  const auto bytes = static_cast<size_t>(line.buffer_bytes);
  line.bytes_per_second =
      line.operation == "read"    ? kernels::measure_read(buffer.data(), bytes, seconds)
      : line.operation == "write" ? kernels::measure_write(buffer.data(), bytes, seconds)
                                  : kernels::measure_copy(buffer.data(), bytes, seconds);
}

}  // namespace

bool PeakLine::has_moved() const {
  return before > 0 && after > 0 && std::abs(after / before - 1) > kMovedShare;
}

std::vector<PeakLine> list_peaks(const CpuFeatures& cpu) {
  std::vector<PeakLine> lines;
  for (const kernels::KernelSet& set : kernels::all_kernel_sets()) {
    lines.push_back(peak_line(cpu, set.precision, set.isa, set.peak));
  }
  for (const kernels::Int8KernelSet& set : kernels::all_int8_kernel_sets()) {
    lines.push_back(peak_line(cpu, model::Precision::int8, set.isa, set.peak));
  }
  return lines;
}

void measure_peaks(std::vector<PeakLine>& peaks, double seconds_each, double PeakLine::* when) {
  for (PeakLine& line : peaks) {
    if (line.skipped.empty()) line.*when = line.probe(seconds_each);
  }
}

std::vector<BandwidthLine> list_bandwidths(const Topology& topology, int64_t free_bytes) {
  const int64_t l1 = topology.l1d_bytes, l2 = topology.l2_bytes, l3 = topology.l3_bytes;
  const int64_t wanted =
      std::clamp(2 * std::max({l1, l2, l3, int64_t{0}}), kLeastMemory, kMostMemory);
  const int64_t memory = std::min(wanted, free_bytes / 4);
  std::vector<BandwidthLine> lines = {
      bandwidth_line("L1", "read", l1 / 2),
      bandwidth_line("L2", "read", l2 / 2),
      // Far over L2, and no more of a cache that others share than a model's layers take.
      bandwidth_line("L3", "read", l2 > 0 ? std::min(l3 / 2, 8 * l2) : l3 / 2),
      bandwidth_line("memory", "read", memory),
      bandwidth_line("memory", "write", memory),
      bandwidth_line("memory", "copy", memory),
  };
  for (BandwidthLine& line : lines) {
    if (line.level == "memory" && line.buffer_bytes < wanted / 2) {
      line.skipped = "too little memory is free for a buffer that no cache holds";
    }
  }
  return lines;
}

void measure_bandwidths(std::vector<BandwidthLine>& lines, double seconds_each) {
  AlignedBuffer buffer;
  for (BandwidthLine& line : lines) {
    if (!line.skipped.empty()) continue;
    const auto bytes = static_cast<size_t>(line.buffer_bytes);
    if (buffer.size() < bytes) {
      auto larger = AlignedBuffer::allocate(bytes);
      if (!larger.ok()) {
        line.skipped = larger.status().message();
        continue;
      }
      buffer = std::move(*larger);
      std::memset(buffer.data(), 1, bytes);  // pages that nobody wrote to are all the same one
    }
    measure(line, buffer, seconds_each);
  }
}

int64_t free_memory_bytes(const Topology& topology) {
  const int64_t pages = sysconf(_SC_AVPHYS_PAGES), page = sysconf(_SC_PAGESIZE);
  const int64_t machine = pages > 0 && page > 0 ? pages * page : 0;
  if (topology.cgroup_memory_bytes <= 0) return machine;
  return std::min(machine, topology.cgroup_memory_bytes);
}

}  // namespace tilewise::cli
