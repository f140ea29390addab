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
struct PanelRun {
  const char* left = nullptr;  ///< first row of the group
  int64_t left_stride = 0;
  const char* panels = nullptr;  ///< of the layer, at the range's first step
  int64_t panel_bytes = 0;       ///< between panels
  int32_t first_panel = 0;
  int32_t last_panel = 0;
  int32_t steps = 0;
  const char* next = nullptr;    ///< what is read after the last panel; may be null
  const float* start = nullptr;  ///< first row of the group, first column of the first panel
  int64_t start_stride = 0;      ///< floats
  char* output = nullptr;        ///< likewise
  int64_t output_stride = 0;     ///< bytes
  int32_t output_element = 4;    ///< bytes
  Finish finish = Finish::store;
};

template <class Dot, int kLines>
HWY_INLINE void multiply_panel(BlockArgs args, const BlockGroup& group, const PanelRun& run,
                               int64_t column, const char* prefetch) {
  constexpr int kColumns = Dot::kVectors * kLanes;
  const char* right = args.right;
  // What the calls on this panel fetch, one after the other, is the whole next panel; further calls
  // begin again.
  const int64_t per_call = static_cast<int64_t>(run.steps / 2) * kLines * kCacheLine;
  const int64_t panel_bytes = static_cast<int64_t>(run.steps) * kStepBytes;
  int64_t fetched = 0;
  for (int part = 0; part < kPanelColumns; part += kColumns) {
    args.right = right + part * 4;
    args.left = run.left;
    args.output = run.output + (column + part) * run.output_element;
    args.start = run.start + column + part;
    for (int32_t block = group.first; block < group.last; ++block) {
      const int32_t height = group.split.height(block);
      args.prefetch = prefetch + fetched;
      kBlocks<Dot, Dot::kVectors, kLines>.of[height](args);
      fetched = fetched + per_call < panel_bytes ? fetched + per_call : 0;
      args.left += height * args.left_stride;
      args.output += height * args.output_stride;
      args.start += height * args.start_stride;
    }
  }
}

template <class Dot>
HWY_INLINE void multiply_panels(const PanelRun& run, const BlockGroup& group) {
  constexpr int kCallsPerBlock = kPanelColumns / (Dot::kVectors * kLanes);
  constexpr int64_t kAhead = 16384;  // bytes: some microseconds of arithmetic, the latency of DRAM
  const int32_t calls = (group.last - group.first) * kCallsPerBlock;
  BlockArgs args;
  args.left_stride = run.left_stride;
  args.steps = run.steps;
  args.start_stride = run.start_stride;
  args.output_stride = run.output_stride;
  args.finish = run.finish;
  for (int32_t panel = run.first_panel; panel < run.last_panel; ++panel) {
    args.right = run.panels + panel * run.panel_bytes;
    const int64_t column = static_cast<int64_t>(panel - run.first_panel) * kPanelColumns;
    const char* next = panel + 1 < run.last_panel ? args.right + run.panel_bytes : run.next;
    if (next == nullptr) next = args.right;
    if (calls >= 4) {
      multiply_panel<Dot, 1>(args, group, run, column, next);
    } else if (calls >= 2) {
      multiply_panel<Dot, 2>(args, group, run, column, next);
    } else {
      multiply_panel<Dot, 4>(args, group, run, column, args.right + kAhead);
    }
  }
}

HWY_INLINE Finish finish_of(const LinearArgs& args) {
  const bool fp32 = args.output_type == OutputType::fp32;
  if (args.fused == Fused::gelu_erf) return fp32 ? Finish::gelu_fp32 : Finish::gelu;
  return fp32 ? Finish::store_fp32 : Finish::store;
}

HWY_INLINE int32_t output_element(const LinearArgs& args, size_t element) {
  return args.output_type == OutputType::fp32 ? 4 : static_cast<int32_t>(element);
}

/// The left operand as it lies in memory.
template <class Dot>
class DirectLinear {
  using Element = typename Dot::Element;
  static constexpr int32_t kBlocksAtOnce = 10;  // their activations stay in the second-level cache

 public:
  static HWY_INLINE void run(const LinearArgs& args) {
    PanelRun run;
    run.left_stride = args.input_stride;
    run.panels = static_cast<const char*>(args.weights);
    run.steps = args.k / (4 / static_cast<int>(sizeof(Element)));
    run.panel_bytes = static_cast<int64_t>(run.steps) * kStepBytes;
    run.last_panel = args.n / kPanelColumns;
    run.start = args.bias;
    run.output_stride = args.output_stride;
    run.output_element = output_element(args, sizeof(Element));
    run.finish = finish_of(args);
    const RowSplit split(args.rows, Dot::kMaxRows);
    for (int32_t first = 0; first < split.blocks(); first += kBlocksAtOnce) {
      const bool last = first + kBlocksAtOnce >= split.blocks();
      const BlockGroup group{split, first, last ? split.blocks() : first + kBlocksAtOnce};
      run.left = static_cast<const char*>(args.input) + group.start() * args.input_stride;
      run.output = static_cast<char*>(args.output) + group.start() * args.output_stride;
      run.next = static_cast<const char*>(last ? args.next_weights : args.weights);
      multiply_panels<Dot>(run, group);
    }
  }
};

