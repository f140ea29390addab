#include "compile/simulation.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "artifact/schema.h"
#include "artifact/writer.h"
#include "compile/parallel.h"
#include "compile/passes.h"
#include "kernels/pack.h"

namespace tilewise::compile {
namespace {

using kernels::KernelSet;
using kernels::LinearArgs;

/// `bytes` of storage with 64-byte alignment.
std::byte* aligned(std::vector<std::byte>& storage, size_t bytes) {
  storage.assign(bytes + 64, std::byte{0});
  const auto address = reinterpret_cast<uintptr_t>(storage.data());
  return storage.data() + (64 - address % 64) % 64;
}

/// The fp32 kernels that every processor of this architecture runs.
const KernelSet& baseline_kernels() {
  return *std::ranges::find_if(kernels::all_kernel_sets(), [](const KernelSet& set) {
    return set.precision == model::Precision::fp32 &&
           (set.isa == Isa::portable || set.isa == Isa::neon);
  });
}

/// A linear layer whose `weights` are a SimulatedLinear: the runtime hands them through unseen.
void simulated_linear(const LinearArgs& args) {
  const auto& layer = *static_cast<const SimulatedLinear*>(args.weights);
  LinearArgs exact = args;
  exact.weights = layer.panels;
  exact.next_weights = nullptr;
  std::vector<std::byte> storage;
  if (layer.is_int8) {
    const int64_t stride = int64_t{args.k} * 4;
    std::byte* rows =
        aligned(storage, static_cast<size_t>((args.rows + kernels::kRowSlack) * stride));
    for (int32_t r = 0; r < args.rows; ++r) {
      auto* row = reinterpret_cast<float*>(rows + r * stride);
      std::memcpy(row, static_cast<const std::byte*>(args.input) + r * args.input_stride,
                  static_cast<size_t>(stride));
      quantize_and_back({row, static_cast<size_t>(layer.inputs)}, layer.input);
    }
    exact.input = rows;
    exact.input_stride = stride;
  }
  baseline_kernels().linear(exact);
}

/// Sequences [first, last) of one task, and where its outputs go.
struct Share {
  const TaskTokens* tokens = nullptr;
  int32_t first = 0;
  int32_t last = 0;
  std::span<float> outputs;
};

void run_share(runtime::Replica& replica, const Share& share) {
  const TaskTokens& tokens = *share.tokens;
  const int32_t start = tokens.offsets[share.first];
  const auto count = static_cast<size_t>(tokens.offsets[share.last] - start);
  std::vector<int32_t> offsets;
  for (int32_t s = share.first; s <= share.last; ++s) offsets.push_back(tokens.offsets[s] - start);
  const runtime::TaskOutput output{.task = tokens.task, .values = share.outputs};
  replica.run({.ids = std::span(tokens.ids).subspan(start, count),
               .types = std::span(tokens.types).subspan(start, count),
               .offsets = offsets},
              std::span(&output, 1));
}

/// Each task's sequences in `parts` runs of about equal length: part p of every task goes to
/// replica p.
std::vector<Share> shares_of(const TaskTokens& tokens, int32_t parts, std::span<float> outputs) {
  std::vector<Share> shares;
  const auto width = outputs.size() / static_cast<size_t>(tokens.sequences());
  const int64_t total = tokens.offsets.back();
  int32_t first = 0;
  for (int64_t part = 1; part <= parts; ++part) {
    int32_t last = first;
    while (last < tokens.sequences() && tokens.offsets[last] < total * part / parts) ++last;
    const auto begin = static_cast<size_t>(first) * width;
    shares.push_back(
        {&tokens, first, last, outputs.subspan(begin, static_cast<size_t>(last) * width - begin)});
    first = last;
  }
  return shares;
}

/// The linear layers of an encoder, in the order of artifact::linear_layers.
std::vector<runtime::Linear*> linears_of(runtime::Weights& weights) {
  std::vector<runtime::Linear*> linears;
  for (runtime::Layer& layer : weights.layers) {
    linears.insert(linears.end(),
                   {&layer.qkv, &layer.attention_output, &layer.ffn_up, &layer.ffn_down});
  }
  return linears;
}

}  // namespace

Result<Simulation> Simulation::create(Draft& draft) {
  Simulation simulation;
  artifact::Metadata metadata = draft.metadata;
  metadata.precision = model::Precision::fp32;
  metadata.linears = {};
  metadata.calibration = {};
  TILEWISE_ASSIGN_OR_RETURN(simulation.bytes_,
                            artifact::write_to_memory(metadata, fp32_tensors(draft)));
  TILEWISE_ASSIGN_OR_RETURN(
      simulation.artifact_,
      artifact::Artifact::open({simulation.bytes_.data(), simulation.bytes_.size()},
                               "the model in fp32"));
  TILEWISE_ASSIGN_OR_RETURN(simulation.weights_, runtime::bind(*simulation.artifact_));
  // Full depth: what leaves early would hide what int8 costs in the layers behind.
  for (auto& head : simulation.weights_.heads) {
    if (head) head->exits.clear();
  }
  simulation.kernels_ = baseline_kernels();
  simulation.kernels_.linear = simulated_linear;
  const auto layers = artifact::linear_layers(metadata.spec);
  const auto linears = linears_of(simulation.weights_);
  for (size_t i = 0; i < layers.size(); ++i) {
    auto simulated = std::make_unique<SimulatedLinear>();
    simulated->inputs = static_cast<int32_t>(layers[i].inputs);
    simulated->outputs = static_cast<int32_t>(layers[i].outputs);
    simulated->exact_panels = simulated->panels = linears[i]->weights;
    linears[i]->weights = simulated.get();
    simulation.bound_.push_back(*linears[i]);
    simulation.linears_.push_back(std::move(simulated));
  }
  if (auto& projection = simulation.weights_.embedding_projection) {
    simulation.projection_ = std::make_unique<SimulatedLinear>();
    simulation.projection_->panels = projection->weights;
    projection->weights = simulation.projection_.get();
  }
  return simulation;
}

void Simulation::set_int8(size_t index, const Int8Linear& linear) {
  SimulatedLinear& layer = *linears_[index];
  const auto outputs = static_cast<int64_t>(linear.scales.size());
  const auto inputs = static_cast<int64_t>(linear.weights.size()) / outputs;
  const std::vector<std::byte> packed =
      kernels::pack_panels(dequantize(linear), outputs, inputs, model::Precision::fp32);
  std::byte* panels = aligned(layer.storage, packed.size());
  std::ranges::copy(packed, panels);
  layer.panels = panels;
  layer.is_int8 = true;
  layer.input = linear.input;
}

void Simulation::set_fp32(size_t index) {
  SimulatedLinear& layer = *linears_[index];
  layer.storage = {};
  layer.panels = layer.exact_panels;
  layer.is_int8 = false;
}

Result<std::vector<std::vector<float>>> Simulation::run(
    std::span<const TaskTokens> tasks, const runtime::LinearObserver& observer) const {
  std::vector<model::Pooling> poolings;
  for (const auto& entry : artifact_->metadata().tasks) poolings.push_back(entry.task.pooling);
  const int32_t threads = observer ? 1 : thread_count();

  std::vector<std::vector<float>> outputs;
  std::vector<std::vector<Share>> shares(static_cast<size_t>(threads));
  outputs.reserve(tasks.size());
  for (const TaskTokens& task : tasks) {
    const auto& head = weights_.heads[task.task];
    const int32_t width = head ? head->outputs : weights_.spec.hidden;
    outputs.emplace_back(static_cast<size_t>(task.sequences()) * static_cast<size_t>(width));
    const std::vector<Share> parts = shares_of(task, threads, outputs.back());
    for (size_t p = 0; p < parts.size(); ++p) {
      if (parts[p].first < parts[p].last) shares[p].push_back(parts[p]);
    }
  }
  std::vector<runtime::Replica> replicas;
  for (int32_t i = 0; i < threads; ++i) {
    TILEWISE_ASSIGN_OR_RETURN(
        runtime::Replica replica,
        runtime::Replica::create(weights_, {.backbone = &kernels_}, poolings));
    replica.observe_linears(observer);
    replicas.push_back(std::move(replica));
  }
  for_each_in_parallel(replicas.size(), [&](size_t i) {
    for (const Share& share : shares[i]) run_share(replicas[i], share);
  });
  return outputs;
}

std::vector<float> Simulation::outputs_of(size_t index, std::span<const float> rows) const {
  const runtime::Linear& layer = bound_[index];
  const auto inputs = static_cast<size_t>(linears_[index]->inputs);
  const auto outputs = static_cast<size_t>(linears_[index]->outputs);
  const size_t count = rows.size() / inputs;
  const int64_t input_stride = int64_t{layer.k} * 4;
  const int64_t output_stride = int64_t{layer.n} * 4;
  std::vector<std::byte> input_storage;
  std::vector<std::byte> output_storage;
  std::byte* input = aligned(input_storage, (count + kernels::kRowSlack) * input_stride);
  std::byte* output = aligned(output_storage, (count + kernels::kRowSlack) * output_stride);
  for (size_t r = 0; r < count; ++r) {
    std::memcpy(input + r * input_stride, rows.data() + r * inputs, inputs * 4);
  }
  simulated_linear({.input = input,
                    .input_stride = input_stride,
                    .weights = layer.weights,
                    .bias = layer.bias,
                    .output = output,
                    .output_stride = output_stride,
                    .rows = static_cast<int32_t>(count),
                    .k = layer.k,
                    .n = layer.n});
  std::vector<float> result(count * outputs);
  for (size_t r = 0; r < count; ++r) {
    std::memcpy(result.data() + r * outputs, output + r * output_stride, outputs * 4);
  }
  return result;
}

}  // namespace tilewise::compile
