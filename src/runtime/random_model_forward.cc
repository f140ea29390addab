// The forward pass of a RandomModel as plain loops in fp64, each operation as its paper has it.
#include <algorithm>
#include <cmath>
#include <numbers>

#include "runtime/random_model.h"

namespace tilewise::runtime {
namespace {

using Vector = std::vector<double>;

Vector project(const RandomLinear& layer, const Vector& input) {
  const size_t rows = input.size() / layer.inputs;
  Vector output(rows * layer.outputs);
  for (size_t r = 0; r < rows; ++r) {
    for (int n = 0; n < layer.outputs; ++n) {
      double sum = layer.bias[n];
      for (int k = 0; k < layer.inputs; ++k) {
        sum += input[r * layer.inputs + k] * layer.weight[size_t(n) * layer.inputs + k];
      }
      output[r * layer.outputs + n] = sum;
    }
  }
  return output;
}

Vector normalize(const RandomNorm& norm, double epsilon, Vector rows) {
  const size_t width = norm.gain.size();
  for (size_t r = 0; r < rows.size() / width; ++r) {
    double* row = &rows[r * width];
    double mean = 0;
    double variance = 0;
    for (size_t i = 0; i < width; ++i) mean += row[i] / double(width);
    for (size_t i = 0; i < width; ++i)
      variance += (row[i] - mean) * (row[i] - mean) / double(width);
    for (size_t i = 0; i < width; ++i) {
      row[i] = (row[i] - mean) / std::sqrt(variance + epsilon) * norm.gain[i] + norm.bias[i];
    }
  }
  return rows;
}

double activate(model::Activation activation, double x) {
  switch (activation) {
    case model::Activation::gelu_erf:
      return x * 0.5 * std::erfc(-x / std::numbers::sqrt2);
    case model::Activation::gelu_tanh:
      return 0.5 * x *
             (1 + std::tanh(std::sqrt(2 / std::numbers::pi) * (x + 0.044715 * x * x * x)));
    case model::Activation::relu:
      return std::max(x, 0.0);
    case model::Activation::tanh:
      return std::tanh(x);
    case model::Activation::identity:
      return x;
  }
  return x;
}

/// Turns each pair of elements half a head apart by position * base^(-2 i / head_dim).
void rotate(Vector& rows, size_t width, size_t head_dim, double base) {
  const size_t half = head_dim / 2;
  for (size_t r = 0; r < rows.size() / width; ++r) {
    for (size_t head = 0; head < width; head += head_dim) {
      for (size_t i = 0; i < half; ++i) {
        const double angle = double(r) * std::pow(base, -double(i) / double(half));
        double& x = rows[r * width + head + i];
        double& y = rows[r * width + head + half + i];
        const double turned = x * std::cos(angle) - y * std::sin(angle);
        y = y * std::cos(angle) + x * std::sin(angle);
        x = turned;
      }
    }
  }
}

void add(Vector& target, const Vector& other) {
  for (size_t i = 0; i < target.size(); ++i) target[i] += other[i];
}

/// One layer's attention over the rows of one sequence.
class Attention {
 public:
  Attention(const RandomModel& model, int layer, const Vector& rows)
      : model_(model),
        width_(size_t(model.spec.hidden)),
        head_dim_(size_t(model.spec.head_dim())),
        window_(model.spec.is_local(layer) ? model.spec.window : 0),
        q_(project(model.layers[layer].query, rows)),
        k_(project(model.layers[layer].key, rows)),
        v_(project(model.layers[layer].value, rows)) {
    if (model.spec.positions != model::Positions::rotary) return;
    const bool is_local = window_ > 0;
    const double base = is_local ? model.spec.rotary_base_local : model.spec.rotary_base;
    rotate(q_, width_, head_dim_, base);
    rotate(k_, width_, head_dim_, base);
  }

  Vector context() const {
    Vector context(q_.size());
    const int tokens = int(q_.size() / width_);
    for (int head = 0; head < model_.spec.heads; ++head) {
      for (int i = 0; i < tokens; ++i) {
        const Vector weights = weights_of(head, i, tokens);
        for (size_t d = 0; d < head_dim_; ++d) {
          const size_t column = size_t(head) * head_dim_ + d;
          for (int j = 0; j < tokens; ++j) {
            context[i * width_ + column] += weights[j] * v_[j * width_ + column];
          }
        }
      }
    }
    return context;
  }

