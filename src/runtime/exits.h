// Adaptive depth (Xin et al. 2020, "DeeBERT"): when an answer is certain behind an inner layer, and
// which sequences of a packed block go on.
#pragma once

#include <cstdint>
#include <span>

#include "model/task.h"

namespace tilewise::runtime {

/// Whether the answer of an exit with these logits counts: see model::Exit. One logit: binary. The
/// arithmetic is double; logits that are no numbers are never certain.
bool is_certain(const model::Exit& exit, std::span<const float> logits);

/// The sequences that go through the layers together, packed end to end. A view of the memory of
/// its owner.
struct Packed {
  int32_t* offsets = nullptr;  ///< sequences + 1, from 0
  int32_t* numbers = nullptr;  ///< of each sequence, in its batch
  int32_t sequences = 0;

  int32_t tokens() const { return offsets[sequences]; }

  /// Keeps the sequences for which goes_on(number) is true, in their order, end to end again.
  /// from[s]: where the first token of the new sequence s lies until it is moved.
  template <class GoesOn>
  void close_up(const GoesOn& goes_on, int32_t* from) {
    int32_t kept = 0;
    int32_t end = 0;
    for (int32_t s = 0; s < sequences; ++s) {
      const int32_t begin = end;
      end = offsets[s + 1];
      if (!goes_on(numbers[s])) continue;
      from[kept] = begin;
      numbers[kept] = numbers[s];
      offsets[kept + 1] = offsets[kept] + end - begin;
      ++kept;
    }
    sequences = kept;
  }
};

}  // namespace tilewise::runtime
