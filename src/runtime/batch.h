// What goes through a model at once: sequences of tokens, and the blocks that they are cut into.
#pragma once

#include <cstdint>
#include <span>

#include "base/status.h"
#include "model/encoder_spec.h"

namespace tilewise::runtime {

/// Sequences packed end to end. ids must lie in the vocabulary, types under token_types, and each
/// length in [1, max_positions]: check_batch() says whether that is so.
struct Batch {
  std::span<const int32_t> ids;
  std::span<const int32_t> types;    ///< may be empty where the family has no token types
  std::span<const int32_t> offsets;  ///< sequences + 1, from 0

  int32_t sequences() const { return static_cast<int32_t>(offsets.size()) - 1; }
};

/// What a pass relies on, for batches that come from outside (token ids over the API). Errors:
/// invalid_argument.
Status check_batch(const model::EncoderSpec& spec, const Batch& batch);

/// The sequences [first, last) of a batch, which go through all layers together.
struct Block {
  int32_t first = 0;
  int32_t last = 0;

  int32_t sequences() const { return last - first; }
};

/// The block that begins with sequence `first`: at most so many tokens (unless one sequence is
/// longer) and sequences. The tokens that are left are shared out evenly over as few blocks as hold
/// them, so that no small block remains.
Block next_block(const Batch& batch, int32_t first, int32_t most_tokens, int32_t most_sequences);

}  // namespace tilewise::runtime
