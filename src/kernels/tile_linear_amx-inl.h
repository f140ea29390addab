// Loops over the blocks of a linear layer on a tile unit, bf16 and int8.
//
// The weights of one panel stay in the first-level cache while all rows of a pass go by; the input
// streams from the second.
//
// Every sum is: its start, then the tile products in the order of k. Cutting k into ranges changes
// nothing, for sums wait in memory as the numbers of four bytes that they are. So a row's result
// does not depend on the shape or the number of blocks.
#pragma once

#include <cstdint>

#include "kernels/tile_pipeline_amx-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Cuts one call into blocks and sends them through the pipeline in the order that suits the
/// caches.
template <class Tiles, class Layer>
class TileLinear {
 public:
  explicit TileLinear(Layer& layer)
      : layer_(layer),
        args_(layer.args()),
        k_steps_(args_.k / Layer::kStepValues),
        panels_(args_.n / kPanelColumns) {}

  void run() const {
    if (args_.rows <= kTileRows) {
      run_few_rows();
    } else {
      run_many_rows();
    }
  }

 private:
  using Pipeline = BlockPipeline<Tiles, Layer>;
  static constexpr int kLinesOfStep = kPanelStepBytes / kCacheLine;
  // A panel of up to 40 KB stays in the first-level cache as it is. A larger one is cut into ranges
  // of k: 24 KB, which leave some room for the sums of a group of blocks. Larger groups read a
  // range of weights less often from the second level, and that counts for more than sums which
  // fall out.
  static constexpr int kMaxSteps = 20;
  static constexpr int kStepsOfRange = 12;
  static constexpr int kBlocksOfGroup = 16;
  // Input that stays in a second-level cache of 2 MB while all panels pass by.
  static constexpr int64_t kPassBytes = 1250 << 10;

  int64_t panel_bytes() const { return k_steps_ * kPanelStepBytes; }

  /// Rows in passes over the weights, as many as have an input that stays in the second-level
  /// cache; panel by panel in a pass.
  HWY_NOINLINE void run_many_rows() const {
    alignas(64) char sums[kBlocksOfGroup * kBlockBytes];
    const int64_t pass_rows = kPassBytes / args_.input_stride;
    const int blocks = ceil_div(args_.rows, kBlockRows);
    const int pass_blocks = even_part(blocks, max(1, static_cast<int>(pass_rows / kBlockRows)));

    Pipeline pipeline(layer_, panel_bytes(), sums, ceil_div(kLinesOfStep, pass_blocks));
    for (int first = 0; first < blocks; first += pass_blocks) {
      const int end = min(first + pass_blocks, blocks);
      for (int panel = 0; panel < panels_; ++panel) {
        prefetch_after(panel, end == blocks ? args_.next_weights : args_.weights, pipeline);
        visit_panel(pipeline, panel, first, end, sums);
      }
    }
    pipeline.drain();
  }

  /// Blocks [first_block, end_block) of one panel, in groups that take one range of k after the
  /// other, so that a range of weights (first-level cache) serves the whole group. A block's place
  /// for sums is free again when its next sums come, for the pipeline finishes a block's output one
  /// visit later.
  HWY_INLINE void visit_panel(Pipeline& pipeline, int panel, int first_block, int end_block,
                              char* sums) const {
    const bool is_cut = k_steps_ > kMaxSteps;
    const int range_steps = is_cut ? even_part(k_steps_, kStepsOfRange) : k_steps_;
    const int group_blocks = is_cut ? even_part(end_block - first_block, kBlocksOfGroup) : 1;
    for (int first = first_block; first < end_block; first += group_blocks) {
      const int end = min(first + group_blocks, end_block);
      for (int step = 0; step < k_steps_; step += range_steps) {
        for (int block = first; block < end; ++block) {
          visit_rows(pipeline, panel, block * kBlockRows, step, min(step + range_steps, k_steps_),
                     sums + (block - first) * kBlockBytes);
        }
      }
    }
  }

  /// Up to 32 rows of one panel, k-steps [step, end).
  HWY_INLINE void visit_rows(Pipeline& pipeline, int panel, int row, int step, int end,
                             char* sums) const {
    Visit visit = make_visit(panel, row, step, end, sums);
    visit.start_half = kTileRows * visit.start_stride;
    const int rows = args_.rows - row;
    if (end == k_steps_) {
      visit.output[0] = half(panel, row, rows);
      if (rows > kTileRows) visit.output[1] = half(panel, row + kTileRows, rows - kTileRows);
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
    Pipeline pipeline(layer_, panel_bytes(), sums, 0);
    for (int panel = 0; panel < panels_; panel += 2) {
      Visit visit = make_visit(panel, 0, 0, k_steps_, sums);
      visit.output[0] = half(panel, 0, args_.rows);
      if (panel + 1 < panels_) {
        visit.start_half = kSumRowBytes;
        visit.output[1] = half(panel + 1, 0, args_.rows);
        pipeline.template visit<Shape::panels_2>(visit);
      } else {
        pipeline.template visit<Shape::one_tile_row>(visit);
      }
    }
    pipeline.drain();
  }

  Visit make_visit(int panel, int row, int step, int end, char* sums) const {
    Visit visit;
    visit.input = layer_.input() + row * args_.input_stride + step * kInputStepBytes;
    visit.weights = weights(panel) + step * kPanelStepBytes;
    visit.k_steps = end - step;
    visit.sums = sums;
    if (step == 0) {
      visit.start = layer_.start(panel);
      visit.start_stride = 0;
    } else {
      visit.start = sums;
      visit.start_stride = kSumRowBytes;
    }
    return visit;
  }

  static OutputHalf half(int panel, int row, int rows) {
    return {panel, row, min(rows, kTileRows)};
  }

  /// The next panel, or the first of the `following` weights, if there are any.
  void prefetch_after(int panel, const void* following, Pipeline& pipeline) const {
    if (panel + 1 < panels_) {
      pipeline.prefetch(weights(panel + 1), panel_bytes());
    } else if (following != nullptr) {
      pipeline.prefetch(static_cast<const char*>(following), panel_bytes());
    }
  }

  const char* weights(int panel) const {
    return static_cast<const char*>(args_.weights) + panel * panel_bytes();
  }

  static int ceil_div(int a, int b) { return (a + b - 1) / b; }
  /// The size of parts, nearly equal and none above `most`, that make up `total`.
  static int even_part(int total, int most) { return ceil_div(total, ceil_div(total, most)); }
  static int min(int a, int b) { return a < b ? a : b; }
  static int max(int a, int b) { return a > b ? a : b; }

  Layer& layer_;
  const typename Layer::Args& args_;
  int k_steps_;
  int panels_;
};

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
