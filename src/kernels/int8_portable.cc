// int8 for every processor. Compiled with the compiler's baseline.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "kernels/int8.h"
#include "kernels/pack.h"

namespace tilewise::kernels::portable::int8 {

namespace {

float gelu(float x) { return 0.5f * x * (1.0f + std::erf(x * 0.70710678f)); }

}  // namespace

void quantize(const QuantizeArgs& args) {
  for (int32_t r = 0; r < args.rows; ++r) {
    const auto* input = reinterpret_cast<const uint16_t*>(static_cast<const char*>(args.input) +
                                                          r * args.input_stride);
    const auto value = [&](int32_t k) {
      const float x = from_bf16(input[k]) - args.floor;
      return args.smooth == nullptr ? x : x * args.smooth[k];
    };
    float largest = 0;
    for (int32_t k = 0; k < args.columns; ++k) {
      largest = std::max(largest, args.is_symmetric ? std::abs(value(k)) : value(k));
    }
    const float most = args.is_symmetric ? 127.0f : 255.0f;
    args.scales[r] = largest / most;
    const float inverse = largest > 0 ? most / largest : 0.0f;
    const float zero = args.is_symmetric ? kSymmetricZero : 0;
    for (int32_t k = 0; k < args.columns; ++k) {
      const float rounded = std::nearbyint(value(k) * inverse) + zero;
      args.output[r * args.output_stride + k] =
          static_cast<uint8_t>(std::clamp(rounded, 0.0f, 255.0f));
    }
  }
}

void linear(const Int8LinearArgs& args) {
  for (int32_t r = 0; r < args.rows; ++r) {
    const uint8_t* input = args.input + r * args.input_stride;
    auto* output =
        reinterpret_cast<uint16_t*>(static_cast<char*>(args.output) + r * args.output_stride);
    for (int32_t n = 0; n < args.n; ++n) {
      const auto* column = static_cast<const int8_t*>(args.weights) +
                           int64_t{n / kPanelColumns} * args.k * kPanelColumns +
                           n % kPanelColumns * 4;
      int32_t sum = -args.zero_point * args.column_sums[n];
      for (int32_t k = 0; k < args.k; ++k)
        sum += input[k] * column[k / 4 * 4 * kPanelColumns + k % 4];
      float y =
          static_cast<float>(sum) * args.input_scales[r] * args.weight_scales[n] + args.bias[n];
      if (args.fused == Fused::gelu_erf) y = gelu(y);
      output[n] = to_bf16(y);
    }
  }
}

double busy(int64_t rounds) {
  volatile int32_t opaque = 3;
  int32_t sum = opaque;
  for (int64_t i = 0; i < rounds; ++i)
    sum = static_cast<int32_t>(static_cast<uint32_t>(sum) * 3u + 1u);
  opaque = sum;
  return 2.0 * static_cast<double>(rounds);
}

}  // namespace tilewise::kernels::portable::int8
