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
    const hn::ScalableTag<float> d;
    for (size_t i = 0; i < kVectors; ++i) {
      column_scales_[i] = hn::Load(d, args_->weight_scales + column + i * hn::Lanes(d));
      bias_[i] = hn::Load(d, args_->bias + column + i * hn::Lanes(d));
    }
  }

  HWY_INLINE void finish_row(const char* HWY_RESTRICT row_of_sums) {
    const hn::ScalableTag<float> d;
    const size_t lanes = hn::Lanes(d);
    const auto* sums = reinterpret_cast<const int32_t*>(row_of_sums);
    const auto row_scale = hn::Set(d, *row_scale_++);
    auto* output = reinterpret_cast<uint16_t*>(row_);
    for (size_t i = 0; i < kVectors; i += 2) {
      store_pair(d, finish(d, sums, row_scale, i), finish(d, sums, row_scale, i + 1),
                 output + i * lanes);
    }
    row_ += args_->output_stride;
  }

 private:
  using Vector = hn::Vec<hn::ScalableTag<float>>;
  static constexpr size_t kVectors = kPanelColumns / hn::MaxLanes(hn::ScalableTag<float>());

  /// Vector i of a row of sums.
  template <class D>
  HWY_INLINE Vector finish(D d, const int32_t* HWY_RESTRICT sums, Vector row_scale,
                           size_t i) const {
    const hn::RebindToSigned<D> di;
    const Vector scale = hn::Mul(row_scale, column_scales_[i]);
    const Vector sum = hn::ConvertTo(d, hn::Load(di, sums + i * hn::Lanes(d)));
    const Vector y = hn::MulAdd(sum, scale, bias_[i]);
    if constexpr (kFused == Fused::gelu_erf) return gelu_beside_tiles(d, y);
    return y;
  }

  const Int8LinearArgs* args_;
  char* row_ = nullptr;
  const float* row_scale_ = nullptr;
  // Of this panel, in registers: beside tile loads every other load counts.
  Vector column_scales_[kVectors];
  Vector bias_[kVectors];
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
    // Without a sign, for the sums of a file that lies may be anything, and must only wrap around.
    const auto factor = static_cast<uint32_t>(-args_.zero_point);
    for (int i = 0; i < columns; ++i) {
      starts_[i] =
          static_cast<int32_t>(factor * static_cast<uint32_t>(args_.column_sums[first + i]));
    }
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
