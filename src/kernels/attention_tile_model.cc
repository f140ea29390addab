// attention.h for the AMX level on the software model of the tile unit: runs everywhere, for tests.
#include "kernels/amx_kernels.h"
#include "kernels/attention_amx-inl.h"
#include "kernels/tile_shapes.h"
#include "kernels/tile_unit_model.h"

namespace tilewise::kernels {

namespace portable::bf16 {
void attention(const AttentionArgs& args);
size_t attention_scratch(int32_t longest, int32_t head_dim);
}  // namespace portable::bf16

namespace tile_model {

void attention(const AttentionArgs& args) {
  if (tiles_suit_heads(args.head_dim))
    return HWY_NAMESPACE::tile_attention<ModelTiles>(args);
  portable::bf16::attention(args);
}

size_t attention_scratch(int32_t longest, int32_t head_dim) {
  if (tiles_suit_heads(head_dim))
    return HWY_NAMESPACE::tile_attention_scratch(longest, head_dim);
  return portable::bf16::attention_scratch(longest, head_dim);
}

}  // namespace tile_model
}  // namespace tilewise::kernels
