// The artifacts that testdata/make_golden.py wrote from FORMAT.md, and what they hold. For the
// tests of this folder.
#pragma once

#include <cstddef>
#include <cstring>
#include <span>
#include <string>
#include <vector>

#include "artifact/metadata.h"
#include "artifact/writer.h"

namespace tilewise::artifact {

inline const std::string kGoldenPath = TILEWISE_SOURCE_DIR "/src/artifact/testdata/golden_v1.bin";
inline const std::string kGoldenInt8Path =
    TILEWISE_SOURCE_DIR "/src/artifact/testdata/golden_v2.bin";

inline const std::string kGoldenExitsPath =
    TILEWISE_SOURCE_DIR "/src/artifact/testdata/golden_v3.bin";

inline std::string golden_digits() {
  std::string digits;
  for (int i = 0; i < 4; ++i) digits += "0123456789abcdef";
  return digits;
}

inline Metadata golden_metadata() {
  using namespace model;
  Metadata metadata;
  metadata.compiler = "by hand";
  metadata.precision = Precision::bf16;
  metadata.spec = {.family = "bert",
                   .vocab_size = 3,
                   .hidden = 4,
                   .layers = 1,
                   .heads = 2,
                   .intermediate = 8,
                   .max_positions = 16,
                   .token_types = 2,
                   .activation = Activation::gelu_erf,
                   .norm_epsilon = 1e-12f};
  TaskEntry duplicate;
  duplicate.task.name = "duplicate";
  duplicate.task.kind = TaskKind::binary;
  duplicate.task.input = InputKind::pair;
  duplicate.task.labels = {"dupliqu\u00e9 \"1\"\n\x01"};
  duplicate.task.max_tokens = 16;
  duplicate.task.record_template.fields = {{"title", "COL title VAL "}};
  duplicate.task.threshold = -0.6787f;
  duplicate.task.temperature = 1.5f;
  duplicate.has_dense = true;
  duplicate.dense_activation = Activation::tanh;
  TaskEntry intent;
  intent.task.name = "intent";
  intent.task.kind = TaskKind::multiclass;
  intent.task.pooling = Pooling::cls;
  intent.task.labels = {"\u6ce8\u6587", "\U0001f4e6"};
  intent.task.max_tokens = 8;
  intent.task.truncation = Truncation::only_first;
  intent.task.record_template.separator = "";
  intent.task.out_of_scope = OutOfScope{.below = 9.99f};
  TaskEntry vector;
  vector.task.name = "vector";
  vector.task.kind = TaskKind::embedding;
  vector.task.max_tokens = 16;
  vector.task.normalize = true;
  metadata.tasks = {duplicate, intent, vector};
  metadata.numerics = {{"linear", "bf16"}, {"heads", "fp32"}};
  metadata.provenance = {.architecture = "BertModel",
                         .sources = {{"model.safetensors", golden_digits()}}};
  return metadata;
}

inline Metadata golden_int8_metadata() {
  using enum model::Precision;
  Metadata metadata = golden_metadata();
  metadata.precision = int8;
  const auto linear = [](const char* layer, model::Precision precision, bool is_smoothed,
                         std::optional<float> floor, std::optional<float> error) {
    return LinearPrecision{layer, precision, is_smoothed, floor, error};
  };
  metadata.linears = {linear("layers.0.qkv", int8, true, {}, 0.0123f),
                      linear("layers.0.attention_output", bf16, false, {}, 0.25f),
                      linear("layers.0.ffn_up", int8, false, {}, {}),
                      linear("layers.0.ffn_down", int8, false, -0.17f, 0.0f)};
  metadata.calibration = {{.task = "intent", .rows = 2, .sha256 = golden_digits(), .error = 0.02f},
                          {.task = "vector", .rows = 1, .sha256 = {}, .error = 0}};
  return metadata;
}

/// Version 3: three layers, exits behind the first two, and every key of the encoder off its
/// default.
inline Metadata golden_exits_metadata() {
  Metadata metadata = golden_metadata();
  model::EncoderSpec& spec = metadata.spec;
  spec.layers = 3;
  spec.embedding_size = 6;
  spec.norm_placement = model::NormPlacement::pre;
  spec.is_gated = true;
  spec.positions = model::Positions::rotary;
  spec.rotary_base = 160000;
  spec.rotary_base_local = 10000.5f;
  spec.window = 5;
  spec.global_every = 2;
  spec.relative_buckets = 8;
  spec.relative_distance = 20;
  metadata.tasks[0].dense_norm = true;
  metadata.tasks[0].task.exits = {{.after_layer = 2, .confidence = 0.975f, .temperature = 0.8f}};
  metadata.tasks[1].task.exits = {
      {.after_layer = 1, .confidence = 0.9f, .temperature = 1, .below = 9.25f},
      {.after_layer = 2, .confidence = 1, .temperature = 1.3f, .below = -0.5f}};
  return metadata;
}

inline std::vector<std::byte> golden_pattern(size_t count) {
  std::vector<std::byte> bytes(count);
  for (size_t i = 0; i < count; ++i) bytes[i] = static_cast<std::byte>(7 * i + 3);
  return bytes;
}

inline std::vector<OutputTensor> golden_tensors() {
  const std::vector<float> values = {0.0f, 1.0f, -2.5f, 1e-38f, 3e38f};
  const auto bytes = std::as_bytes(std::span(values));
  return {
      {"tokenizer", DataType::bytes, Layout::rows, {70}, golden_pattern(70)},
      {"embeddings.word", DataType::bf16, Layout::rows, {3, 4}, golden_pattern(24)},
      {"\u00e9", DataType::f32, Layout::rows, {5}, {bytes.begin(), bytes.end()}},
      {"panels", DataType::bf16, Layout::panels, {33, 5}, golden_pattern(4096)},
      {"panels.f32", DataType::f32, Layout::panels, {1, 17}, golden_pattern(4096)},
  };
}

inline std::vector<OutputTensor> golden_int8_tensors() {
  const std::vector<int32_t> values = {1, INT32_MIN, INT32_MAX};
  const auto bytes = std::as_bytes(std::span(values));
  return {
      {"tokenizer", DataType::bytes, Layout::rows, {70}, golden_pattern(70)},
      {"panels", DataType::s8, Layout::panels, {33, 65}, golden_pattern(8192)},
      {"sums", DataType::s32, Layout::rows, {3}, {bytes.begin(), bytes.end()}},
      {"bytes", DataType::s8, Layout::rows, {3, 5}, golden_pattern(15)},
  };
}

/// Bytes at a 64-byte aligned address, as a mapping would give them, that may be changed and cut.
class Image {
 public:
  explicit Image(std::span<const std::byte> bytes)
      : storage_(bytes.size() + 64), size_(bytes.size()) {
    const auto address = reinterpret_cast<uintptr_t>(storage_.data());
    start_ = (64 - address % 64) % 64;
    if (size_ > 0) std::memcpy(data(), bytes.data(), size_);
  }

  std::byte* data() { return storage_.data() + start_; }
  std::span<std::byte> bytes() { return {data(), size_}; }
  std::span<const std::byte> first(size_t count) { return {data(), count}; }
  size_t size() const { return size_; }

  template <class T>
  void put(size_t offset, T value) {
    std::memcpy(data() + offset, &value, sizeof value);
  }

  template <class T>
  T get(size_t offset) {
    T value;
    std::memcpy(&value, data() + offset, sizeof value);
    return value;
  }

 private:
  std::vector<std::byte> storage_;
  size_t start_ = 0;
  size_t size_ = 0;
};

}  // namespace tilewise::artifact
