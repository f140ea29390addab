// linear.h on a tile unit: bf16 in, fp32 sums, bf16 or fp32 out. A template over the tile unit, so
// that the processor's (tile_unit_hardware.h) and the software model (tile_unit_model.h) run the
// same source.
//
// A block is what the four accumulator tiles hold: 32 rows x 32 columns (or 16 x 64, see Shape).
// The weights of one panel stay in the first-level cache while all rows pass by; the input streams
// from the second. While the tiles multiply one block, the vector unit finishes the one before:
// activation, rounding, storing.
//
// Every sum is: bias, then the tile products in the order of k. Cutting k into ranges changes
// nothing, for sums wait in memory as the fp32 numbers they are. So a row's result does not depend
// on the shape or the number of blocks.
#pragma once

#include <cstdint>
#include <type_traits>

#include "kernels/elements-inl.h"
#include "kernels/linear.h"
#include "kernels/tables_amx-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

constexpr int kTileRows = 16;
constexpr int kBlockRows = 2 * kTileRows;
constexpr int64_t kInputStepBytes = 64;  // 32 values of k in a row of the input
constexpr int64_t kPanelRowBytes = 128;  // two values of k in each of a panel's 32 columns
constexpr int64_t kPanelStepBytes = kTileRows * kPanelRowBytes;  // 32 values of k in them
constexpr int64_t kHalfPanelBytes =
    64;  // the columns of one tile, in panels of weights and in blocks of sums
constexpr int64_t kSumRowBytes = 128;  // 32 fp32 sums
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

/// The output of half a block: the rows x 32 columns that exist, of its 16 x 32.
struct OutputHalf {
  char* first_row = nullptr;
  int rows = 0;
};

/// One visit of the tile unit to a block: a range of k.
struct Visit {
  const char* input = nullptr;
  const char* weights = nullptr;
  int k_steps = 0;
  const char* start =
      nullptr;  ///< what the sums start from: the bias, or the sums of the range of k before
  int64_t start_stride = 0;  ///< between rows; 0 for the bias
  int64_t start_half = 0;    ///< between the halves of the block
  char* sums = nullptr;      ///< kBlockBytes, where they go
  OutputHalf output[2];      ///< of complete sums; no rows otherwise
};

template <OutputType kOutputType>
using OutputElement = std::conditional_t<kOutputType == OutputType::fp32, float, uint16_t>;

/// Turns complete sums into output, a row of 32 columns at a time.
template <Fused kFused, OutputType kOutputType>
class RowFinisher {
 public:
  explicit RowFinisher(int64_t output_stride) : stride_(output_stride) {}

  void begin(const Visit& visit) {
    sums_ = visit.sums;
    output_ = visit.output[0].first_row;
    rows_ = visit.output[0].rows;
    second_sums_ = visit.sums + kHalfBlockBytes;
    second_ = visit.output[1];
  }

  /// Finishes one row, if one is left.
  HWY_INLINE void next() {
    if (rows_ == 0 && !begin_second_half()) return;
    finish_row(reinterpret_cast<const float*>(sums_), output_);
    sums_ += kSumRowBytes;
    output_ += stride_;
    --rows_;
  }

  HWY_INLINE void finish() {
    while (rows_ + second_.rows > 0) next();
  }

 private:
  using Element = OutputElement<kOutputType>;

  HWY_INLINE bool begin_second_half() {
    sums_ = second_sums_;
    output_ = second_.first_row;
    rows_ = second_.rows;
    second_.rows = 0;
    return rows_ > 0;
  }

  static HWY_INLINE void finish_row(const float* HWY_RESTRICT sums, char* HWY_RESTRICT output) {
    const hn::ScalableTag<float> d;
    const size_t lanes = hn::Lanes(d);
    for (size_t column = 0; column < kPanelColumns; column += 2 * lanes) {
      auto low = hn::Load(d, sums + column);
      auto high = hn::Load(d, sums + column + lanes);
      if constexpr (kFused == Fused::gelu_erf) {
        low = gelu_beside_tiles(d, low);
        high = gelu_beside_tiles(d, high);
      }
      store_pair(d, low, high, reinterpret_cast<Element*>(output) + column);
    }
  }

  int64_t stride_;
  const char* sums_ = nullptr;
  char* output_ = nullptr;
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
template <class Tiles, Fused kFused, OutputType kOutputType>
class BlockPipeline {
 public:
  /// `sums`: of the first visit.
  BlockPipeline(const LinearArgs& args, int64_t panel_bytes, char* sums,
                int prefetched_lines_per_step)
      : input_stride_(args.input_stride),
        panel_bytes_(panel_bytes),
        prefetcher_(prefetched_lines_per_step),
        finisher_(args.output_stride) {
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

  /// 32 values of k. Operands that the next blocks use again are loaded to stay in the first-level
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
    Tiles::template multiply_add_bf16<kSums, kInput, kWeights>();
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
  RowFinisher<kFused, kOutputType> finisher_;
  Visit previous_;
};

/// Cuts one call into blocks and sends them through the pipeline in the order that suits the
/// caches.
template <class Tiles, Fused kFused, OutputType kOutputType>
class TileLinear {
 public:
  explicit TileLinear(const LinearArgs& args)
      : args_(args), k_steps_(args.k / kStepValues), panels_(args.n / kPanelColumns) {}

  void run() const {
    if (args_.rows <= kTileRows) {
      run_few_rows();
    } else {
      run_many_rows();
    }
  }

