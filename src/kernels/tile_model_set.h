// The kernels of the AMX level on the software model of the tile unit, for tests of what runs above
// the kernels.
#pragma once

#include "kernels/kernel_set.h"

namespace tilewise::kernels {

/// bf16, isa amx: linear and attention on the model, all else portable. Slow; choose_kernels never
/// returns it.
const KernelSet& tile_model_kernel_set();

}  // namespace tilewise::kernels
