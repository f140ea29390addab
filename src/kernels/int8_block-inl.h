// Blocks of int32 sums for the micro-kernel: what int8 linear layers start from, and what becomes
// of finished sums. See vector_math-inl.h for the linkage.
#pragma once

#include <cstdint>

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#include "kernels/elements-inl.h"
#include "kernels/int8.h"
#include "kernels/micro_kernel-inl.h"

namespace tilewise::kernels::HWY_NAMESPACE {
namespace {

// As many int32 as a vector of Floats has. Highway emulates SSE2 with arrays, too slow for the
// sums.
#if HWY_TARGET == HWY_EMU128 && defined(__SSE2__)
using Ints = __m128i;

HWY_INLINE Ints load_ints(const int32_t* from) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
HWY_INLINE void store_ints(Ints v, int32_t* to) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(to), v);
}
HWY_INLINE Ints multiple(const int32_t* from, int32_t factor) {
  // Without a sign, for the sums of a file that lies may be anything, and must only wrap around.
  const auto times = [&](int i) {
    return static_cast<int32_t>(static_cast<uint32_t>(from[i]) * static_cast<uint32_t>(factor));
  };
  return _mm_setr_epi32(times(0), times(1), times(2), times(3));
}
HWY_INLINE Floats to_floats(Ints v) {
  HWY_ALIGN float floats[4];
  _mm_store_ps(floats, _mm_cvtepi32_ps(v));
  return hn::Load(FloatTag(), floats);
}
#else
using IntTag = hn::RebindToSigned<FloatTag>;
using Ints = hn::Vec<IntTag>;

HWY_INLINE Ints load_ints(const int32_t* from) { return hn::LoadU(IntTag(), from); }
HWY_INLINE void store_ints(Ints v, int32_t* to) { hn::StoreU(v, IntTag(), to); }
HWY_INLINE Ints multiple(const int32_t* from, int32_t factor) {
  return hn::Mul(load_ints(from), hn::Set(IntTag(), factor));
}
HWY_INLINE Floats to_floats(Ints v) { return hn::ConvertTo(FloatTag(), v); }
#endif

template <int kRows, int kVectors>
struct IntSums {
  Ints v[kRows][kVectors];
};

/// A block of int32 sums of an int8 linear layer.
struct Int8Block : BlockPlace {
  const int32_t* column_sums = nullptr;
  int32_t column_factor = 0;         ///< sums start from this multiple of the column sums,
  const int32_t* waiting = nullptr;  ///< or, if not null, from where others stopped
  int64_t waiting_stride = 0;        ///< int32s between rows
  bool stops = false;                ///< the sums themselves are stored
  const float* input_scales = nullptr;
  const float* weight_scales = nullptr;
  const float* bias = nullptr;
  Fused fused = Fused::none;

  using Sum = int32_t;
  template <int kRows, int kVectors>
  using Sums = IntSums<kRows, kVectors>;

  HWY_INLINE void move(int64_t rows, int64_t columns) {
    move_place(rows, columns);
    column_sums += columns;
    if (waiting != nullptr) waiting += rows * waiting_stride + columns;
    input_scales += rows;
    weight_scales += columns;
    bias += columns;
  }
  HWY_INLINE void start_from(const int32_t* sums, int64_t stride) {
    waiting = sums;
    waiting_stride = stride;
  }
  HWY_INLINE void stop_at(int32_t* sums, int64_t stride) {
    output = reinterpret_cast<char*>(sums);
    output_stride = stride * static_cast<int64_t>(sizeof(int32_t));
    output_element = sizeof(int32_t);
    stops = true;
  }
};

template <int kRows, int kVectors>
HWY_INLINE void start_block(const Int8Block& args, IntSums<kRows, kVectors>& sums) {
  if (args.waiting == nullptr) {
    HWY_UNROLL(8)
    for (int j = 0; j < kVectors; ++j) {
      const Ints start = multiple(args.column_sums + j * kLanes, args.column_factor);
      HWY_UNROLL(16)
      for (int i = 0; i < kRows; ++i) sums.v[i][j] = start;
    }
  } else {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(8)
      for (int j = 0; j < kVectors; ++j) {
        sums.v[i][j] = load_ints(args.waiting + i * args.waiting_stride + j * kLanes);
      }
    }
  }
}

/// One row and vector: sums * (input scale * weight scale) + bias.
HWY_INLINE Floats scaled(const Int8Block& args, int row, int vector, Ints sums) {
  const FloatTag d;
  const Floats scale = hn::Mul(hn::Set(d, args.input_scales[row]),
                               hn::LoadU(d, args.weight_scales + vector * kLanes));
  return hn::MulAdd(to_floats(sums), scale, hn::LoadU(d, args.bias + vector * kLanes));
}

/// bf16 or the sums themselves, whatever the Element of the weights.
template <class Element, int kRows, int kVectors>
HWY_INLINE void finish_block(const Int8Block& args, IntSums<kRows, kVectors>& sums) {
  const FloatTag d;
  if (args.stops) {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      auto* row = reinterpret_cast<int32_t*>(args.output + i * args.output_stride);
      HWY_UNROLL(8)
      for (int j = 0; j < kVectors; ++j) store_ints(sums.v[i][j], row + j * kLanes);
    }
  } else if (args.fused == Fused::none) {
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      auto* row = reinterpret_cast<uint16_t*>(args.output + i * args.output_stride);
      HWY_UNROLL(8)
      for (int j = 0; j < kVectors; j += 2) {
        store_pair_of_numbers(d, scaled(args, i, j, sums.v[i][j]),
                              scaled(args, i, j + 1, sums.v[i][j + 1]), row + j * kLanes);
      }
    }
  } else {
    // GELU needs registers and many instructions: a loop over rows that wait in memory.
    HWY_ALIGN int32_t waiting[kRows * kPanelColumns];
    HWY_UNROLL(16)
    for (int i = 0; i < kRows; ++i) {
      HWY_UNROLL(8)
      for (int j = 0; j < kVectors; ++j) {
        store_ints(sums.v[i][j], waiting + (i * kVectors + j) * kLanes);
      }
    }
    HWY_UNROLL(1)
    for (int i = 0; i < kRows; ++i) {
      auto* row = reinterpret_cast<uint16_t*>(args.output + i * args.output_stride);
      HWY_UNROLL(4)
      for (int j = 0; j < kVectors; j += 2) {
        const int32_t* from = waiting + (i * kVectors + j) * kLanes;
        const Floats low = GeluFast(d, scaled(args, i, j, load_ints(from)));
        const Floats high = GeluFast(d, scaled(args, i, j + 1, load_ints(from + kLanes)));
        store_pair_of_numbers(d, low, high, row + j * kLanes);
      }
    }
  }
}

}  // namespace
}  // namespace tilewise::kernels::HWY_NAMESPACE