 private:
  using Pipeline = BlockPipeline<Tiles, kFused, kOutputType>;
  static constexpr int kStepValues = 32;
  static constexpr int kLinesOfStep = kPanelStepBytes / kCacheLine;
  // A panel of up to 40 KB stays in the first-level cache as it is. A larger one is cut into ranges
  // of k, which leave room for the sums of a group of blocks.
  static constexpr int kMaxSteps = 20;
  static constexpr int kStepsOfRange = 16;
  static constexpr int kBlocksOfGroup = 4;
  static constexpr int64_t kOutputBytes = sizeof(OutputElement<kOutputType>);

  int64_t panel_bytes() const { return k_steps_ * kPanelStepBytes; }

  /// Panel by panel; rows in groups of blocks that take one range of k after the other, so that a
  /// range of weights (first-level cache) serves the whole group. A block's place for sums is free
  /// again when its next sums come, for the pipeline finishes a block's output one visit later.
  HWY_NOINLINE void run_many_rows() const {
    alignas(64) char sums[kBlocksOfGroup * kBlockBytes];
    const int blocks = ceil_div(args_.rows, kBlockRows);
    const int ranges = k_steps_ <= kMaxSteps ? 1 : ceil_div(k_steps_, kStepsOfRange);
    const int range_steps = ceil_div(k_steps_, ranges);
    const int groups = ranges == 1 ? blocks : ceil_div(blocks, kBlocksOfGroup);
    const int group_blocks = ceil_div(blocks, groups);

    Pipeline pipeline(args_, panel_bytes(), sums, ceil_div(kLinesOfStep, blocks));
    for (int panel = 0; panel < panels_; ++panel) {
      prefetch_after(panel, pipeline);
      for (int first = 0; first < blocks; first += group_blocks) {
        const int last = min(first + group_blocks, blocks);
        for (int step = 0; step < k_steps_; step += range_steps) {
          for (int block = first; block < last; ++block) {
            visit_rows(pipeline, panel, block * kBlockRows, step, min(step + range_steps, k_steps_),
                       sums + (block - first) * kBlockBytes);
          }
        }
      }
    }
    pipeline.drain();
  }

  /// Up to 32 rows of one panel, k-steps [step, end).
  HWY_INLINE void visit_rows(Pipeline& pipeline, int panel, int row, int step, int end,
                             char* sums) const {
    Visit visit = make_visit(panel, row, step, end, sums);
    visit.start_half = kTileRows * visit.start_stride;
    const int rows = args_.rows - row;
    if (end == k_steps_) {
      visit.output[0] = output(panel, row, rows);
      if (rows > kTileRows) visit.output[1] = output(panel, row + kTileRows, rows - kTileRows);
    }
    if (rows > kTileRows) {
      pipeline.template visit<Shape::rows_32>(visit);
    } else {
      pipeline.template visit<Shape::one_tile_row>(visit);
    }
  }

  /// One tile of rows: two panels at a time, all of k. Nothing is used twice but the input; weights
  /// stream through.
  HWY_NOINLINE void run_few_rows() const {
    alignas(64) char sums[kBlockBytes];
    Pipeline pipeline(args_, panel_bytes(), sums, 0);
    for (int panel = 0; panel < panels_; panel += 2) {
      Visit visit = make_visit(panel, 0, 0, k_steps_, sums);
      visit.output[0] = output(panel, 0, args_.rows);
      if (panel + 1 < panels_) {
        visit.start_half = kPanelColumns * sizeof(float);
        visit.output[1] = output(panel + 1, 0, args_.rows);
        pipeline.template visit<Shape::panels_2>(visit);
      } else {
        pipeline.template visit<Shape::one_tile_row>(visit);
      }
    }
    pipeline.drain();
  }

  Visit make_visit(int panel, int row, int step, int end, char* sums) const {
    Visit visit;
    visit.input =
        static_cast<const char*>(args_.input) + row * args_.input_stride + step * kInputStepBytes;
    visit.weights = weights(panel) + step * kPanelStepBytes;
    visit.k_steps = end - step;
    visit.sums = sums;
    if (step == 0) {
      visit.start = reinterpret_cast<const char*>(args_.bias + panel * kPanelColumns);
      visit.start_stride = 0;
    } else {
      visit.start = sums;
      visit.start_stride = kSumRowBytes;
    }
    return visit;
  }

  OutputHalf output(int panel, int row, int rows) const {
    char* first_row = static_cast<char*>(args_.output) + row * args_.output_stride +
                      panel * kPanelColumns * kOutputBytes;
    return {first_row, min(rows, kTileRows)};
  }

  /// The next panel, here or in the next layer.
  void prefetch_after(int panel, Pipeline& pipeline) const {
    if (panel + 1 < panels_) {
      pipeline.prefetch(weights(panel + 1), panel_bytes());
    } else if (args_.next_weights != nullptr) {
      pipeline.prefetch(static_cast<const char*>(args_.next_weights), panel_bytes());
    }
  }

  const char* weights(int panel) const {
    return static_cast<const char*>(args_.weights) + panel * panel_bytes();
  }

  static int ceil_div(int a, int b) { return (a + b - 1) / b; }
  static int min(int a, int b) { return a < b ? a : b; }

  const LinearArgs& args_;
  int k_steps_;
  int panels_;
};

template <class Tiles>
void tile_linear(const LinearArgs& args) {
  const bool gelu = args.fused == Fused::gelu_erf;
  if (args.output_type == OutputType::fp32) {
    if (gelu) return TileLinear<Tiles, Fused::gelu_erf, OutputType::fp32>(args).run();
    return TileLinear<Tiles, Fused::none, OutputType::fp32>(args).run();
  }
  if (gelu) return TileLinear<Tiles, Fused::gelu_erf, OutputType::activation>(args).run();
  return TileLinear<Tiles, Fused::none, OutputType::activation>(args).run();
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
