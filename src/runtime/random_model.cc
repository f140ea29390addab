#include "runtime/random_model.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numbers>
#include <random>

#include "artifact/schema.h"
#include "artifact/tensor_names.h"
#include "artifact/writer.h"
#include "kernels/pack.h"

namespace tilewise::runtime {
namespace {

using artifact::DataType;
using artifact::Layout;
using artifact::OutputTensor;
using model::Precision;

std::vector<float> normal(std::mt19937& random, size_t count, float mean, float deviation) {
  std::normal_distribution<float> distribution(mean, deviation);
  std::vector<float> values(count);
  for (float& value : values) value = distribution(random);
  return values;
}

RandomLinear linear(std::mt19937& random, int outputs, int inputs) {
  const float deviation = 1 / std::sqrt(static_cast<float>(inputs));
  return {outputs, inputs, normal(random, size_t(outputs) * inputs, 0, deviation),
          normal(random, outputs, 0, 0.1F)};
}

RandomNorm norm(std::mt19937& random, int width) {
  return {normal(random, width, 1, 0.1F), normal(random, width, 0, 0.1F)};
}

/// How a layer of the int8 artifact runs.
artifact::LinearPrecision int8_plan(int layer, const char* part, const model::EncoderSpec& spec) {
  const std::string name = part;
  artifact::LinearPrecision plan;
  plan.layer = artifact::layer_tensor(layer, part);
  if (layer == 0 && name == "attention_output") plan.precision = Precision::bf16;
  plan.is_smoothed = layer == 0 && name == "qkv";
  // The least value of GELU is -0.17; the other activations here end higher, a gated one nowhere.
  if (name == "ffn_down" && !spec.is_gated) {
    plan.input_floor = spec.activation == model::Activation::relu ? 0 : -0.171F;
  }
  return plan;
}

/// Some inputs count twice, some half; a power of two, so that it rounds nothing.
float smooth_of(const artifact::LinearPrecision& plan, int input) {
  if (!plan.is_smoothed) return 1;
  return input % 3 == 0 ? 2.0F : input % 3 == 1 ? 0.5F : 1.0F;
}

/// weight[n][k] = scale[n] * bytes[n][k] * smooth_of(k), nearly.
struct Int8Linear {
  std::vector<int8_t> bytes;
  std::vector<float> scales;
  std::vector<int32_t> sums;
};

Int8Linear quantize(const RandomLinear& layer, const artifact::LinearPrecision& plan) {
  Int8Linear result;
  for (int n = 0; n < layer.outputs; ++n) {
    const auto value = [&](int k) {
      return layer.weight[size_t(n) * layer.inputs + k] / smooth_of(plan, k);
    };
    float largest = 0;
    for (int k = 0; k < layer.inputs; ++k) largest = std::max(largest, std::abs(value(k)));
    const float scale = largest / 127;
    int32_t sum = 0;
    for (int k = 0; k < layer.inputs; ++k) {
      const auto byte = static_cast<int8_t>(scale > 0 ? std::lround(value(k) / scale) : 0);
      result.bytes.push_back(byte);
      sum += byte;
    }
    result.scales.push_back(scale);
    result.sums.push_back(sum);
  }
  return result;
}

/// The layer with the weights that the bytes stand for.
void round_to_int8(RandomLinear& layer, const artifact::LinearPrecision& plan) {
  if (plan.precision != Precision::int8) return;
  const Int8Linear rounded = quantize(layer, plan);
  for (size_t i = 0; i < layer.weight.size(); ++i) {
    layer.weight[i] = rounded.scales[i / layer.inputs] * static_cast<float>(rounded.bytes[i]) *
                      smooth_of(plan, static_cast<int>(i % layer.inputs));
  }
}

template <class T>
std::vector<std::byte> bytes_of(const std::vector<T>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(T));
  std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

std::vector<std::byte> bf16_bytes_of(const std::vector<float>& values) {
  std::vector<std::byte> bytes(values.size() * sizeof(uint16_t));
  for (size_t i = 0; i < values.size(); ++i) {
    const uint16_t rounded = kernels::to_bf16(values[i]);
    std::memcpy(&bytes[i * sizeof rounded], &rounded, sizeof rounded);
  }
  return bytes;
}

/// Collects the tensors in the order of use.
class Tensors {
 public:
  explicit Tensors(Precision precision) : precision_(precision) {}

