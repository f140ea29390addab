// linear.h over the micro-kernel: which rows, panels and steps meet when, so that caches and
// prefetchers have it easy. See vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/linear.h"
#include "kernels/micro_kernel-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// Some blocks of rows, all within reach of the caches.
struct BlockGroup {
  const RowSplit& split;
  int32_t first;
  int32_t last;

  HWY_INLINE int32_t start() const { return split.start(first); }
  HWY_INLINE int32_t rows() const { return split.start(last) - start(); }
};

/// One range of k of the panels in [first_panel, last_panel).
template <class Block>
struct PanelRun {
  Block first;  ///< first row of the group, first column of the first panel; but for `right`
  const char* panels = nullptr;  ///< of the layer, at the range's first step
  int64_t panel_bytes = 0;       ///< between panels
  int32_t first_panel = 0;
  int32_t last_panel = 0;
  const char* next = nullptr;  ///< what is read after the last panel; may be null
};

/// `first` is the block of the group's first row and the panel's first column.
template <class Dot, int kLines>
HWY_INLINE void multiply_panel(const typename Dot::Block& first, const BlockGroup& group,
                               const char* prefetch) {
  constexpr int kColumns = Dot::kVectors * kLanes;
  // What the calls on this panel fetch, one after the other, is the whole next panel; further calls
  // begin again.
  const int64_t per_call = static_cast<int64_t>(first.steps / 2) * kLines * kCacheLine;
  const int64_t panel_bytes = static_cast<int64_t>(first.steps) * kStepBytes;
  int64_t fetched = 0;
  for (int part = 0; part < kPanelColumns; part += kColumns) {
    typename Dot::Block block = first;
    block.move(0, part);
    block.right = first.right + part * 4;
    for (int32_t i = group.first; i < group.last; ++i) {
      const int32_t height = group.split.height(i);
      block.prefetch = prefetch + fetched;
      kBlocks<Dot, Dot::kVectors, kLines>.of[height](block);
      fetched = fetched + per_call < panel_bytes ? fetched + per_call : 0;
      block.move(height, 0);
    }
  }
}

template <class Dot>
HWY_INLINE void multiply_panels(const PanelRun<typename Dot::Block>& run, const BlockGroup& group) {
  constexpr int kCallsPerBlock = kPanelColumns / (Dot::kVectors * kLanes);
  constexpr int64_t kAhead = 16384;  // bytes: some microseconds of arithmetic, the latency of DRAM
  const int32_t calls = (group.last - group.first) * kCallsPerBlock;
  typename Dot::Block block = run.first;
  for (int32_t panel = run.first_panel; panel < run.last_panel; ++panel) {
    block.right = run.panels + panel * run.panel_bytes;
    const char* next = panel + 1 < run.last_panel ? block.right + run.panel_bytes : run.next;
    if (next == nullptr) next = block.right;
    if (calls >= 4) {
      multiply_panel<Dot, 1>(block, group, next);
    } else if (calls >= 2) {
      multiply_panel<Dot, 2>(block, group, next);
    } else {
      multiply_panel<Dot, 4>(block, group, block.right + kAhead);
    }
    block.move(0, kPanelColumns);
  }
}

/// Values of k a step.
template <class Dot>
constexpr int kPerStep = 4 / static_cast<int>(sizeof(typename Dot::Element));

/// The left operand as it lies in memory. Args are those of a linear layer, `first` is the block of
/// its first row and column.
template <class Dot, class Args>
HWY_INLINE void run_direct(const Args& args, const typename Dot::Block& first) {
  constexpr int32_t kBlocksAtOnce = 10;  // their activations stay in the second-level cache
  PanelRun<typename Dot::Block> run;
  run.panels = static_cast<const char*>(args.weights);
  run.panel_bytes = static_cast<int64_t>(first.steps) * kStepBytes;
  run.last_panel = args.n / kPanelColumns;
  const RowSplit split(args.rows, Dot::kMaxRows);
  for (int32_t block = 0; block < split.blocks(); block += kBlocksAtOnce) {
    const bool last = block + kBlocksAtOnce >= split.blocks();
    const BlockGroup group{split, block, last ? split.blocks() : block + kBlocksAtOnce};
    run.first = first;
    run.first.move(group.start(), 0);
    run.next = static_cast<const char*>(last ? args.next_weights : args.weights);
    multiply_panels<Dot>(run, group);
  }
}

