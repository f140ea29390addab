// attention.h for the AMX level. Compiled with AVX-512, AVX512-BF16 and AMX flags.
#include "kernels/amx_kernels.h"
#include "kernels/attention_amx-inl.h"
#include "kernels/tile_shapes.h"
#include "kernels/tile_unit_hardware.h"

namespace tilewise::kernels {

namespace avx512::bf16 {  // kVectorsBesideTiles
void attention(const AttentionArgs& args);
size_t attention_scratch(int32_t longest, int32_t head_dim);
}  // namespace avx512::bf16

namespace amx {

void attention(const AttentionArgs& args) {
  if (tiles_suit_heads(args.head_dim))
    return HWY_NAMESPACE::tile_attention<HardwareTiles>(args);
  avx512::bf16::attention(args);
}

size_t attention_scratch(int32_t longest, int32_t head_dim) {
  if (tiles_suit_heads(head_dim))
    return HWY_NAMESPACE::tile_attention_scratch(longest, head_dim);
  return avx512::bf16::attention_scratch(longest, head_dim);
}

}  // namespace amx
}  // namespace tilewise::kernels
