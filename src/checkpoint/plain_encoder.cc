#include "checkpoint/plain_encoder.h"

#include <algorithm>
#include <cmath>
#include <stdexcept>

namespace tilewise::checkpoint {
namespace {

using model::LinearRole;
using Vector = std::vector<double>;

/// W + scale B A of the updates for this layer and role.
Vector merged(const model::Model& model, const model::LinearWeights& linear, int32_t layer,
              LinearRole role) {
  Vector weight(linear.weight.values.begin(), linear.weight.values.end());
  for (const model::LoraUpdate& update : model.adapter) {
    if (update.layer != layer || update.role != role) continue;
    const auto rank = static_cast<size_t>(update.a.shape[0]);
    const auto inputs = static_cast<size_t>(update.a.shape[1]);
    for (size_t i = 0; i < weight.size(); ++i) {
      for (size_t r = 0; r < rank; ++r) {
        weight[i] += double{update.scale} * update.b.values[i / inputs * rank + r] *
                     update.a.values[r * inputs + i % inputs];
      }
    }
  }
  return weight;
}

Vector linear(const Vector& weight, const model::Tensor& bias, const Vector& x) {
  Vector y(bias.values.begin(), bias.values.end());
  for (size_t i = 0; i < y.size(); ++i) {
    for (size_t k = 0; k < x.size(); ++k) y[i] += weight[i * x.size() + k] * x[k];
  }
  return y;
}

Vector linear(const model::LinearWeights& weights, const Vector& x) {
  return linear({weights.weight.values.begin(), weights.weight.values.end()}, weights.bias, x);
}

Vector norm(const model::NormWeights& weights, double epsilon, Vector x) {
  const auto n = static_cast<double>(x.size());
  double mean = 0;
  double variance = 0;
  for (const double v : x) mean += v / n;
  for (const double v : x) variance += (v - mean) * (v - mean) / n;
  for (size_t i = 0; i < x.size(); ++i) {
    x[i] = (x[i] - mean) / std::sqrt(variance + epsilon) * weights.gain.values[i] +
           weights.bias.values[i];
  }
  return x;
}

Vector add(Vector a, const Vector& b) {
  for (size_t i = 0; i < a.size(); ++i) a[i] += b[i];
  return a;
}

double activate(model::Activation activation, double x) {
  switch (activation) {
    case model::Activation::gelu_erf:
      return 0.5 * x * (1 + std::erf(x / std::sqrt(2.0)));
    case model::Activation::relu:
      return std::max(x, 0.0);
    case model::Activation::tanh:
      return std::tanh(x);
    default:
      throw std::logic_error("not in this model");
  }
}

/// The bucket of a distance (Raffel et al. 2020, "T5", of both directions): a half of them for keys
/// before the query, a half for those behind; in each the first half exact, then logarithmic.
int64_t bucket_of(int64_t distance, const model::EncoderSpec& spec) {
  const int64_t half = spec.relative_buckets / 2;
  const int64_t exact = half / 2;
  const int64_t size = std::abs(distance);
  int64_t bucket = size;
  if (size >= exact) {
    // The number of octaves is a whole one at the borders, where a logarithm need not be.
    const double share =
        std::log(static_cast<double>(size) / static_cast<double>(exact)) /
        std::log(static_cast<double>(spec.relative_distance) / static_cast<double>(exact));
    bucket = exact + static_cast<int64_t>(share * static_cast<double>(half - exact) + 1e-9);
  }
  return std::min(bucket, half - 1) + (distance > 0 ? half : 0);
}

/// Turns each head's halves by the angles of a position (Su et al. 2021). Angles in fp32, like
/// PyTorch's: at some hundred tokens their rounding is larger than all that follows.
void rotate(const model::EncoderSpec& spec, double base, size_t position, Vector& x) {
  const auto half = static_cast<size_t>(spec.head_dim() / 2);
  for (size_t i = 0; i < half; ++i) {
    const auto exponent = static_cast<float>(2 * i) / static_cast<float>(spec.head_dim());
    const auto frequency = static_cast<float>(1 / static_cast<float>(std::pow(base, exponent)));
    const double angle = static_cast<float>(position) * frequency;
    for (size_t first = i; first < x.size(); first += 2 * half) {
      const double a = x[first];
      const double b = x[first + half];
      x[first] = a * std::cos(angle) - b * std::sin(angle);
      x[first + half] = b * std::cos(angle) + a * std::sin(angle);
    }
  }
}

/// What a head adds to the score of two tokens; infinite where the layer does not let them see each
/// other.
double bias_of(const model::Model& model, int32_t layer, size_t head, int64_t distance) {
  const model::EncoderSpec& spec = model.spec;
  if (spec.is_local(layer) && std::abs(distance) > spec.window) return -HUGE_VAL;
  if (spec.relative_buckets == 0) return 0;
  const auto row = static_cast<size_t>(bucket_of(distance, spec));
  return model.weights.relative_bias.values[row * static_cast<size_t>(spec.heads) + head];
}

std::vector<Vector> attention(const model::Model& model, int32_t layer, std::vector<Vector> q,
                              std::vector<Vector> k, const std::vector<Vector>& v) {
  const model::EncoderSpec& spec = model.spec;
  const size_t tokens = q.size();
  const auto width = static_cast<size_t>(spec.head_dim());
  if (spec.positions == model::Positions::rotary) {
    const double base = spec.is_local(layer) ? spec.rotary_base_local : spec.rotary_base;
    for (size_t t = 0; t < tokens; ++t) rotate(spec, base, t, q[t]), rotate(spec, base, t, k[t]);
  }
  std::vector<Vector> context(tokens, Vector(static_cast<size_t>(spec.hidden)));
  for (size_t first = 0; first < context[0].size(); first += width) {
    for (size_t t = 0; t < tokens; ++t) {
      Vector weight(tokens);
      double sum = 0;
      for (size_t u = 0; u < tokens; ++u) {
        for (size_t d = first; d < first + width; ++d) weight[u] += q[t][d] * k[u][d];
        const auto distance = static_cast<int64_t>(u) - static_cast<int64_t>(t);
        sum += weight[u] = std::exp(weight[u] / std::sqrt(static_cast<double>(width)) +
                                    bias_of(model, layer, first / width, distance));
      }
      for (size_t u = 0; u < tokens; ++u) {
        for (size_t d = first; d < first + width; ++d) context[t][d] += weight[u] / sum * v[u][d];
      }
    }
  }
  return context;
}

/// The halves of what a gated layer gives become one.
Vector gated(const model::EncoderSpec& spec, Vector wide) {
  const auto width = static_cast<size_t>(spec.intermediate);
  for (size_t i = 0; i < width; ++i) {
    wide[i] = activate(spec.activation, wide[i]) * wide[width + i];
  }
  wide.resize(width);
  return wide;
}

/// One layer, with its norms behind the residual sums or before the blocks.
class LayerPass {
 public:
  LayerPass(const model::Model& model, int32_t index)
      : model_(model),
        spec_(model.spec),
        index_(index),
        layer_(model.weights.layers[static_cast<size_t>(index)]),
        is_post_(spec_.norm_placement == model::NormPlacement::post) {}