 private:
  Vector weights_of(int head, int i, int tokens) const {
    Vector weights(tokens, -INFINITY);
    for (int j = 0; j < tokens; ++j) {
      if (window_ > 0 && std::abs(i - j) > window_) continue;
      double score = 0;
      for (size_t d = 0; d < head_dim_; ++d) {
        const size_t column = size_t(head) * head_dim_ + d;
        score += q_[i * width_ + column] * k_[j * width_ + column];
      }
      weights[j] = score / std::sqrt(double(head_dim_)) + model_.bias_of(head, j - i);
    }
    const double largest = *std::max_element(weights.begin(), weights.end());
    double total = 0;
    for (double& weight : weights) total += weight = std::exp(weight - largest);
    for (double& weight : weights) weight /= total;
    return weights;
  }

  const RandomModel& model_;
  size_t width_, head_dim_;
  int window_;
  Vector q_, k_, v_;
};

Vector attend(const RandomModel& model, int layer, const Vector& rows) {
  return project(model.layers[layer].attention_output, Attention(model, layer, rows).context());
}

Vector feed_forward(const RandomModel& model, int layer, const Vector& rows) {
  const size_t width = size_t(model.spec.intermediate);
  const size_t outputs = size_t(model.spec.ffn_up_outputs());
  const Vector up = project(model.layers[layer].ffn_up, rows);
  Vector inner(up.size() / outputs * width);
  for (size_t i = 0; i < inner.size(); ++i) {
    const size_t at = i / width * outputs + i % width;
    inner[i] = activate(model.spec.activation, up[at]) * (model.spec.is_gated ? up[at + width] : 1);
  }
  return project(model.layers[layer].ffn_down, inner);
}

Vector embed(const RandomModel& model, const std::vector<int32_t>& ids,
             const std::vector<int32_t>& types) {
  const model::EncoderSpec& spec = model.spec;
  const size_t width = size_t(spec.embedding_width());
  Vector rows(ids.size() * width);
  for (size_t r = 0; r < ids.size(); ++r) {
    for (size_t i = 0; i < width; ++i) {
      double& value = rows[r * width + i];
      value = model.word[ids[r] * width + i];
      if (spec.positions == model::Positions::learned) value += model.position[r * width + i];
      if (spec.token_types > 0) value += model.type[types[r] * width + i];
    }
  }
  rows = normalize(model.embedding_norm, spec.norm_epsilon, std::move(rows));
  return spec.embedding_size > 0 ? project(model.projection, rows) : rows;
}

}  // namespace

double RandomModel::bias_of(int head, int distance) const {
  if (relative_bias.empty()) return 0;
  const int reach = spec.max_positions;
  return relative_bias[size_t(head) * (2 * reach - 1) + reach - 1 + distance];
}

std::vector<double> RandomModel::residual_stream(const std::vector<int32_t>& ids,
                                                 const std::vector<int32_t>& types,
                                                 int depth) const {
  const auto norm = [&](const RandomNorm& by, Vector rows) {
    return normalize(by, spec.norm_epsilon, std::move(rows));
  };
  const bool is_post = spec.norm_placement == model::NormPlacement::post;
  Vector state = embed(*this, ids, types);
  for (int i = 0; i < depth; ++i) {
    const RandomLayer& layer = layers[i];
    if (is_post) {
      add(state, attend(*this, i, state));
      state = norm(layer.attention_norm, std::move(state));
      add(state, feed_forward(*this, i, state));
      state = norm(layer.ffn_norm, std::move(state));
    } else {
      const bool has_norm = spec.has_attention_norm(i);
      add(state, attend(*this, i, has_norm ? norm(layer.attention_norm, state) : state));
      add(state, feed_forward(*this, i, norm(layer.ffn_norm, state)));
    }
  }
  return state;
}

std::vector<double> RandomModel::hidden_states(const std::vector<int32_t>& ids,
                                               const std::vector<int32_t>& types) const {
  Vector state = residual_stream(ids, types, spec.layers);
  if (spec.norm_placement == model::NormPlacement::post) return state;
  return normalize(final_norm, spec.norm_epsilon, std::move(state));
}

std::vector<double> RandomModel::pooled(const std::vector<double>& states,
                                        model::Pooling pooling) const {
  const size_t hidden = spec.hidden;
  if (pooling == model::Pooling::cls) return {states.begin(), states.begin() + spec.hidden};
  Vector mean(hidden);
  const auto rows = double(states.size() / hidden);
  for (size_t i = 0; i < states.size(); ++i) mean[i % hidden] += states[i] / rows;
  return mean;
}

std::vector<double> RandomModel::classes(const std::vector<double>& vector) const {
  Vector inner = project(dense, vector);
  for (double& x : inner) x = activate(dense_activation, x);
  if (dense_norm) inner = normalize(*dense_norm, spec.norm_epsilon, std::move(inner));
  return project(output, inner);
}

}  // namespace tilewise::runtime
