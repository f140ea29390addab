// The register-blocked heart of the linear layers and of attention, with the dot-product
// instruction as its parameter.
//
// A block is kRows rows x Dot::kVectors vectors of sums (fp32, or int32 of bytes), all in
// registers. One step takes one dword of each of the panel's columns (linear.h) and the matching
// values of k of every row:
//
//   struct Dot {
//     using Block = BlockArgs;  // what a block is told, with the type of its sums
//     using Element = float;    // of weights and activations: float, uint16_t (bf16) or uint8_t
//     using Left = float;       // of the left operand in memory
//     static constexpr int kMaxRows, kVectors;
//     static constexpr int kLeftStep;  // bytes of the left operand that a step takes
//     // sum[i][j] += left(row i) * right vector j, rows and vectors in any order, k ascending
//     template <int kRows, int kWidth>
//     static void step(const Rows<kRows>& left, int64_t offset, const char* right,
//                      Block::Sums<kRows, kWidth>& sum);
//     // Only where Left is not Element: how linear layers convert `count` values of k of a row,
//     // at most kRange, to at most kRangeBytes bytes.
//     static constexpr int kRange, kRangeBytes;
//     static void convert(const char* from, int32_t count, Left* to);
//   };
//
// Everything here has internal linkage, see vector_math-inl.h.
#pragma once

#include <cstdint>

#include "kernels/elements-inl.h"
#include "kernels/gelu-inl.h"
#include "kernels/linear.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

using FloatTag = hn::ScalableTag<float>;
using Floats = hn::Vec<FloatTag>;

constexpr int kLanes = static_cast<int>(hn::MaxLanes(FloatTag()));
constexpr int kStepBytes = kPanelColumns * 4;  // between the steps of a panel
constexpr int kCacheLine = 64;

template <int kRows, int kVectors>
struct Sums {
  Floats v[kRows][kVectors];
};

/// Addresses of up to 15 rows from five registers and the stride: base + {0, 1, 2} * stride is an
/// addressing mode.
template <int kRows>
struct Rows {
  static constexpr int kBases = (kRows + 2) / 3;
  const char* base[kBases];
  int64_t stride;

  HWY_INLINE Rows(const char* first, int64_t row_stride) : stride(row_stride) {
    HWY_UNROLL(8)
    for (int i = 0; i < kBases; ++i) base[i] = first + 3 * i * row_stride;
  }
  HWY_INLINE const char* row(int i) const { return base[i / 3] + i % 3 * stride; }
  HWY_INLINE void advance(int64_t bytes) {
    HWY_UNROLL(8)
    for (int i = 0; i < kBases; ++i) base[i] += bytes;
  }
};

/// What becomes of finished sums.
enum class Finish {
  store_fp32,
  store,  ///< as elements
  gelu_fp32,
  gelu,   ///< as elements
  scale,  ///< each row by its own factor, as elements
};

/// Where a block of any kind reads and writes.
struct BlockPlace {
  const char* left = nullptr;      ///< first row
  int64_t left_stride = 0;         ///< bytes
  const char* right = nullptr;     ///< first step of the panel, or of a later part of its columns
  int32_t steps = 0;               ///< even
  const char* prefetch = nullptr;  ///< kLines cache lines from here are fetched every two steps
  char* output = nullptr;
  int64_t output_stride = 0;   ///< bytes
  int32_t output_element = 4;  ///< bytes

  HWY_INLINE void move_place(int64_t rows, int64_t columns) {
    left += rows * left_stride;
    output += rows * output_stride + columns * output_element;
  }
};

/// A block of fp32 sums.
struct BlockArgs : BlockPlace {
  const float* start = nullptr;  ///< what the sums start from
  int64_t start_stride = 0;      ///< floats between rows; 0 for a bias
  const float* scale = nullptr;  ///< a factor a row, for Finish::scale
  Finish finish = Finish::store;

  using Sum = float;
  template <int kRows, int kVectors>
  using Sums = HWY_NAMESPACE::Sums<kRows, kVectors>;

  /// To a later block of the same run; `right` is the caller's.
  HWY_INLINE void move(int64_t rows, int64_t columns) {
    move_place(rows, columns);
    start += rows * start_stride + columns;
  }
  /// The sums go on from where others stopped / stop there.
  HWY_INLINE void start_from(const float* sums, int64_t stride) {
    start = sums;
    start_stride = stride;
  }
  HWY_INLINE void stop_at(float* sums, int64_t stride) {
    output = reinterpret_cast<char*>(sums);
    output_stride = stride * static_cast<int64_t>(sizeof(float));
    output_element = sizeof(float);
    finish = Finish::store_fp32;
  }
};

template <int kRows, int kVectors>
HWY_INLINE void start_block(const BlockArgs& args, Sums<kRows, kVectors>& sums) {
  const FloatTag d;
  HWY_UNROLL(16)
  for (int i = 0; i < kRows; ++i) {
    HWY_UNROLL(8)
    for (int j = 0; j < kVectors; ++j) {
      sums.v[i][j] = hn::LoadU(d, args.start + i * args.start_stride + j * kLanes);
    }
  }
}

