// int8.h's linear layer on a tile unit: u8 x s8 into int32, scaled and finished in fp32, bf16 out.
//
// Sums start from -zero_point * column_sum, so they are exact when the last product is in; what
// follows has one order for every row.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/int8.h"
#include "kernels/tables_amx-inl.h"
#include "kernels/tile_linear_amx-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// int32 sums -> scales and bias -> activation -> bf16.
template <Fused kFused>
class Int8Epilogue {
 public:
  explicit Int8Epilogue(const Int8LinearArgs& args) : args_(&args) {}

  void begin(const OutputHalf& half) {
    const int64_t column = half.panel * kPanelColumns;
    row_ = static_cast<char*>(args_->output) + half.row * args_->output_stride +
           column * static_cast<int64_t>(sizeof(uint16_t));
    row_scale_ = args_->input_scales + half.row;
    column_scales_ = args_->weight_scales + column;
    bias_ = args_->bias + column;
  }

  HWY_INLINE void finish_row(const char* HWY_RESTRICT row_of_sums) {
    const hn::ScalableTag<float> d;
    const size_t lanes = hn::Lanes(d);
    const auto* sums = reinterpret_cast<const int32_t*>(row_of_sums);
    const auto row_scale = hn::Set(d, *row_scale_++);
    auto* output = reinterpret_cast<uint16_t*>(row_);
    for (size_t column = 0; column < kPanelColumns; column += 2 * lanes) {
      store_pair(d, finish(d, sums, row_scale, column), finish(d, sums, row_scale, column + lanes),
                 output + column);
    }
    row_ += args_->output_stride;
  }

 private:
  template <class D, class V>
  HWY_INLINE V finish(D d, const int32_t* HWY_RESTRICT sums, V row_scale, size_t column) const {
    const hn::RebindToSigned<D> di;
    const V scale = hn::Mul(row_scale, hn::Load(d, column_scales_ + column));
    const V sum = hn::ConvertTo(d, hn::Load(di, sums + column));
    const V y = hn::MulAdd(sum, scale, hn::Load(d, bias_ + column));
    if constexpr (kFused == Fused::gelu_erf) return gelu_beside_tiles(d, y);
    return y;
  }

  const Int8LinearArgs* args_;
  char* row_ = nullptr;
  const float* row_scale_ = nullptr;
  const float* column_scales_ = nullptr;
  const float* bias_ = nullptr;
};

/// What TileLinear needs to know of an int8 layer.
template <Fused kFused>
class Int8Layer {
 public:
  using Args = Int8LinearArgs;
  using Epilogue = Int8Epilogue<kFused>;
  static constexpr int kStepValues = 64;

  explicit Int8Layer(const Int8LinearArgs& args) : args_(args) {}

  const Int8LinearArgs& args() const { return args_; }
  Epilogue epilogue() const { return Epilogue(args_); }
  const char* input() const { return reinterpret_cast<const char*>(args_.input); }

  /// Of this panel and the next one, if there is one; valid until the next call.
  const char* start(int panel) {
    const int first = panel * kPanelColumns;
    const int columns = args_.n - first < 2 * kPanelColumns ? kPanelColumns : 2 * kPanelColumns;
    for (int i = 0; i < columns; ++i) starts_[i] = -args_.zero_point * args_.column_sums[first + i];
    return reinterpret_cast<const char*>(starts_);
  }

  template <class Tiles, int kSums, int kInput, int kWeights>
  static HWY_INLINE void multiply_add() {
    Tiles::template multiply_add_u8_s8<kSums, kInput, kWeights>();
  }

 private:
  const Int8LinearArgs& args_;
  alignas(64) int32_t starts_[2 * kPanelColumns];
};

template <class Tiles, Fused kFused>
void run_int8_layer(const Int8LinearArgs& args) {
  Int8Layer<kFused> layer(args);
  TileLinear<Tiles, Int8Layer<kFused>>(layer).run();
}

template <class Tiles>
void tile_int8_linear(const Int8LinearArgs& args) {
  if (args.fused == Fused::gelu_erf) return run_int8_layer<Tiles, Fused::gelu_erf>(args);
  run_int8_layer<Tiles, Fused::none>(args);
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
