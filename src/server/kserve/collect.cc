// Answered request -> output tensors.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "rows/writer.h"
#include "server/kserve/infer.h"
#include "server/kserve/outputs.h"

namespace tilewise::server::kserve {
namespace {

using model::TaskKind;

/// One output of one task, for all inputs.
class Collector {
 public:
  Collector(const engine::Request& request, WantedOutput wanted, OutputTensor& out)
      : request_(request),
        wanted_(wanted),
        task_(request.model->metadata().tasks[request.tasks[wanted.task]].task),
        out_(out) {}

  void collect_values() {
    const size_t width = wanted_.kind == OutputKind::embedding
                             ? static_cast<size_t>(request_.model->metadata().spec.hidden)
                             : static_cast<size_t>(task_.outputs());
    start(false, {rows(), static_cast<int64_t>(width)});
    out_.floats.reserve(request_.size() * width);
    for (size_t i = 0; i < request_.size(); ++i) append_values(i, out_.floats);
  }

  void collect_labels() {
    start(true, {rows()});
    out_.texts.resize(request_.size());
    const engine::PredictOptions options = {.top = 1};
    for (size_t i = 0; i < request_.size(); ++i) {
      request_.predict(i, wanted_.task, options, prediction_);
      out_.texts[i].clear();
      write_label(out_.texts[i]);
    }
  }

  void collect_depths() {
    start(false, {rows()});
    for (size_t i = 0; i < request_.size(); ++i) {
      out_.floats.push_back(request_.values(i, wanted_.task).back());
    }
  }

  /// Triton's form: "VALUE:INDEX:LABEL", best first.
  void collect_classes(int32_t count) {
    const auto width = static_cast<size_t>(task_.outputs());
    const size_t kept = std::min(width, static_cast<size_t>(count));
    start(true, {rows(), static_cast<int64_t>(kept)});
    out_.texts.resize(request_.size() * kept);
    std::vector<float> values;
    std::vector<size_t> order(width);
    for (size_t i = 0; i < request_.size(); ++i) {
      values.clear();
      append_values(i, values);
      sort_best(values, kept, order);
      for (size_t k = 0; k < kept; ++k) {
        write_class(values[order[k]], order[k], out_.texts[i * kept + k]);
      }
    }
  }

 private:
  int64_t rows() const { return static_cast<int64_t>(request_.size()); }

  void start(bool is_text, std::vector<int64_t> shape) {
    out_.is_text = is_text;
    out_.shape = std::move(shape);
    out_.floats.clear();
    if (!is_text) out_.texts.clear();
  }

  /// In the order of the labels.
  void append_values(size_t input, std::vector<float>& values) {
    if (wanted_.kind == OutputKind::logits || task_.kind == TaskKind::regression) {
      const auto width = static_cast<size_t>(task_.outputs());  // without the depth
      const auto raw = request_.values(input, wanted_.task).first(width);
      values.insert(values.end(), raw.begin(), raw.end());
      return;
    }
    // All classes: of a multilabel task those under the threshold, too.
    request_.predict(input, wanted_.task,
                     {.top = 0, .threshold = -std::numeric_limits<float>::infinity()}, prediction_);
    if (task_.kind == TaskKind::embedding) {
      values.insert(values.end(), prediction_.embedding.begin(), prediction_.embedding.end());
    } else if (task_.kind == TaskKind::binary) {
      values.push_back(prediction_.score);
    } else {
      const size_t begin = values.size();
      values.resize(begin + task_.labels.size());
      for (const model::LabelScore& label : prediction_.labels) {
        values[begin + static_cast<size_t>(label.label)] = label.score;
      }
    }
  }

  static void sort_best(const std::vector<float>& values, size_t kept, std::vector<size_t>& order) {
    std::iota(order.begin(), order.end(), size_t{0});
    const auto key = [&](size_t i) {  // what is no number comes last
      return std::isnan(values[i]) ? -std::numeric_limits<float>::infinity() : values[i];
    };
    std::partial_sort(
        order.begin(), order.begin() + static_cast<std::ptrdiff_t>(kept), order.end(),
        [&](size_t a, size_t b) { return key(a) != key(b) ? key(a) > key(b) : a < b; });
  }

  void write_class(float value, size_t index, std::string& text) const {
    text.clear();
    rows::append_float(value, text);
    text += ':';
    text += std::to_string(index);
    if (index >= task_.labels.size()) return;
    text += ':';
    text += task_.labels[index];
  }

  void write_label(std::string& text) const {
    const auto& labels = prediction_.labels;
    switch (task_.kind) {
      case TaskKind::binary:
        if (prediction_.over_threshold && !task_.labels.empty()) text = task_.labels.front();
        return;
      case TaskKind::multiclass:
        if (!prediction_.out_of_scope && !labels.empty()) text = task_.labels[labels[0].label];
        return;
      case TaskKind::multilabel:
        text += '[';
        for (size_t i = 0; i < labels.size(); ++i) {
          if (i > 0) text += ',';
          rows::append_json_string(task_.labels[labels[i].label], text);
        }
        text += ']';
        return;
      case TaskKind::regression:
      case TaskKind::embedding:
        return;
    }
  }

  const engine::Request& request_;
  WantedOutput wanted_;
  const model::Task& task_;
  OutputTensor& out_;
  model::Prediction prediction_;
};

void collect_one(const engine::Request& request, WantedOutput wanted, int32_t classification,
                 OutputTensor& out) {
  Collector collector(request, wanted, out);
  if (classification > 0) {
    collector.collect_classes(classification);
  } else if (wanted.kind == OutputKind::label) {
    collector.collect_labels();
  } else if (wanted.kind == OutputKind::depth) {
    collector.collect_depths();
  } else {
    collector.collect_values();
  }
}

void collect_all(const InferCall& call, const engine::Request& request,
                 std::vector<OutputTensor>& outputs) {
  const artifact::Metadata& metadata = request.model->metadata();
  size_t used = 0;
  for (size_t t = 0; t < request.tasks.size(); ++t) {
    for (const OutputKind kind : outputs_of(metadata.tasks[request.tasks[t]].task)) {
      if (used == outputs.size()) outputs.emplace_back();
      OutputTensor& out = outputs[used++];
      out.name = output_name(metadata, request.tasks, t, kind);
      out.is_binary = call.parameters.binary_outputs;
      collect_one(request, {t, kind}, 0, out);
    }
  }
  outputs.resize(used);
}

}  // namespace

Status collect(const InferCall& call, const engine::Request& request,
               std::vector<OutputTensor>& outputs) {
  if (call.outputs.empty()) {
    collect_all(call, request, outputs);
    return {};
  }
  const artifact::Metadata& metadata = request.model->metadata();
  TILEWISE_RETURN_IF_ERROR(check_outputs(call, metadata, request.tasks));
  outputs.resize(call.outputs.size());
  for (size_t i = 0; i < outputs.size(); ++i) {
    const RequestedOutput& requested = call.outputs[i];
    TILEWISE_ASSIGN_OR_RETURN(const WantedOutput wanted,
                              find_output(requested.name, metadata, request.tasks));
    outputs[i].name = requested.name;
    outputs[i].is_binary = requested.is_binary;
    collect_one(request, wanted, requested.classification, outputs[i]);
  }
  return {};
}

std::string truncated_inputs(const engine::Request& request) {
  std::string rows;
  for (size_t i = 0; i < request.truncated.size(); ++i) {
    if (!request.truncated[i]) continue;
    if (!rows.empty()) rows += ',';
    rows += std::to_string(i);
  }
  return rows;
}

}  // namespace tilewise::server::kserve
