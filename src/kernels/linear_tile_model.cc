// The linear layers of the AMX level on the software model of the tile unit: runs everywhere, for
// tests.
#include "kernels/amx_kernels.h"
#include "kernels/int8_linear_amx-inl.h"
#include "kernels/linear_amx-inl.h"
#include "kernels/tile_unit_model.h"

namespace tilewise::kernels::tile_model {

void begin_pass() { ModelTiles::configure(); }

void end_pass() { ModelTiles::release(); }

void linear(const LinearArgs& args) { HWY_NAMESPACE::tile_linear<ModelTiles>(args); }

void int8_linear(const Int8LinearArgs& args) { HWY_NAMESPACE::tile_int8_linear<ModelTiles>(args); }

}  // namespace tilewise::kernels::tile_model