/// The left operand converted first (Dot::convert), some rows and a range of k at a time. Where k
/// takes several ranges, the sums wait in memory between them as the numbers that they are: the
/// chain of multiply-adds is the same.
template <class Dot, class Args>
class ConvertedLinear {
  using Block = typename Dot::Block;
  using Left = typename Dot::Left;
  using Sum = typename Block::Sum;
  static constexpr int32_t kBlocksAtOnce = Dot::kMaxRows > 8 ? 4 : 8;
  static constexpr int32_t kRows = kBlocksAtOnce * Dot::kMaxRows;
  static constexpr int32_t kRange = Dot::kRange;  // values of k
  static constexpr int32_t kColumns = 256;        // of sums that wait
  // Off the powers of two, which would share cache sets.
  static constexpr int32_t kLeftStride = Dot::kRangeBytes + kCacheLine;  // bytes
  static constexpr int32_t kWaitingStride = kColumns + 16;

 public:
  HWY_INLINE ConvertedLinear(const Args& args, const Block& first) : args_(args), first_(first) {}

  HWY_INLINE void run() {
    const RowSplit split(args_.rows, Dot::kMaxRows);
    for (int32_t block = 0; block < split.blocks(); block += kBlocksAtOnce) {
      const bool last = block + kBlocksAtOnce >= split.blocks();
      run_group({split, block, last ? split.blocks() : block + kBlocksAtOnce});
    }
  }

 private:
  HWY_INLINE void run_group(const BlockGroup& group) {
    if (args_.k <= kRange) {
      convert(group, 0);
      return run_range(group, 0, args_.n, 0);
    }
    for (int32_t column = 0; column < args_.n; column += kColumns) {
      for (int32_t k = 0; k < args_.k; k += kRange) {
        convert(group, k);
        run_range(group, column, args_.n - column < kColumns ? args_.n : column + kColumns, k);
      }
    }
  }

  HWY_INLINE int32_t range_from(int32_t k) const {
    return args_.k - k < kRange ? args_.k - k : kRange;
  }

  HWY_INLINE void convert(const BlockGroup& group, int32_t k) {
    const char* from = first_.left + group.start() * first_.left_stride +
                       k * static_cast<int64_t>(sizeof(typename Dot::Element));
    for (int32_t i = 0; i < group.rows(); ++i) {
      Dot::convert(from + i * first_.left_stride, range_from(k),
                   reinterpret_cast<Left*>(left_ + i * kLeftStride));
    }
  }

  /// Columns [column, end) of the group, the range of k from `k`, whose left operand is at hand.
  HWY_INLINE void run_range(const BlockGroup& group, int32_t column, int32_t end, int32_t k) {
    PanelRun<Block> run;
    run.panel_bytes = static_cast<int64_t>(first_.steps) * kStepBytes;
    run.panels = static_cast<const char*>(args_.weights) +
                 static_cast<int64_t>(k) / kPerStep<Dot> * kStepBytes;
    run.first_panel = column / kPanelColumns;
    run.last_panel = end / kPanelColumns;
    run.next = static_cast<const char*>(end == args_.n ? args_.next_weights : nullptr);
    run.first = first_;
    run.first.move(group.start(), column);
    run.first.left = left_;
    run.first.left_stride = kLeftStride;
    run.first.steps = range_from(k) / kPerStep<Dot>;
    if (k > 0) run.first.start_from(waiting_, kWaitingStride);
    if (k + kRange < args_.k) run.first.stop_at(waiting_, kWaitingStride);
    multiply_panels<Dot>(run, group);
  }

  const Args& args_;
  const Block& first_;
  HWY_ALIGN char left_[kRows * kLeftStride];
  HWY_ALIGN Sum waiting_[kRows * kWaitingStride];
};

/// `first` is the block of the first row and column.
template <class Dot, class Args>
HWY_INLINE void run_layer(const Args& args, const typename Dot::Block& first) {
  if constexpr (requires { Dot::kRange; }) {
    ConvertedLinear<Dot, Args>(args, first).run();
  } else {
    run_direct<Dot>(args, first);
  }
}

HWY_INLINE Finish finish_of(const LinearArgs& args) {
  const bool fp32 = args.output_type == OutputType::fp32;
  if (args.fused == Fused::gelu_erf) return fp32 ? Finish::gelu_fp32 : Finish::gelu;
  return fp32 ? Finish::store_fp32 : Finish::store;
}

template <class Dot>
HWY_INLINE void run_linear(const LinearArgs& args) {
  using Element = typename Dot::Element;
  BlockArgs first;
  first.left = static_cast<const char*>(args.input);
  first.left_stride = args.input_stride;
  first.steps = args.k / kPerStep<Dot>;
  first.output = static_cast<char*>(args.output);
  first.output_stride = args.output_stride;
  first.output_element = args.output_type == OutputType::fp32 ? 4 : sizeof(Element);
  first.start = args.bias;
  first.finish = finish_of(args);
  run_layer<Dot>(args, first);
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