  void floats(const std::string& name, std::vector<int64_t> shape,
              const std::vector<float>& values) {
    list.push_back({name, DataType::f32, Layout::rows, std::move(shape), bytes_of(values)});
  }
  void table(const std::string& name, std::vector<int64_t> shape,
             const std::vector<float>& values) {
    const bool bf16 = precision_ != Precision::fp32;
    list.push_back({name, bf16 ? DataType::bf16 : DataType::f32, Layout::rows, std::move(shape),
                    bf16 ? bf16_bytes_of(values) : bytes_of(values)});
  }
  void norm(const std::string& name, const RandomNorm& values) {
    floats(name + ".gain", {int64_t(values.gain.size())}, values.gain);
    floats(name + ".bias", {int64_t(values.bias.size())}, values.bias);
  }
  void linear(const std::string& name, const RandomLinear& layer, Precision precision) {
    list.push_back({name + ".weight",
                    precision == Precision::bf16 ? DataType::bf16 : DataType::f32,
                    Layout::panels,
                    {layer.outputs, layer.inputs},
                    kernels::pack_panels(layer.weight, layer.outputs, layer.inputs, precision)});
    padded_floats(name + ".bias", layer.bias);
  }
  void padded_floats(const std::string& name, std::vector<float> values) {
    values.resize(kernels::padded_n(int64_t(values.size())));
    floats(name, {int64_t(values.size())}, values);
  }
  /// What an int8 model keeps in bf16.
  void activation_linear(const std::string& name, const RandomLinear& layer) {
    linear(name, layer, precision_ == Precision::fp32 ? Precision::fp32 : Precision::bf16);
  }
  void encoder_linear(const RandomLinear& layer, const artifact::LinearPrecision& plan) {
    if (precision_ != Precision::int8) return linear(plan.layer, layer, precision_);
    linears.push_back(plan);
    if (plan.precision != Precision::int8) return linear(plan.layer, layer, plan.precision);
    const Int8Linear bytes = quantize(layer, plan);
    const std::string& name = plan.layer;
    list.push_back({name + ".weight",
                    DataType::s8,
                    Layout::panels,
                    {layer.outputs, layer.inputs},
                    kernels::pack_int8_panels(bytes.bytes, layer.outputs, layer.inputs)});
    padded_floats(name + ".scale", bytes.scales);
    std::vector<int32_t> sums = bytes.sums;
    sums.resize(kernels::padded_n(layer.outputs));
    list.push_back(
        {name + ".sums", DataType::s32, Layout::rows, {int64_t(sums.size())}, bytes_of(sums)});
    if (plan.is_smoothed) {
      std::vector<float> smooth(kernels::padded_k(layer.inputs, Precision::int8), 1.0F);
      for (int k = 0; k < layer.inputs; ++k) smooth[k] = smooth_of(plan, k);
      floats(name + ".smooth", {int64_t(smooth.size())}, smooth);
    }
    // What the floor takes from the inputs.
    std::vector<float> bias = layer.bias;
    for (size_t i = 0; i < layer.weight.size(); ++i) {
      bias[i / layer.inputs] += plan.input_floor.value_or(0) * layer.weight[i];
    }
    padded_floats(name + ".bias", bias);
  }

  std::vector<artifact::LinearPrecision> linears;

  std::vector<OutputTensor> list;

