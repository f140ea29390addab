// What one core can do at most: its peaks, its clock and its bandwidths.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/isa.h"
#include "base/topology.h"
#include "model/precision.h"

namespace tilewise::cli {

/// The peak of one line of kernels.inc.
struct PeakLine {
  model::Precision precision = model::Precision::fp32;
  Isa isa = Isa::portable;
  double (*probe)(double seconds) = nullptr;  ///< OP/s, 2 a multiply-add
  std::string skipped = {};                   ///< why it is not measured; else empty
  double before = 0, after = 0;               ///< OP/s, before and after all the rest

  double best() const { return before > after ? before : after; }
  /// Whether the two differ by so much that both should be known.
  bool has_moved() const;
};

/// Every line of kernels.inc, best first in each precision, those that `cpu` does not run with the
/// reason. Nothing is measured yet.
std::vector<PeakLine> list_peaks(const CpuFeatures& cpu);

/// Fills `when` (before or after) of all that are not skipped.
void measure_peaks(std::vector<PeakLine>& peaks, double seconds_each, double PeakLine::* when);

/// How fast bytes come and go.
struct BandwidthLine {
  std::string level = {};      ///< "L1", "L2", "L3", "memory"
  std::string operation = {};  ///< "read", "write", "copy" (bytes read plus bytes written)
  Isa isa = Isa::portable;
  int64_t buffer_bytes = 0;
  std::string skipped = {};
  double bytes_per_second = 0;
};

/// What to measure on a machine with these caches: each level with a buffer that fits it and not
/// the one above; for memory twice the last cache, but at most a gigabyte and a quarter of
/// `free_bytes`. A level of unknown size is skipped.
std::vector<BandwidthLine> list_bandwidths(const Topology& topology, int64_t free_bytes);

/// Fills the lines that are not skipped; one for which there is no memory becomes skipped.
void measure_bandwidths(std::vector<BandwidthLine>& lines, double seconds_each);

/// Memory that this process could still use: the machine's, and within the cgroup's limit.
int64_t free_memory_bytes(const Topology& topology);

}  // namespace tilewise::cli
