// Which keys a block of queries attends to, where attention is local (Beltagy et al. 2020,
// "Longformer"). See vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#include "kernels/vector_math-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// The tokens [first, last) of a sequence.
struct KeyRange {
  int32_t first = 0;
  int32_t last = 0;

  HWY_INLINE int32_t count() const { return last - first; }
};

/// Ranges of keys begin at multiples of this: at a panel of the vectors, at a tile of weights.
constexpr int32_t kKeyGrain = 32;

/// The window around the tokens of one sequence. Where it reaches over all of them there is none,
/// so that short sequences take the path of global attention.
class Window {
 public:
  /// `width` tokens on each side; 0: all.
  HWY_INLINE Window(int32_t width, int32_t tokens)
      : width_(width < tokens - 1 ? width : 0), tokens_(tokens) {}

  HWY_INLINE bool is_local() const { return width_ > 0; }

  /// What the queries [first, first + count) attend to, together.
  HWY_INLINE KeyRange keys_of(int32_t first, int32_t count) const {
    if (!is_local()) return {0, tokens_};
    const int32_t from = first - width_, to = first + count + width_;
    return {from <= 0 ? 0 : from / kKeyGrain * kKeyGrain, to < tokens_ ? to : tokens_};
  }

  /// The most keys of `queries` queries.
  HWY_INLINE int32_t most_keys(int32_t queries) const {
    const int32_t most = kKeyGrain - 1 + queries + 2 * width_;
    return !is_local() || most > tokens_ ? tokens_ : most;
  }

  /// Takes the keys that `query` does not attend to from the scores of a range.
  HWY_INLINE void mask(float* scores, const KeyRange& keys, int32_t query) const {
    const int32_t from = query - width_ - keys.first, to = query + width_ + 1 - keys.first;
    for (int32_t i = 0; i < from; ++i) scores[i] = -__builtin_inff();
    for (int32_t i = to; i < keys.count(); ++i) scores[i] = -__builtin_inff();
  }

 private:
  int32_t width_;
  int32_t tokens_;
};

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
