// Multi-head self-attention over packed sequences (Vaswani et al. 2017), each sequence by itself.
//
// The compiler has folded log2(e) / sqrt(head_dim) into the query weights, so the kernel computes
// context = softmax2(Q K^T + B) V with softmax2(s) = exp2(s - max) / sum, over all tokens of the sequence or those of
// a window around each. B is a bias by distance (Raffel et al. 2020, "T5"; MPNet), or nothing.
#pragma once

#include <cstddef>
#include <cstdint>

namespace tilewise::kernels {

struct AttentionArgs {
  const void* qkv = nullptr;          ///< rows x 3 x section: Q, K, V side by side, activation type; kRowSlack
                                      ///< (linear.h) more rows may be read, and never matter
  int64_t qkv_stride = 0;             ///< bytes between rows; a multiple of 64
  int32_t section = 0;                ///< columns of each of Q, K, V: heads * head_dim rounded up to 32
  void* context = nullptr;            ///< rows x section, activation type; columns past heads * head_dim are left alone
  int64_t context_stride = 0;         ///< bytes; a multiple of 64
  const int32_t* offsets = nullptr;   ///< sequences + 1 row numbers, ascending; sequence s owns rows [offsets[s], offsets[s+1])
  int32_t sequences = 0;
  int32_t heads = 0;
  int32_t head_dim = 0;               ///< 1 to 256
  /// Of query i and key j the first head's B is relative_bias[j - i], times log2(e). Readable for -up <= j - i < up, with
  /// up the longest sequence rounded up to 32; null: no B.
  const float* relative_bias = nullptr;
  int64_t relative_bias_stride = 0;   ///< floats between heads
  int32_t window = 0;                 ///< a token attends to itself and so many on each side; 0: to all
  void* scratch = nullptr;            ///< at least scratch_bytes(longest sequence, head_dim), 64-byte aligned
};

/// Thread-safe on distinct context and scratch. With a window the time is linear in the length of a sequence.
using AttentionFn = void (*)(const AttentionArgs&);

/// Scratch that AttentionFn needs for sequences of up to `longest` tokens.
using AttentionScratchFn = size_t (*)(int32_t longest, int32_t head_dim);

}  // namespace tilewise::kernels
