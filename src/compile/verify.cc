#include "compile/verify.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <set>
#include <span>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "artifact/schema.h"

namespace tilewise::compile {
namespace {

using artifact::OutputTensor;
using model::LinearRole;
using model::Tensor;

Status does_not_fit(std::string where, std::string expected, std::string found) {
  return invalid_input({.what = "The model does not fit together",
                        .where = std::move(where),
                        .expected = std::move(expected),
                        .found = std::move(found),
                        .remedy = "Check the checkpoint with `tilewise check`"});
}

std::string text_of(const std::vector<int64_t>& shape) {
  return fmt::format("[{}]", fmt::join(shape, ", "));
}

size_t element_count(const std::vector<int64_t>& shape) {
  size_t count = 1;
  for (const int64_t dimension : shape) count *= static_cast<size_t>(dimension);
  return count;
}

bool has_shape(const Tensor& tensor, const std::vector<int64_t>& shape) {
  return tensor.shape == shape && tensor.values.size() == element_count(shape);
}

/// Exponents of all ones are infinities and NaNs: one more carries into the sign. And, add and or
/// over everything, which compilers turn into vector code.
template <class Bits>
bool all_finite(std::span<const std::byte> data, int mantissa_bits) {
  const auto lowest = static_cast<Bits>(Bits{1} << mantissa_bits);
  const auto sign = static_cast<Bits>(Bits{1} << (8 * sizeof(Bits) - 1));
  const auto exponent = static_cast<Bits>(sign - lowest);
  Bits carries = 0;
  for (size_t i = 0; i < data.size(); i += sizeof(Bits)) {
    Bits bits = 0;
    std::memcpy(&bits, data.data() + i, sizeof bits);
    carries |= static_cast<Bits>((bits & exponent) + lowest);
  }
  return (carries & sign) == 0;
}

bool is_finite(const std::vector<float>& values) {
  return all_finite<uint32_t>(std::as_bytes(std::span(values)), 23);
}

bool is_finite(const OutputTensor& tensor) {
  switch (tensor.type) {
    case artifact::DataType::f32:
      return all_finite<uint32_t>(tensor.data, 23);
    case artifact::DataType::bf16:
      return all_finite<uint16_t>(tensor.data, 7);
    case artifact::DataType::s8:
    case artifact::DataType::s32:
    case artifact::DataType::bytes:
      return true;
  }
  return true;
}

Status not_finite(const std::string& pass, const std::string& name) {
  return invalid_input({.what = "A weight is infinite or not a number",
                        .where = fmt::format("{}, tensor \"{}\"", pass, name),
                        .expected = "finite weights",
                        .found = "",
                        .remedy = "Train or export the checkpoint again"});
}

/// [outputs, inputs] of the layer that an update changes.
std::pair<int64_t, int64_t> size_of(LinearRole role, const model::EncoderSpec& spec) {
  if (role == LinearRole::ffn_up) return {spec.ffn_up_outputs(), spec.hidden};
  if (role == LinearRole::ffn_down) return {spec.hidden, spec.intermediate};
  return {spec.hidden, spec.hidden};
}

Status check_adapter(const model::Model& model) {
  std::set<std::pair<int32_t, LinearRole>> seen;
  for (size_t i = 0; i < model.adapter.size(); ++i) {
    const model::LoraUpdate& update = model.adapter[i];
    const std::string where = fmt::format("adapter, update {}", i);
    if (update.layer < 0 || update.layer >= model.spec.layers) {
      return does_not_fit(where, fmt::format("a layer of 0 to {}", model.spec.layers - 1),
                          fmt::to_string(update.layer));
    }
    const auto [outputs, inputs] = size_of(update.role, model.spec);
    const int64_t rank = update.a.shape.empty() ? 0 : update.a.shape[0];
    if (rank < 1 || !has_shape(update.a, {rank, inputs}) || !has_shape(update.b, {outputs, rank})) {
      return does_not_fit(where, fmt::format("A [rank, {}] and B [{}, rank]", inputs, outputs),
                          text_of(update.a.shape) + " and " + text_of(update.b.shape));
    }
    if (!std::isfinite(update.scale) || !is_finite(update.a.values) ||
        !is_finite(update.b.values)) {
      return not_finite("the model given to the compiler", where);
    }
    if (!seen.emplace(update.layer, update.role).second) {
      return does_not_fit(where, "one update a linear layer", "a second one");
    }
  }
  return {};
}

Status check_heads(const model::Model& model) {
  for (const model::TaskWithHead& task : model.tasks) {
    const bool needs_head = task.task.outputs() > 0;
    if (task.head.has_value() != needs_head) {
      return does_not_fit(fmt::format("task \"{}\"", task.task.name),
                          needs_head ? "a head" : "no head for an embedding",
                          needs_head ? "none" : "one");
    }
    if (task.exits.size() != task.task.exits.size()) {
      return does_not_fit(fmt::format("task \"{}\", exits", task.task.name),
                          fmt::format("{} heads", task.task.exits.size()),
                          fmt::to_string(task.exits.size()));
    }
  }
  return {};
}

}  // namespace

Status check_tokenizer(const model::TokenizerSpec& tokenizer, int32_t vocab_size) {
  const auto& vocabulary = tokenizer.vocabulary;
  const auto last = std::find_if(vocabulary.rbegin(), vocabulary.rend(),
                                 [](const std::string& token) { return !token.empty(); });
  int64_t largest = vocabulary.rend() - last - 1;
  for (const model::AddedToken& token : tokenizer.added_tokens) {
    largest = std::max<int64_t>(largest, token.id);
  }
  if (largest >= vocab_size) {
    return does_not_fit("tokenizer, largest id",
                        fmt::format("below the {} rows of the word embeddings", vocab_size),
                        fmt::to_string(largest));
  }
  const std::pair<const char*, int32_t> special[] = {{"unknown", tokenizer.unknown_id},
                                                     {"[CLS]", tokenizer.cls_id},
                                                     {"[SEP]", tokenizer.sep_id},
                                                     {"padding", tokenizer.pad_id}};
  for (const auto& [name, id] : special) {
    if (id < 0 || id > largest) {
      return does_not_fit(fmt::format("tokenizer, id of the {} token", name),
                          fmt::format("0 to {}", largest), fmt::to_string(id));
    }
  }
  return {};
}

Status verify_input(Draft& draft) {
  const model::Model& model = draft.model;
  TILEWISE_RETURN_IF_ERROR(artifact::validate(draft.metadata));
  if (model.weights.layers.size() != static_cast<size_t>(model.spec.layers)) {
    return does_not_fit("layers", fmt::to_string(model.spec.layers),
                        fmt::to_string(model.weights.layers.size()));
  }
  TILEWISE_RETURN_IF_ERROR(check_heads(model));
  for (const Slot& slot : slots(draft)) {
    if (!has_shape(*slot.tensor, slot.shape)) {
      return does_not_fit(fmt::format("tensor \"{}\"", slot.name), text_of(slot.shape),
                          text_of(slot.tensor->shape));
    }
  }
  TILEWISE_RETURN_IF_ERROR(check_adapter(model));
  TILEWISE_RETURN_IF_ERROR(check_tokenizer(model.tokenizer, model.spec.vocab_size));
  return verify_weights(draft, "the model given to the compiler");
}

Status verify_weights(Draft& draft, const std::string& pass) {
  for (const Slot& slot : slots(draft)) {
    if (!has_shape(*slot.tensor, slot.shape)) {
      return internal_error({.what = "A pass of the compiler left a tensor with a wrong shape",
                             .where = fmt::format("{}, tensor \"{}\"", pass, slot.name),
                             .expected = text_of(slot.shape),
                             .found = text_of(slot.tensor->shape),
                             .remedy = "Report this as a bug of tilewise"});
    }
    if (!is_finite(slot.tensor->values)) return not_finite(pass, slot.name);
  }
  for (const OutputTensor& tensor : draft.tensors) {
    if (!is_finite(tensor)) return not_finite(pass, tensor.name);
  }
  return {};
}

}  // namespace tilewise::compile
