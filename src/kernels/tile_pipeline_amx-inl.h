// Blocks of a linear layer on a tile unit, one after the other without a pause. A template over the
// tile unit, so that the processor's (tile_unit_hardware.h) and the software model
// (tile_unit_model.h) run the same source, and over the layer: bf16 (linear_amx-inl.h) or int8
// (int8_linear_amx-inl.h). In bytes both have the same geometry; a k-step is 32 values of k or 64.
//
// A block is what the four accumulator tiles hold: 32 rows x 32 columns (or 16 x 64, see Shape).
// While the tiles multiply one block, the vector unit finishes the one before: activation,
// rounding, storing.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/linear.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

constexpr int kTileRows = 16;
constexpr int kBlockRows = 2 * kTileRows;
constexpr int64_t kInputStepBytes = 64;  // one k-step in a row of the input
constexpr int64_t kPanelRowBytes = 128;  // a dword of k in each of a panel's 32 columns
constexpr int64_t kPanelStepBytes = kTileRows * kPanelRowBytes;  // a k-step in them
constexpr int64_t kHalfPanelBytes =
    64;  // the columns of one tile, in panels of weights and in blocks of sums
constexpr int64_t kSumRowBytes = 128;  // 32 sums of four bytes
constexpr int64_t kHalfBlockBytes = kTileRows * kSumRowBytes;
constexpr int64_t kBlockBytes = 2 * kHalfBlockBytes;
constexpr int64_t kCacheLine = 64;
constexpr int64_t kAheadInPanel = 4096;  // of weights that only stream through

/// What the accumulator tiles 0, 1 (first half) and 2, 3 (second half of the block) cover.
enum class Shape {
  rows_32,       ///< 32 rows of one panel; each half takes its own rows of the input
  panels_2,      ///< 16 rows of two neighbouring panels; each half takes its own panel
  one_tile_row,  ///< 16 rows of one panel; the second half is not used
};

/// The part of the output that half a block holds, as far as it exists.
struct OutputHalf {
  int panel = 0;
  int row = 0;
  int rows = 0;
};

/// One visit of the tile unit to a block: a range of k.
struct Visit {
  const char* input = nullptr;
  const char* weights = nullptr;
  int k_steps = 0;
  const char* start =
      nullptr;  ///< what the sums start from: one row of them, or the sums of the range of k before
  int64_t start_stride = 0;  ///< between rows; 0 for one row
  int64_t start_half = 0;    ///< between the halves of the block
  char* sums = nullptr;      ///< kBlockBytes, where they go
  OutputHalf output[2];      ///< of complete sums; no rows otherwise
};

/// Turns complete sums into output, a row of 32 columns at a time. An `Epilogue` knows how:
/// begin(OutputHalf) names the rows that come, finish_row(sums) takes the next of them.
template <class Epilogue>
class RowFinisher {
 public:
  explicit RowFinisher(const Epilogue& epilogue) : epilogue_(epilogue) {}

  void begin(const Visit& visit) {
    sums_ = visit.sums;
    rows_ = visit.output[0].rows;
    if (rows_ > 0) epilogue_.begin(visit.output[0]);
    second_sums_ = visit.sums + kHalfBlockBytes;
    second_ = visit.output[1];
  }

  /// Finishes one row, if one is left.
  HWY_INLINE void next() {
    if (rows_ == 0 && !begin_second_half()) return;
    epilogue_.finish_row(sums_);
    sums_ += kSumRowBytes;
    --rows_;
  }

  HWY_INLINE void finish() {
    while (rows_ + second_.rows > 0) next();
  }

 private:
  HWY_INLINE bool begin_second_half() {
    sums_ = second_sums_;
    rows_ = second_.rows;
    if (rows_ > 0) epilogue_.begin(second_);
    second_.rows = 0;
    return rows_ > 0;
  }

  Epilogue epilogue_;
  const char* sums_ = nullptr;
  int rows_ = 0;
  const char* second_sums_ = nullptr;
  OutputHalf second_;
};

/// Asks for the weights that come next, a few cache lines a k-step, so that they wait in the
/// second-level cache. Never more than one stretch ahead: what comes too early evicts activations.
class WeightPrefetcher {
 public:
  explicit WeightPrefetcher(int lines_per_step) : lines_(lines_per_step) {}

  void begin(const char* stretch, int64_t bytes) {
    line_ = stretch;
    end_ = stretch + bytes;
  }

  HWY_INLINE void step() {
    for (int i = 0; i < lines_ && line_ < end_; ++i) {
      __builtin_prefetch(line_, 0, 2);
      line_ += kCacheLine;
    }
  }

 private:
  const char* line_ = nullptr;
  const char* end_ = nullptr;
  int lines_;
};