  void run(std::vector<Vector>& hidden) const {
    const bool is_normed = is_post_ || !spec_.has_attention_norm(index_);
    add_block(hidden, layer_.attention_norm,
              attend(before(hidden, layer_.attention_norm, is_normed)));
    add_block(hidden, layer_.ffn_norm, feed(before(hidden, layer_.ffn_norm, is_post_)));
  }

 private:
  std::vector<Vector> apply(const model::LinearWeights& weights, LinearRole role,
                            const std::vector<Vector>& x) const {
    const Vector weight = merged(model_, weights, index_, role);
    std::vector<Vector> y;
    y.reserve(x.size());
    for (const Vector& row : x) y.push_back(linear(weight, weights.bias, row));
    return y;
  }

  std::vector<Vector> before(std::vector<Vector> x, const model::NormWeights& weights,
                             bool is_normed) const {
    if (is_normed) return x;
    for (Vector& row : x) row = norm(weights, spec_.norm_epsilon, std::move(row));
    return x;
  }

  void add_block(std::vector<Vector>& hidden, const model::NormWeights& weights,
                 const std::vector<Vector>& block) const {
    for (size_t t = 0; t < hidden.size(); ++t) {
      hidden[t] = add(std::move(hidden[t]), block[t]);
      if (is_post_) hidden[t] = norm(weights, spec_.norm_epsilon, std::move(hidden[t]));
    }
  }

