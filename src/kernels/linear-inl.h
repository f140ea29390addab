// linear.h over the micro-kernel: which rows, panels and steps meet when, so that caches and
// prefetchers have it easy. See vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/linear.h"
#include "kernels/micro_kernel-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

/// One range of k of all panels in [first_panel, last_panel), for one group of rows.
struct PanelRun {
  const char* left = nullptr;
  int64_t left_stride = 0;
  const char* panels = nullptr;  ///< of the layer, at the range's first step
  int64_t panel_bytes = 0;       ///< between panels
  int32_t first_panel = 0;
  int32_t last_panel = 0;
  int32_t steps = 0;
  const char* next = nullptr;    ///< what is read after the last panel; may be null
  const float* start = nullptr;  ///< first row, first column of the first panel
  int64_t start_stride = 0;      ///< floats
  char* output = nullptr;        ///< likewise
  int64_t output_stride = 0;     ///< bytes
  int32_t output_element = 4;    ///< bytes
  Finish finish = Finish::store;
};

template <class Dot, int kLines>
HWY_INLINE void multiply_panel(BlockArgs args, const RowSplit& split, const PanelRun& run,
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
    for (int32_t block = 0; block < split.blocks; ++block) {
      const int32_t rows = split.rows(block);
      args.prefetch = prefetch + fetched;
      kBlocks<Dot, kLines>.of[rows](args);
      fetched = fetched + per_call < panel_bytes ? fetched + per_call : 0;
      args.left += rows * args.left_stride;
      args.output += rows * args.output_stride;
      args.start += rows * args.start_stride;
    }
  }
}

template <class Dot>
HWY_INLINE void multiply_panels(const PanelRun& run, int32_t rows) {
  constexpr int kCallsPerBlock = kPanelColumns / (Dot::kVectors * kLanes);
  constexpr int64_t kAhead = 16384;  // bytes: some microseconds of arithmetic, the latency of DRAM
  const RowSplit split(rows, Dot::kMaxRows);
  const int32_t calls = split.blocks * kCallsPerBlock;
  BlockArgs args;
  args.left_stride = run.left_stride;
  args.steps = run.steps;
  args.start_stride = run.start_stride;
  args.output_stride = run.output_stride;
  args.finish = run.finish;
  for (int32_t panel = run.first_panel; panel < run.last_panel; ++panel) {
    args.right = run.panels + panel * run.panel_bytes;
    const int64_t column = static_cast<int64_t>(panel - run.first_panel) * kPanelColumns;
    const bool last = panel + 1 == run.last_panel;
    const char* next = !last                 ? args.right + run.panel_bytes
                       : run.next != nullptr ? run.next
                                             : args.right;
    if (calls >= 4) {
      multiply_panel<Dot, 1>(args, split, run, column, next);
    } else if (calls >= 2) {
      multiply_panel<Dot, 2>(args, split, run, column, next);
    } else {
      multiply_panel<Dot, 4>(args, split, run, column, args.right + kAhead);
    }
  }
}

HWY_INLINE Finish finish_of(const LinearArgs& args) {
  const bool fp32 = args.output_type == OutputType::fp32;
  if (args.fused == Fused::gelu_erf) return fp32 ? Finish::gelu_fp32 : Finish::gelu;
  return fp32 ? Finish::store_fp32 : Finish::store;
}

/// The left operand as it lies in memory.
template <class Dot>
HWY_INLINE void linear_direct(const LinearArgs& args) {
  constexpr int32_t kGroup =
      10 * Dot::kMaxRows;  // their activations stay in the second-level cache
  const int output_element =
      args.output_type == OutputType::fp32 ? 4 : sizeof(typename Dot::Element);
  PanelRun run;
  run.left_stride = args.input_stride;
  run.panels = static_cast<const char*>(args.weights);
  run.steps = args.k / (4 / static_cast<int>(sizeof(typename Dot::Element)));
  run.panel_bytes = static_cast<int64_t>(run.steps) * kStepBytes;
  run.last_panel = args.n / kPanelColumns;
  run.start = args.bias;
  run.output_stride = args.output_stride;
  run.output_element = output_element;
  run.finish = finish_of(args);
  for (int32_t row = 0; row < args.rows; row += kGroup) {
    const int32_t rows = args.rows - row < kGroup ? args.rows - row : kGroup;
    run.left = static_cast<const char*>(args.input) + row * args.input_stride;
    run.output = static_cast<char*>(args.output) + row * args.output_stride;
    run.next = static_cast<const char*>(row + rows < args.rows ? args.weights : args.next_weights);
    multiply_panels<Dot>(run, rows);
  }
}

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
HWY_INLINE void linear_widened(const LinearArgs& args) {
  constexpr int32_t kGroup = 48, kRange = 512, kWaitingColumns = 256;
  constexpr int32_t kLeftStride =
      kRange + 16;  // off the powers of two, which would share cache sets
  constexpr int32_t kWaitingStride = kWaitingColumns + 16;
  HWY_ALIGN float left[kGroup * kLeftStride];
  HWY_ALIGN float waiting[kGroup * kWaitingStride];

  const bool whole = args.k <= kRange;
  const int32_t column_range = whole ? args.n : kWaitingColumns;
  const int output_element =
      args.output_type == OutputType::fp32 ? 4 : sizeof(typename Dot::Element);
  PanelRun run;
  run.left = reinterpret_cast<const char*>(left);
  run.left_stride = kLeftStride * sizeof(float);
  run.panel_bytes = static_cast<int64_t>(args.k) / 2 * kStepBytes;
  for (int32_t row = 0; row < args.rows; row += kGroup) {
    const int32_t rows = args.rows - row < kGroup ? args.rows - row : kGroup;
    const char* input = static_cast<const char*>(args.input) + row * args.input_stride;
    char* output = static_cast<char*>(args.output) + row * args.output_stride;
    for (int32_t column = 0; column < args.n; column += column_range) {
      const int32_t end = args.n - column < column_range ? args.n : column + column_range;
      run.first_panel = column / kPanelColumns;
      run.last_panel = end / kPanelColumns;
      for (int32_t k = 0; k < args.k; k += kRange) {
        const bool first = k == 0, last = k + kRange >= args.k;
        const int32_t count = last ? args.k - k : kRange;
        if (!whole || column == 0)
          widen_rows(input + 2 * k, args.input_stride, rows, count, left, kLeftStride);
        run.panels =
            static_cast<const char*>(args.weights) + static_cast<int64_t>(k) / 2 * kStepBytes;
        run.steps = count / 2;
        run.next = last ? run.panels + run.last_panel * run.panel_bytes
                        : run.panels + run.first_panel * run.panel_bytes;
        run.start = first ? args.bias + column : waiting;
        run.start_stride = first ? 0 : kWaitingStride;
        run.output = last ? output + static_cast<int64_t>(column) * output_element
                          : reinterpret_cast<char*>(waiting);
        run.output_stride =
            last ? args.output_stride : kWaitingStride * static_cast<int64_t>(sizeof(float));
        run.output_element = last ? output_element : 4;
        run.finish = last ? finish_of(args) : Finish::store_fp32;
        multiply_panels<Dot>(run, rows);
      }
    }
  }
}

template <class Dot>
HWY_INLINE void run_linear(const LinearArgs& args) {
  if constexpr (sizeof(typename Dot::Left) == sizeof(typename Dot::Element)) {
    linear_direct<Dot>(args);
  } else {
    linear_widened<Dot>(args);
  }
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
