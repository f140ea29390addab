// What surrounds the kernels of the AMX level. Compiled with AMX flags.
#include "kernels/amx_kernels.h"
#include "kernels/tile_unit_hardware.h"

namespace tilewise::kernels::amx {

void begin_pass() { HardwareTiles::configure(); }

void end_pass() { HardwareTiles::release(); }

void multiply_bf16_tiles(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    HardwareTiles::multiply_add_bf16<0, 4, 6>();
    HardwareTiles::multiply_add_bf16<1, 4, 7>();
    HardwareTiles::multiply_add_bf16<2, 5, 6>();
    HardwareTiles::multiply_add_bf16<3, 5, 7>();
  }
}

void multiply_int8_tiles(int rounds) {
  for (int i = 0; i < rounds; ++i) {
    HardwareTiles::multiply_add_u8_s8<0, 4, 6>();
    HardwareTiles::multiply_add_u8_s8<1, 4, 7>();
    HardwareTiles::multiply_add_u8_s8<2, 5, 6>();
    HardwareTiles::multiply_add_u8_s8<3, 5, 7>();
  }
}

}  // namespace tilewise::kernels::amx
