// Token sequences as PyTorch and NumPy have them (a row a sequence, filled up with padding) as a
// batch of the library.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <tilewise/tilewise.h>

namespace tilewise::python {

/// sequences x columns, of whatever library, in the memory of this machine.
using TokenArray = nanobind::ndarray<nanobind::ro, nanobind::device::cpu>;

struct PackedTokens {
  std::vector<int32_t> ids;
  std::vector<int32_t> types;  ///< empty: all 0
  std::vector<int32_t> offsets = {0};

  /// Valid as long as this is there and unchanged.
  TokenBatch batch() const;
};

/// The tokens whose mask is 1, wherever in its row they begin; all where there is no mask. Needs
/// the GIL. Errors: tilewise.errors.InvalidArgumentError: arrays that are no integers or not of one
/// shape, a mask of other numbers than 0 and 1 or with gaps, more tokens than one batch takes.
PackedTokens pack(const TokenArray& ids, const std::optional<TokenArray>& mask,
                  const std::optional<TokenArray>& types);

}  // namespace tilewise::python