/// Passes blocks through the tile unit. A block's sums leave the tiles during the first k-step of
/// the block after it, and become output during the other k-steps, one row after each tile product.
/// Tiles: 0 to 3 sums, the others operands.
template <class Tiles, class Layer>
class BlockPipeline {
 public:
  /// `sums`: of the first visit.
  BlockPipeline(const Layer& layer, int64_t panel_bytes, char* sums, int prefetched_lines_per_step)
      : input_stride_(layer.args().input_stride),
        panel_bytes_(panel_bytes),
        prefetcher_(prefetched_lines_per_step),
        finisher_(layer.epilogue()) {
    previous_.sums = sums;  // takes what the tiles hold before the first visit
  }

  /// During the visits to come.
  void prefetch(const char* weights, int64_t bytes) { prefetcher_.begin(weights, bytes); }

  template <Shape kShape>
  HWY_INLINE void visit(const Visit& block) {
    finisher_.finish();
    multiply_step<kShape>(block.input, block.weights, FirstStep{*this, block});
    if constexpr (kShape == Shape::one_tile_row) {
      store_sums<2>(previous_);
      store_sums<3>(previous_);
    }
    finisher_.begin(previous_);
    prefetcher_.step();
    for (int step = 1; step < block.k_steps; ++step) {
      multiply_step<kShape>(block.input + step * kInputStepBytes,
                            block.weights + step * kPanelStepBytes, LaterStep{*this});
      prefetcher_.step();
    }
    previous_ = block;
  }

  void drain() {
    finisher_.finish();
    store_sums<0>(previous_);
    store_sums<1>(previous_);
    store_sums<2>(previous_);
    store_sums<3>(previous_);
    finisher_.begin(previous_);
    finisher_.finish();
  }

 private:
  /// Exchanges the sums in a tile, just before the tile is needed.
  struct FirstStep {
    BlockPipeline& pipeline;
    const Visit& block;
    template <int kTile>
    HWY_INLINE void before_product() const {
      store_sums<kTile>(pipeline.previous_);
      load_start<kTile>(block);
    }
    HWY_INLINE void after_product() const {}
  };

  struct LaterStep {
    BlockPipeline& pipeline;
    template <int kTile>
    HWY_INLINE void before_product() const {}
    HWY_INLINE void after_product() const { pipeline.finisher_.next(); }
  };

  /// Operands that the next blocks use again are loaded to stay in the first-level
  /// cache.
  template <Shape kShape, class Step>
  HWY_INLINE void multiply_step(const char* input, const char* weights, Step step) {
    if constexpr (kShape == Shape::panels_2) {
      prefetch_step(weights + kAheadInPanel);
      prefetch_step(weights + panel_bytes_ + kAheadInPanel);
      Tiles::template load<4>(input, input_stride_);
      Tiles::template load_streaming<5>(weights, kPanelRowBytes);
      product<0, 4, 5>(step);
      Tiles::template load_streaming<6>(weights + kHalfPanelBytes, kPanelRowBytes);
      product<1, 4, 6>(step);
      Tiles::template load_streaming<7>(weights + panel_bytes_, kPanelRowBytes);
      product<2, 4, 7>(step);
      Tiles::template load_streaming<5>(weights + panel_bytes_ + kHalfPanelBytes, kPanelRowBytes);
      product<3, 4, 5>(step);
      return;
    }
    Tiles::template load<6>(weights, kPanelRowBytes);
    Tiles::template load_streaming<4>(input, input_stride_);
    product<0, 4, 6>(step);
    Tiles::template load<7>(weights + kHalfPanelBytes, kPanelRowBytes);
    product<1, 4, 7>(step);
    if constexpr (kShape == Shape::rows_32) {
      Tiles::template load_streaming<5>(input + kTileRows * input_stride_, input_stride_);
      product<2, 5, 6>(step);
      product<3, 5, 7>(step);
    }
  }

  static HWY_INLINE void prefetch_step(const char* weights) {
    for (int64_t line = 0; line < kPanelStepBytes; line += kCacheLine) {
      __builtin_prefetch(weights + line, 0, 2);
    }
  }

  template <int kSums, int kInput, int kWeights, class Step>
  static HWY_INLINE void product(Step step) {
    step.template before_product<kSums>();
    Layer::template multiply_add<Tiles, kSums, kInput, kWeights>();
    step.after_product();
  }

  template <int kTile>
  static HWY_INLINE void store_sums(const Visit& block) {
    Tiles::template store<kTile>(
        block.sums + kTile / 2 * kHalfBlockBytes + kTile % 2 * kHalfPanelBytes, kSumRowBytes);
  }

  template <int kTile>
  static HWY_INLINE void load_start(const Visit& block) {
    Tiles::template load<kTile>(
        block.start + kTile / 2 * block.start_half + kTile % 2 * kHalfPanelBytes,
        block.start_stride);
  }

  int64_t input_stride_;
  int64_t panel_bytes_;
  WeightPrefetcher prefetcher_;
  RowFinisher<typename Layer::Epilogue> finisher_;
  Visit previous_;
};

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
