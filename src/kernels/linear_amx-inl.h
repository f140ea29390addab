// linear.h on a tile unit: bf16 in, fp32 sums, bf16 or fp32 out. Sums start from the bias.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/elements-inl.h"
#include "kernels/linear.h"
#include "kernels/tables_amx-inl.h"
#include "kernels/tile_linear_amx-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// fp32 sums -> activation -> output.
template <Fused kFused, OutputType kOutputType>
class Bf16Epilogue {
 public:
  explicit Bf16Epilogue(const LinearArgs& args)
      : output_(static_cast<char*>(args.output)), stride_(args.output_stride) {}

  void begin(const OutputHalf& half) {
    row_ = output_ + half.row * stride_ +
           half.panel * kPanelColumns * static_cast<int64_t>(sizeof(Element));
  }

  HWY_INLINE void finish_row(const char* HWY_RESTRICT row_of_sums) {
    const hn::ScalableTag<float> d;
    const size_t lanes = hn::Lanes(d);
    const auto* sums = reinterpret_cast<const float*>(row_of_sums);
    auto* output = reinterpret_cast<Element*>(row_);
    for (size_t column = 0; column < kPanelColumns; column += 2 * lanes) {
      auto low = hn::Load(d, sums + column);
      auto high = hn::Load(d, sums + column + lanes);
      if constexpr (kFused == Fused::gelu_erf) {
        low = gelu_beside_tiles(d, low);
        high = gelu_beside_tiles(d, high);
      }
      store_pair(d, low, high, output + column);
    }
    row_ += stride_;
  }

 private:
  using Element = std::conditional_t<kOutputType == OutputType::fp32, float, uint16_t>;

  char* output_;
  int64_t stride_;
  char* row_ = nullptr;
};

/// What TileLinear needs to know of a bf16 layer.
template <Fused kFused, OutputType kOutputType>
class Bf16Layer {
 public:
  using Args = LinearArgs;
  using Epilogue = Bf16Epilogue<kFused, kOutputType>;
  static constexpr int kStepValues = 32;

  explicit Bf16Layer(const LinearArgs& args) : args_(args) {}

  const LinearArgs& args() const { return args_; }
  Epilogue epilogue() const { return Epilogue(args_); }
  const char* input() const { return static_cast<const char*>(args_.input); }
  const char* start(int panel) const {
    return reinterpret_cast<const char*>(args_.bias + panel * kPanelColumns);
  }

  template <class Tiles, int kSums, int kInput, int kWeights>
  static HWY_INLINE void multiply_add() {
    Tiles::template multiply_add_bf16<kSums, kInput, kWeights>();
  }

 private:
  const LinearArgs& args_;
};

template <class Tiles, Fused kFused, OutputType kOutputType>
void run_bf16_layer(const LinearArgs& args) {
  Bf16Layer<kFused, kOutputType> layer(args);
  TileLinear<Tiles, Bf16Layer<kFused, kOutputType>>(layer).run();
}

template <class Tiles>
void tile_linear(const LinearArgs& args) {
  const bool gelu = args.fused == Fused::gelu_erf;
  if (args.output_type == OutputType::fp32) {
    if (gelu) return run_bf16_layer<Tiles, Fused::gelu_erf, OutputType::fp32>(args);
    return run_bf16_layer<Tiles, Fused::none, OutputType::fp32>(args);
  }
  if (gelu) return run_bf16_layer<Tiles, Fused::gelu_erf, OutputType::activation>(args);
  return run_bf16_layer<Tiles, Fused::none, OutputType::activation>(args);
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
