// Which shapes the AMX level gives to the tile unit, and what it does with the others.
#pragma once

#include <cstdint>

#include "base/isa.h"

namespace tilewise::kernels {
namespace {  // for files of every instruction set: no symbol

/// Heads of these sizes fill whole tiles; attention with others runs on vectors. A property of the
/// model, never of a batch: so a sequence meets the same instructions in any company.
inline constexpr bool tiles_suit_heads(int32_t head_dim) {
  return head_dim == 32 || head_dim == 64;
}

/// What those vectors are. Every processor with AMX has a slow vdpbf16ps (base/isa.h): bf16 widened
/// to fp32 takes 10 to 35 % less time there.
inline constexpr Isa kVectorsBesideTiles = Isa::avx512;

}  // namespace
}  // namespace tilewise::kernels
