// Chosen by CMake on processors that tilewise has no special kernels for: the portable ones run.
#include "base/isa.h"

namespace tilewise {

const CpuFeatures& cpu_features() {
  static const CpuFeatures features;
  return features;
}

}  // namespace tilewise
