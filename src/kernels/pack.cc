#include "kernels/pack.h"

#include <bit>
#include <cstring>

#include "kernels/linear.h"

namespace tilewise::kernels {

using model::Precision;

uint16_t to_bf16(float value) {
  const auto bits = std::bit_cast<uint32_t>(value);
  const bool is_nan = (bits & 0x7fffffffU) > 0x7f800000U;
  // Made quiet, so that rounding cannot turn it into an infinity.
  if (is_nan) return static_cast<uint16_t>((bits >> 16) | 0x0040U);
  const uint32_t nearest_even = 0x7fffU + ((bits >> 16) & 1U);
  return static_cast<uint16_t>((bits + nearest_even) >> 16);
}

float from_bf16(uint16_t value) { return std::bit_cast<float>(static_cast<uint32_t>(value) << 16); }

size_t element_bytes(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return 4;
    case Precision::bf16:
      return 2;
    case Precision::int8:
      return 1;
  }
  return 0;
}

int64_t padded_k(int64_t k, Precision precision) {
  return round_up(k, 64 / static_cast<int64_t>(element_bytes(precision)));
}

int64_t padded_n(int64_t n) { return round_up(n, kPanelColumns); }

size_t packed_bytes(int64_t n, int64_t k, Precision precision) {
  return static_cast<size_t>(padded_n(n) * padded_k(k, precision)) * element_bytes(precision);
}

namespace {

/// Moves element (column, i) of [n, k] to its place; what is not written stays zero: the padding.
template <class Convert>
std::vector<std::byte> pack_with(int64_t n, int64_t k, Precision precision, Convert convert) {
  using Element = decltype(convert(size_t{}));
  constexpr int64_t kPerStep = 4 / sizeof(Element);
  const int64_t steps = padded_k(k, precision) / kPerStep;
  std::vector<std::byte> packed(packed_bytes(n, k, precision));
  for (int64_t column = 0; column < n; ++column) {
    const int64_t panel = column / kPanelColumns;
    for (int64_t i = 0; i < k; ++i) {
      const Element element = convert(static_cast<size_t>(column * k + i));
      const int64_t step = panel * steps + i / kPerStep;
      const int64_t place =
          (step * kPanelColumns + column % kPanelColumns) * kPerStep + i % kPerStep;
      std::memcpy(packed.data() + static_cast<size_t>(place) * sizeof element, &element,
                  sizeof element);
    }
  }
  return packed;
}

}  // namespace

std::vector<std::byte> pack_panels(std::span<const float> weight, int64_t n, int64_t k,
                                   Precision precision) {
  if (precision == Precision::fp32) {
    return pack_with(n, k, precision, [&](size_t i) { return weight[i]; });
  }
  return pack_with(n, k, Precision::bf16, [&](size_t i) { return to_bf16(weight[i]); });
}

std::vector<std::byte> pack_int8_panels(std::span<const int8_t> weight, int64_t n, int64_t k) {
  return pack_with(n, k, Precision::int8, [&](size_t i) { return weight[i]; });
}

}  // namespace tilewise::kernels
