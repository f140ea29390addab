// linear.h for the AMX level. Compiled with AVX-512, AVX512-BF16 and AMX flags.
#include "kernels/amx_kernels.h"
#include "kernels/linear_amx-inl.h"
#include "kernels/tile_unit_hardware.h"

namespace tilewise::kernels::amx {

void linear(const LinearArgs& args) { HWY_NAMESPACE::tile_linear<HardwareTiles>(args); }

}  // namespace tilewise::kernels::amx
