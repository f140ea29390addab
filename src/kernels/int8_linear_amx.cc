// int8.h's linear layer for the AMX level. Compiled with AVX-512, AVX512-BF16 and AMX flags.
#include "kernels/amx_kernels.h"
#include "kernels/int8_linear_amx-inl.h"
#include "kernels/tile_unit_hardware.h"

namespace tilewise::kernels::amx {

void int8_linear(const Int8LinearArgs& args) {
  HWY_NAMESPACE::tile_int8_linear<HardwareTiles>(args);
}

}  // namespace tilewise::kernels::amx