/// Widens `count` values of k of some rows to fp32.
HWY_INLINE void widen_rows(const char* input, int64_t input_stride, int32_t rows, int32_t count,
                           float* widened, int64_t widened_stride) {
  const FloatTag d;
  for (int32_t i = 0; i < rows; ++i) {
    const auto* from = reinterpret_cast<const uint16_t*>(input + i * input_stride);
    float* to = widened + i * widened_stride;
    for (int32_t k = 0; k < count; k += kLanes) hn::StoreU(load(d, from + k), d, to + k);
  }
}

/// The left operand widened to fp32 first, some rows and a range of k at a time. Where k takes
/// several ranges, the sums wait in memory between them as the fp32 numbers that they are: the
/// chain of multiply-adds is the same.
template <class Dot>
class WidenedLinear {
  using Element = typename Dot::Element;
  static constexpr int32_t kBlocksAtOnce = Dot::kMaxRows > 8 ? 4 : 8;
  static constexpr int32_t kRows = kBlocksAtOnce * Dot::kMaxRows;
  static constexpr int32_t kRange = 512;    // values of k
  static constexpr int32_t kColumns = 256;  // of sums that wait
  // Off the powers of two, which would share cache sets.
  static constexpr int32_t kLeftStride = kRange + 16, kWaitingStride = kColumns + 16;

 public:
  HWY_INLINE explicit WidenedLinear(const LinearArgs& args) : args_(args) {}

  HWY_INLINE void run() {
    const RowSplit split(args_.rows, Dot::kMaxRows);
    for (int32_t first = 0; first < split.blocks(); first += kBlocksAtOnce) {
      const bool last = first + kBlocksAtOnce >= split.blocks();
      run_group({split, first, last ? split.blocks() : first + kBlocksAtOnce});
    }
  }

 private:
  HWY_INLINE void run_group(const BlockGroup& group) {
    if (args_.k <= kRange) {
      widen(group, 0);
      return run_range(group, 0, args_.n, 0);
    }
    for (int32_t column = 0; column < args_.n; column += kColumns) {
      for (int32_t k = 0; k < args_.k; k += kRange) {
        widen(group, k);
        run_range(group, column, args_.n - column < kColumns ? args_.n : column + kColumns, k);
      }
    }
  }

  HWY_INLINE int32_t range_from(int32_t k) const {
    return args_.k - k < kRange ? args_.k - k : kRange;
  }

  HWY_INLINE void widen(const BlockGroup& group, int32_t k) {
    const char* input = static_cast<const char*>(args_.input) + group.start() * args_.input_stride;
    widen_rows(input + k * static_cast<int64_t>(sizeof(Element)), args_.input_stride, group.rows(),
               range_from(k), left_, kLeftStride);
  }

  /// Columns [column, end) of the group, the range of k from `k`, whose left operand is at hand.
  HWY_INLINE void run_range(const BlockGroup& group, int32_t column, int32_t end, int32_t k) {
    PanelRun run;
    run.left = reinterpret_cast<const char*>(left_);
    run.left_stride = kLeftStride * sizeof(float);
    run.panel_bytes = static_cast<int64_t>(args_.k) / 2 * kStepBytes;
    run.panels = static_cast<const char*>(args_.weights) + static_cast<int64_t>(k) / 2 * kStepBytes;
    run.first_panel = column / kPanelColumns;
    run.last_panel = end / kPanelColumns;
    run.steps = range_from(k) / 2;
    run.next = static_cast<const char*>(end == args_.n ? args_.next_weights : nullptr);
    run.start = k == 0 ? args_.bias + column : waiting_;
    run.start_stride = k == 0 ? 0 : kWaitingStride;
    if (k + kRange < args_.k) {
      run.output = reinterpret_cast<char*>(waiting_);
      run.output_stride = kWaitingStride * sizeof(float);
      run.finish = Finish::store_fp32;
    } else {
      run.output_element = output_element(args_, sizeof(Element));
      run.output = static_cast<char*>(args_.output) + group.start() * args_.output_stride +
                   static_cast<int64_t>(column) * run.output_element;
      run.output_stride = args_.output_stride;
      run.finish = finish_of(args_);
    }
    multiply_panels<Dot>(run, group);
  }

  const LinearArgs& args_;
  HWY_ALIGN float left_[kRows * kLeftStride];
  HWY_ALIGN float waiting_[kRows * kWaitingStride];
};

template <class Dot>
HWY_INLINE void run_linear(const LinearArgs& args) {
  if constexpr (sizeof(typename Dot::Left) == sizeof(typename Dot::Element)) {
    DirectLinear<Dot>::run(args);
  } else {
    WidenedLinear<Dot>(args).run();
  }
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