  std::vector<Vector> attend(const std::vector<Vector>& x) const {
    const auto context =
        attention(model_, index_, apply(layer_.query, LinearRole::query, x),
                  apply(layer_.key, LinearRole::key, x), apply(layer_.value, LinearRole::value, x));
    return apply(layer_.attention_output, LinearRole::attention_output, context);
  }

  std::vector<Vector> feed(const std::vector<Vector>& x) const {
    auto wide = apply(layer_.ffn_up, LinearRole::ffn_up, x);
    for (Vector& row : wide) {
      if (spec_.is_gated) {
        row = gated(spec_, std::move(row));
      } else {
        for (double& value : row) value = activate(spec_.activation, value);
      }
    }
    return apply(layer_.ffn_down, LinearRole::ffn_down, wide);
  }

  const model::Model& model_;
  const model::EncoderSpec& spec_;
  int32_t index_;
  const model::LayerWeights& layer_;
  bool is_post_;
};

Vector row_of(const model::Tensor& table, int64_t row) {
  const int64_t width = table.shape[1];
  return {table.values.begin() + row * width, table.values.begin() + (row + 1) * width};
}

Vector pool(const std::vector<Vector>& hidden, model::Pooling pooling) {
  if (pooling == model::Pooling::cls) return hidden[0];
  Vector mean(hidden[0].size());
  for (const Vector& row : hidden) {
    for (size_t i = 0; i < row.size(); ++i) mean[i] += row[i] / static_cast<double>(hidden.size());
  }
  return mean;
}

void normalize(Vector& vector) {
  double squares = 0;
  for (const double v : vector) squares += v * v;
  for (double& v : vector) v /= std::sqrt(squares);
}

Vector embed(const model::Model& model, int32_t id, int32_t type, size_t position) {
  const model::EncoderSpec& spec = model.spec;
  const model::EncoderWeights& weights = model.weights;
  Vector row = row_of(weights.word_embeddings, id);
  if (spec.positions == model::Positions::learned) {
    row = add(std::move(row), row_of(weights.position_embeddings, static_cast<int64_t>(position)));
  }
  if (spec.token_types > 0) row = add(std::move(row), row_of(weights.type_embeddings, type));
  row = norm(weights.embedding_norm, spec.norm_epsilon, std::move(row));
  return spec.embedding_size > 0 ? linear(weights.embedding_projection, row) : row;
}

Vector run_head(const model::EncoderSpec& spec, const model::Head& head, Vector vector) {
  if (head.dense) {
    vector = linear(head.dense->linear, vector);
    for (double& v : vector) v = activate(head.dense->activation, v);
    if (head.dense->norm) vector = norm(*head.dense->norm, spec.norm_epsilon, std::move(vector));
  }
  return linear(head.output, vector);
}

}  // namespace

std::vector<double> plain_forward(const model::Model& model, const std::string& task,
                                  const std::vector<int32_t>& ids,
                                  const std::vector<int32_t>& types) {
  const auto entry =
      std::find_if(model.tasks.begin(), model.tasks.end(),
                   [&](const model::TaskWithHead& t) { return t.task.name == task; });
  if (entry == model.tasks.end()) throw std::invalid_argument("no task " + task);
  std::vector<Vector> hidden;
  for (size_t t = 0; t < ids.size(); ++t) hidden.push_back(embed(model, ids[t], types[t], t));
  for (int32_t layer = 0; layer < model.spec.layers; ++layer) LayerPass(model, layer).run(hidden);
  if (model.spec.norm_placement == model::NormPlacement::pre) {
    for (Vector& row : hidden) {
      row = norm(model.weights.final_norm, model.spec.norm_epsilon, std::move(row));
    }
  }
  Vector vector = pool(hidden, entry->task.pooling);
  if (entry->task.normalize) normalize(vector);
  return entry->head ? run_head(model.spec, *entry->head, std::move(vector)) : vector;
}

}  // namespace tilewise::checkpoint
