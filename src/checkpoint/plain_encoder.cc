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

std::vector<Vector> attention(const model::EncoderSpec& spec, const std::vector<Vector>& q,
                              const std::vector<Vector>& k, const std::vector<Vector>& v) {
  const size_t tokens = q.size();
  const auto width = static_cast<size_t>(spec.head_dim());
  std::vector<Vector> context(tokens, Vector(static_cast<size_t>(spec.hidden)));
  for (size_t first = 0; first < context[0].size(); first += width) {
    for (size_t t = 0; t < tokens; ++t) {
      Vector weight(tokens);
      double sum = 0;
      for (size_t u = 0; u < tokens; ++u) {
        for (size_t d = first; d < first + width; ++d) weight[u] += q[t][d] * k[u][d];
        sum += weight[u] = std::exp(weight[u] / std::sqrt(static_cast<double>(width)));
      }
      for (size_t u = 0; u < tokens; ++u) {
        for (size_t d = first; d < first + width; ++d) context[t][d] += weight[u] / sum * v[u][d];
      }
    }
  }
  return context;
}

void run_layer(const model::Model& model, int32_t index, std::vector<Vector>& hidden) {
  const model::LayerWeights& layer = model.weights.layers[static_cast<size_t>(index)];
  const auto apply = [&](const model::LinearWeights& weights, LinearRole role,
                         const std::vector<Vector>& x) {
    const Vector weight = merged(model, weights, index, role);
    std::vector<Vector> y;
    y.reserve(x.size());
    for (const Vector& row : x) y.push_back(linear(weight, weights.bias, row));
    return y;
  };
  const auto context = attention(model.spec, apply(layer.query, LinearRole::query, hidden),
                                 apply(layer.key, LinearRole::key, hidden),
                                 apply(layer.value, LinearRole::value, hidden));
  const auto attended = apply(layer.attention_output, LinearRole::attention_output, context);
  for (size_t t = 0; t < hidden.size(); ++t)
    hidden[t] = norm(layer.attention_norm, model.spec.norm_epsilon, add(hidden[t], attended[t]));
  auto wide = apply(layer.ffn_up, LinearRole::ffn_up, hidden);
  for (Vector& row : wide) {
    for (double& x : row) x = activate(model.spec.activation, x);
  }
  const auto down = apply(layer.ffn_down, LinearRole::ffn_down, wide);
  for (size_t t = 0; t < hidden.size(); ++t)
    hidden[t] = norm(layer.ffn_norm, model.spec.norm_epsilon, add(hidden[t], down[t]));
}

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

}  // namespace

std::vector<double> plain_forward(const model::Model& model, const std::string& task,
                                  const std::vector<int32_t>& ids,
                                  const std::vector<int32_t>& types) {
  const auto entry =
      std::find_if(model.tasks.begin(), model.tasks.end(),
                   [&](const model::TaskWithHead& t) { return t.task.name == task; });
  if (entry == model.tasks.end()) throw std::invalid_argument("no task " + task);
  std::vector<Vector> hidden;
  for (size_t t = 0; t < ids.size(); ++t) {
    Vector row = add(row_of(model.weights.word_embeddings, ids[t]),
                     row_of(model.weights.position_embeddings, static_cast<int64_t>(t)));
    if (model.spec.token_types > 0) row = add(row, row_of(model.weights.type_embeddings, types[t]));
    hidden.push_back(norm(model.weights.embedding_norm, model.spec.norm_epsilon, row));
  }
  for (int32_t layer = 0; layer < model.spec.layers; ++layer) run_layer(model, layer, hidden);

  Vector vector = pool(hidden, entry->task.pooling);
  if (entry->task.normalize) normalize(vector);
  if (!entry->head) return vector;
  if (entry->head->dense) {
    vector = linear(entry->head->dense->linear, vector);
    for (double& v : vector) v = activate(entry->head->dense->activation, v);
  }
  return linear(entry->head->output, vector);
}

}  // namespace tilewise::checkpoint