 private:
  Precision precision_;
};

/// Q, K and V under each other, each padded to the section, Q scaled for a softmax in base 2.
RandomLinear fuse(const RandomLayer& layer, int section, int head_dim) {
  const int hidden = layer.query.inputs;
  RandomLinear fused{3 * section, hidden, std::vector<float>(size_t(3) * section * hidden),
                     std::vector<float>(3 * section)};
  const RandomLinear* parts[] = {&layer.query, &layer.key, &layer.value};
  for (int part = 0; part < 3; ++part) {
    const double scale = part == 0 ? std::numbers::log2e / std::sqrt(head_dim) : 1.0;
    for (int row = 0; row < hidden; ++row) {
      const size_t target = size_t(part) * section + row;
      for (int i = 0; i < hidden; ++i) {
        fused.weight[target * hidden + i] =
            static_cast<float>(parts[part]->weight[size_t(row) * hidden + i] * scale);
      }
      fused.bias[target] = static_cast<float>(parts[part]->bias[row] * scale);
    }
  }
  return fused;
}

/// Adds zero inputs up to `inputs`.
RandomLinear widen(const RandomLinear& layer, int inputs) {
  RandomLinear wide{layer.outputs, inputs, std::vector<float>(size_t(layer.outputs) * inputs),
                    layer.bias};
  for (int row = 0; row < layer.outputs; ++row) {
    for (int i = 0; i < layer.inputs; ++i) {
      wide.weight[size_t(row) * inputs + i] = layer.weight[size_t(row) * layer.inputs + i];
    }
  }
  return wide;
}

/// By key - query, in base 2, a row a head with distance 0 in its middle.
void write_relative_bias(const RandomModel& model, Tensors& tensors) {
  const auto span = static_cast<int>(artifact::relative_span(model.spec));
  std::vector<float> table(size_t(model.spec.heads) * 2 * span);
  for (int head = 0; head < model.spec.heads; ++head) {
    for (int d = 1 - model.spec.max_positions; d < model.spec.max_positions; ++d) {
      table[size_t(head) * 2 * span + span + d] =
          static_cast<float>(model.bias_of(head, d) * std::numbers::log2e);
    }
  }
  tensors.floats("attention.relative_bias", {model.spec.heads, 2 * span}, table);
}

void write_rotary(const model::EncoderSpec& spec, const std::string& name, double base,
                  Tensors& tensors) {
  const int half = spec.head_dim() / 2;
  std::vector<float> cosines, sines;
  for (int position = 0; position < spec.max_positions; ++position) {
    for (int i = 0; i < half; ++i) {
      const double angle = position * std::pow(base, -double(i) / half);
      cosines.push_back(static_cast<float>(std::cos(angle)));
      sines.push_back(static_cast<float>(std::sin(angle)));
    }
  }
  tensors.floats(name + ".cosines", {spec.max_positions, half}, cosines);
  tensors.floats(name + ".sines", {spec.max_positions, half}, sines);
}

/// All that comes before the layers.
void write_embeddings(const RandomModel& model, Tensors& tensors) {
  const model::EncoderSpec& spec = model.spec;
  const int64_t width = spec.embedding_width();
  tensors.table("embeddings.word", {spec.vocab_size, width}, model.word);
  if (spec.positions == model::Positions::learned) {
    tensors.floats("embeddings.position", {spec.max_positions, width}, model.position);
  }
  if (spec.token_types > 0)
    tensors.floats("embeddings.type", {spec.token_types, width}, model.type);
  tensors.norm("embeddings.norm", model.embedding_norm);
  if (spec.embedding_size > 0) tensors.activation_linear("embeddings.projection", model.projection);
  if (spec.relative_buckets > 0) write_relative_bias(model, tensors);
  if (spec.positions == model::Positions::rotary) {
    write_rotary(spec, "rotary.global", spec.rotary_base, tensors);
    if (spec.window > 0) {
      write_rotary(spec, "rotary.local", spec.rotary_base_local, tensors);
    }
  }
}

artifact::Metadata metadata_of(const RandomModel& model, Precision precision) {
  artifact::Metadata metadata;
  metadata.spec = model.spec;
  metadata.precision = precision;
  metadata.compiler = "test";
  const auto add_task = [&](const char* name, model::TaskKind kind,
                            model::Pooling pooling) -> artifact::TaskEntry& {
    artifact::TaskEntry entry;
    entry.task.name = name;
    entry.task.kind = kind;
    entry.task.pooling = pooling;
    entry.task.max_tokens = model.spec.max_positions;
    metadata.tasks.push_back(entry);
    return metadata.tasks.back();
  };
  add_task("vector", model::TaskKind::embedding, model::Pooling::mean);
  add_task("first", model::TaskKind::embedding, model::Pooling::cls);
  auto& classes = add_task("classes", model::TaskKind::multiclass, model::Pooling::mean);
  for (int i = 0; i < kRandomClasses; ++i)
    classes.task.labels.push_back("label" + std::to_string(i));
  classes.has_dense = true;
  classes.dense_activation = model.dense_activation;
  classes.dense_norm = model.dense_norm.has_value();
  return metadata;
}

}  // namespace

RandomModel RandomModel::make(const model::EncoderSpec& spec, uint32_t seed) {
  std::mt19937 random(seed);
  RandomModel result;
  result.spec = spec;
  const int hidden = spec.hidden;
  const int width = spec.embedding_width();
  result.word = normal(random, size_t(spec.vocab_size) * width, 0, 0.05F);
  result.position = normal(random, size_t(spec.max_positions) * width, 0, 0.02F);
  result.type = normal(random, size_t(spec.token_types) * width, 0, 0.02F);
  result.embedding_norm = norm(random, width);
  if (spec.embedding_size > 0) result.projection = linear(random, hidden, width);
  if (spec.relative_buckets > 0) {
    result.relative_bias = normal(random, size_t(spec.heads) * (2 * spec.max_positions - 1), 0, 1);
  }
  for (int i = 0; i < spec.layers; ++i) {
    RandomLayer layer;
    for (RandomLinear* part : {&layer.query, &layer.key, &layer.value, &layer.attention_output}) {
      *part = linear(random, hidden, hidden);
    }
    layer.ffn_up = linear(random, spec.ffn_up_outputs(), hidden);
    layer.ffn_down = linear(random, hidden, spec.intermediate);
    layer.attention_norm = norm(random, hidden);
    layer.ffn_norm = norm(random, hidden);
    result.layers.push_back(std::move(layer));
  }
  result.dense = linear(random, hidden, hidden);
  result.output = linear(random, kRandomClasses, hidden);
  result.final_norm = norm(random, hidden);
  return result;
}

RandomModel RandomModel::rounded_to_int8() const {
  RandomModel rounded = *this;
  for (int i = 0; i < spec.layers; ++i) {
    RandomLayer& layer = rounded.layers[i];
    const auto round = [&](const char* part, std::initializer_list<RandomLinear*> linears) {
      for (RandomLinear* linear : linears) {
        round_to_int8(*linear, int8_plan(i, part, spec));
      }
    };
    round("qkv", {&layer.query, &layer.key, &layer.value});
    round("attention_output", {&layer.attention_output});
    round("ffn_up", {&layer.ffn_up});
    round("ffn_down", {&layer.ffn_down});
  }
  return rounded;
}

std::string RandomModel::write(Precision precision, const std::string& path,
                               const std::string& without_tensor) const {
  const int section = static_cast<int>(kernels::padded_n(spec.hidden));
  Tensors tensors(precision);
  write_embeddings(*this, tensors);
  for (int i = 0; i < spec.layers; ++i) {
    const RandomLayer& layer = layers[i];
    const auto linear = [&](const char* part, const RandomLinear& values) {
      tensors.encoder_linear(values, int8_plan(i, part, spec));
    };
    linear("qkv", fuse(layer, section, spec.head_dim()));
    linear("attention_output", widen(layer.attention_output, section));
    if (spec.has_attention_norm(i)) {
      tensors.norm(artifact::layer_tensor(i, "attention_norm"), layer.attention_norm);
    }
    linear("ffn_up", layer.ffn_up);
    linear("ffn_down", layer.ffn_down);
    tensors.norm(artifact::layer_tensor(i, "ffn_norm"), layer.ffn_norm);
  }
  if (spec.norm_placement == model::NormPlacement::pre) tensors.norm("final_norm", final_norm);
  tensors.linear(artifact::head_tensor("classes", "dense"), dense, Precision::fp32);
  if (dense_norm) tensors.norm(artifact::head_tensor("classes", "dense.norm"), *dense_norm);
  tensors.linear(artifact::head_tensor("classes", "output"), output, Precision::fp32);
  std::erase_if(tensors.list, [&](const OutputTensor& t) { return t.name == without_tensor; });
  artifact::Metadata metadata = metadata_of(*this, precision);
  metadata.linears = tensors.linears;
  const Status written = artifact::write(path, metadata, tensors.list);
  return written.ok() ? path : "cannot write: " + written.message();
}

}  // namespace tilewise::runtime
