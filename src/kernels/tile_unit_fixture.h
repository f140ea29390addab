// For tests: the two tile units, and activations in memory as the kernels want them.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <utility>

#include <gtest/gtest.h>

#include "base/aligned_buffer.h"
#include "base/isa.h"
#include "kernels/amx_kernels.h"
#include "kernels/pack.h"

namespace tilewise::kernels {

struct TileUnit {
  const char* name;
  void (*begin_pass)();
  void (*end_pass)();
  LinearFn linear;
  Int8LinearFn int8_linear;
  AttentionFn attention;
  AttentionScratchFn attention_scratch;
};

inline const TileUnit kTileModel = {"model",
                                    tile_model::begin_pass,
                                    tile_model::end_pass,
                                    tile_model::linear,
                                    tile_model::int8_linear,
                                    tile_model::attention,
                                    tile_model::attention_scratch};
#if defined(__x86_64__)
inline const TileUnit kTileHardware = {
    "hardware",       amx::begin_pass, amx::end_pass,         amx::linear,
    amx::int8_linear, amx::attention,  amx::attention_scratch};
inline bool has_amx() { return supports(cpu_features(), Isa::amx); }
#else
inline const TileUnit kTileHardware = {"hardware", nullptr, nullptr, nullptr,
                                       nullptr,    nullptr, nullptr};
inline bool has_amx() { return false; }
#endif

/// Runs each test on the model and, where the processor has one, on the real unit; its tiles are
/// configured.
class TileUnitTest : public testing::TestWithParam<const TileUnit*> {
 protected:
  void SetUp() override {
    if (GetParam() == &kTileHardware && !has_amx()) GTEST_SKIP() << "this processor has no AMX";
    GetParam()->begin_pass();
    configured_ = true;
  }
  void TearDown() override {
    if (configured_) GetParam()->end_pass();
  }

 private:
  bool configured_ = false;
};

inline std::string unit_name(const testing::TestParamInfo<const TileUnit*>& info) {
  return info.param->name;
}

/// 64-byte aligned memory.
class Bytes {
 public:
  explicit Bytes(size_t size) {
    auto allocated = AlignedBuffer::allocate(size);
    if (!allocated.ok()) throw std::bad_alloc();
    buffer_ = *std::move(allocated);
  }
  template <class T>
  T* as(int64_t offset = 0) const {
    return reinterpret_cast<T*>(buffer_.data() + offset);
  }
  size_t size() const { return buffer_.size(); }

 private:
  AlignedBuffer buffer_;
};

/// rows x columns of bf16 or fp32 with a padded stride; the spare rows of kRowSlack are filled with
/// NaN.
class Matrix {
 public:
  Matrix(int rows, int columns, size_t element)
      : stride_(round_up(columns * static_cast<int64_t>(element), 64) + 64),
        bytes_(static_cast<size_t>(stride_ * (rows + kRowSlack))) {
    std::memset(bytes_.as<char>(rows * stride_), 0xff, static_cast<size_t>(stride_ * kRowSlack));
  }
  int64_t stride() const { return stride_; }
  template <class T>
  T* row(int r) const {
    return bytes_.as<T>(r * stride_);
  }
  float bf16(int r, int column) const { return from_bf16(row<uint16_t>(r)[column]); }
  void set_bf16(int r, int column, float value) const { row<uint16_t>(r)[column] = to_bf16(value); }

 private:
  int64_t stride_;
  Bytes bytes_;
};

}  // namespace tilewise::kernels