template <class Element, int kRows, int kVectors>
HWY_INLINE void finish_block(const BlockArgs& args, Sums<kRows, kVectors>& sums) {
  const FloatTag d;
  if (kVectors == 1 || args.finish == Finish::store_fp32) {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      float* row = reinterpret_cast<float*>(args.output + i * args.output_stride);
      HWY_UNROLL(8)
      for (int j = 0; j < kVectors; ++j) hn::Store(sums.v[i][j], d, row + j * kLanes);
    }
  } else if (args.finish == Finish::store || args.finish == Finish::scale) {
    if (args.finish == Finish::scale) {
      HWY_UNROLL(16)
      for (int i = 0; i < kRows; ++i) {
        const Floats factor = hn::Set(d, args.scale[i]);
        HWY_UNROLL(8)
        for (int j = 0; j < kVectors; ++j) sums.v[i][j] = hn::Mul(sums.v[i][j], factor);
      }
    }
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      Element* row = reinterpret_cast<Element*>(args.output + i * args.output_stride);
      HWY_UNROLL(8)
      for (int j = 0; j < kVectors; j += 2) {
        store_pair(d, sums.v[i][j], sums.v[i][j + 1], row + j * kLanes);
      }
    }
  } else {
    // GELU needs registers and many instructions: a loop over rows that wait in memory.
    HWY_ALIGN float waiting[kRows * kPanelColumns];
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(8)
      for (int j = 0; j < kVectors; ++j) {
        hn::Store(sums.v[i][j], d, waiting + (i * kVectors + j) * kLanes);
      }
    }
    HWY_UNROLL(1)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(4)
      for (int j = 0; j < kVectors; j += 2) {
        const float* from = waiting + (i * kVectors + j) * kLanes;
        char* row = args.output + i * args.output_stride;
        const Floats low = gelu<Element>(d, hn::Load(d, from));
        const Floats high = gelu<Element>(d, hn::Load(d, from + kLanes));
        if (args.finish == Finish::gelu) {
          store_pair(d, low, high, reinterpret_cast<Element*>(row) + j * kLanes);
        } else {
          store_pair(d, low, high, reinterpret_cast<float*>(row) + j * kLanes);
        }
      }
    }
  }
}

/// One or two lines a pair of steps bring the next panel to the second-level cache; four are the
/// panel in use itself, some way ahead, and go to the first.
template <int kLines>
HWY_INLINE void prefetch_lines(const char* from) {
  HWY_UNROLL(4)
  for (int line = 0; line < kLines; ++line) {
    __builtin_prefetch(from + line * kCacheLine, 0, kLines == 4 ? 3 : 2);
  }
}

/// kVectors is Dot::kVectors, or 1 for fp32 sums of few columns.
template <class Dot, int kRows, int kVectors, int kLines>
HWY_NOINLINE void multiply_block(const typename Dot::Block& args) {
  typename Dot::Block::template Sums<kRows, kVectors> sums;
  start_block(args, sums);
  Rows<kRows> left(args.left, args.left_stride);
  const char* right = args.right;
  const char* prefetch = args.prefetch;
  HWY_UNROLL(1)
  for (int32_t step = args.steps; step > 0; step -= 2) {
    prefetch_lines<kLines>(prefetch);
    Dot::step(left, 0, right, sums);
    Dot::step(left, Dot::kLeftStep, right + kStepBytes, sums);
    prefetch += kLines * kCacheLine;
    left.advance(2 * Dot::kLeftStep);
    right += 2 * kStepBytes;
  }
  finish_block<typename Dot::Element>(args, sums);
}

/// multiply_block for 1 to Dot::kMaxRows rows.
template <class Dot, int kVectors, int kLines>
struct BlockTable {
  void (*of[Dot::kMaxRows + 1])(const typename Dot::Block&) = {};
  constexpr BlockTable() { fill<Dot::kMaxRows>(); }
  template <int kRows>
  constexpr void fill() {
    of[kRows] = multiply_block<Dot, kRows, kVectors, kLines>;
    if constexpr (kRows > 1) fill<kRows - 1>();
  }
};

template <class Dot, int kVectors, int kLines>
constexpr BlockTable<Dot, kVectors, kLines> kBlocks;

/// Rows cut into blocks of nearly equal height, at most `most` each.
class RowSplit {
 public:
  HWY_INLINE RowSplit(int32_t rows, int32_t most)
      : blocks_((rows + most - 1) / most), height_(rows / blocks_), taller_(rows % blocks_) {}

  HWY_INLINE int32_t blocks() const { return blocks_; }
  HWY_INLINE int32_t height(int32_t block) const { return height_ + (block < taller_ ? 1 : 0); }
  /// Rows before a block.
  HWY_INLINE int32_t start(int32_t block) const {
    return block * height_ + (block < taller_ ? block : taller_);
  }

 private:
  int32_t blocks_;
  int32_t height_;
  int32_t taller_;  // so many blocks, the first, have one row more
};

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
