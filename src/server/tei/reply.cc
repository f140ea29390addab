#include "server/tei/reply.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "engine/head.h"
#include "rows/json_writer.h"
#include "rows/writer.h"
#include "text/decoder.h"

namespace tilewise::server::tei {
namespace {

Status not_a_number() {
  return internal_error({.what = "The model's output is not a finite number"});
}

bool all_finite(std::span<const float> values) {
  return std::all_of(values.begin(), values.end(),
                     [](float value) { return std::isfinite(value); });
}

std::string_view label_of(const model::Task& task, int32_t label) {
  return task.labels.empty() ? std::string_view(task.name)
                             : std::string_view(task.labels[static_cast<size_t>(label)]);
}

/// All classes with their scores, best first.
void score_labels(const model::Task& task, std::span<const float> values, bool raw, int32_t top,
                  model::Prediction& prediction) {
  const bool one = task.kind == model::TaskKind::binary || task.kind == model::TaskKind::regression;
  if (one) {
    prediction.labels.assign(1, {0, score_of(task, values, raw, prediction)});
  } else if (raw) {
    const auto logits = values.first(static_cast<size_t>(task.outputs()));  // without the depth
    engine::rank(logits, top, prediction.labels);
  } else {
    // Of a multilabel task all labels, whatever its threshold.
    engine::fill_prediction(task, values,
                            {.top = top, .threshold = -std::numeric_limits<float>::infinity()},
                            prediction);
    if (top > 0) {
      prediction.labels.resize(std::min(prediction.labels.size(), static_cast<size_t>(top)));
    }
  }
}

void append_text(const model::Content& content, std::string& out) {
  if (const auto* text = std::get_if<std::string>(&content)) {
    return rows::append_json_string(*text, out);
  }
  char before = '{';
  for (const model::Record::Field& field : std::get<model::Record>(content).fields) {
    out += before;
    rows::append_json_string(field.name, out);
    out += ':';
    rows::append_json_string(field.value, out);
    before = ',';
  }
  out += before == '{' ? "{}" : "}";
}

std::string_view dtype_of(model::Precision precision) {
  switch (precision) {
    case model::Precision::fp32:
      return "float32";
    case model::Precision::bf16:
      return "bfloat16";
    case model::Precision::int8:
      return "int8";
  }
  return "";
}

void append_labels(const model::Task& task, rows::JsonWriter& json) {
  const size_t count = std::max<size_t>(1, task.labels.size());
  json.begin_object().key("id2label").begin_object();
  for (size_t i = 0; i < count; ++i) {
    json.key(std::to_string(i)).string(label_of(task, static_cast<int32_t>(i)));
  }
  json.end_object().key("label2id").begin_object();
  for (size_t i = 0; i < count; ++i) {
    json.key(label_of(task, static_cast<int32_t>(i))).integer(static_cast<int64_t>(i));
  }
  json.end_object().end_object();
}

/// {"classifier" | "reranker" | "embedding": {...}}: TEI calls what has one score a reranker.
void append_model_type(const model::Task& task, rows::JsonWriter& json) {
  json.begin_object();
  if (task.kind == model::TaskKind::embedding) {
    json.key("embedding").begin_object();
    json.key("pooling").string(model::name_of(task.pooling)).end_object();
  } else {
    json.key(task.outputs() == 1 ? "reranker" : "classifier");
    append_labels(task, json);
  }
  json.end_object();
}

}  // namespace

Status append_prediction(const model::Task& task, std::span<const float> values, bool raw,
                         int32_t top, model::Prediction& prediction, std::string& out) {
  if (!all_finite(values)) return not_a_number();
  score_labels(task, values, raw, top, prediction);
  out += '[';
  std::string_view before = "{\"score\":";
  for (const model::LabelScore& label : prediction.labels) {
    out += before;
    rows::append_float(label.score, out);
    out += ",\"label\":";
    rows::append_json_string(label_of(task, label.label), out);
    out += '}';
    before = ",{\"score\":";
  }
  out += ']';
  return {};
}

float score_of(const model::Task& task, std::span<const float> values, bool raw,
               model::Prediction& prediction) {
  if (raw || task.kind == model::TaskKind::regression) return values[0];
  engine::fill_prediction(task, values, {}, prediction);
  return prediction.score;
}

Status append_ranks(std::span<const float> scores, std::span<const model::Input> inputs,
                    std::string& out) {
  if (!all_finite(scores)) return not_a_number();
  std::vector<model::LabelScore> ranks;
  engine::rank(scores, 0, ranks);
  out += '[';
  std::string_view before = "{\"index\":";
  for (const model::LabelScore& rank : ranks) {
    out += before;
    out += std::to_string(rank.label);
    if (!inputs.empty()) {
      out += ",\"text\":";
      append_text(std::get<model::PairInput>(inputs[static_cast<size_t>(rank.label)]).right, out);
    }
    out += ",\"score\":";
    rows::append_float(rank.score, out);
    out += '}';
    before = ",{\"index\":";
  }
  out += ']';
  return {};
}

Status make_embedding(std::span<const float> values, int64_t dimensions, bool normalize,
                      std::vector<float>& embedding) {
  const auto width = static_cast<int64_t>(values.size());
  if (dimensions > width) {
    return invalid_argument({.what = "The embedding has fewer dimensions",
                             .where = "dimensions",
                             .expected = "at most " + std::to_string(width),
                             .found = std::to_string(dimensions)});
  }
  if (!all_finite(values)) return not_a_number();
  if (dimensions > 0) values = values.first(static_cast<size_t>(dimensions));
  embedding.assign(values.begin(), values.end());
  if (normalize) engine::scale_to_unit_length(embedding);
  return {};
}

void append_floats(std::span<const float> values, std::string& out) {
  char before = '[';
  for (const float value : values) {
    out += before;
    rows::append_float(value, out);
    before = ',';
  }
  out += values.empty() ? "[]" : "]";
}

Status append_similarities(const engine::Request& request, std::string& out) {
  std::vector<float> source, other;
  TILEWISE_RETURN_IF_ERROR(make_embedding(request.values(0, 0), 0, true, source));
  std::vector<float> similarities;
  for (size_t i = 1; i < request.size(); ++i) {
    TILEWISE_RETURN_IF_ERROR(make_embedding(request.values(i, 0), 0, true, other));
    double product = 0;
    for (size_t d = 0; d < other.size(); ++d) product += double{source[d]} * other[d];
    similarities.push_back(static_cast<float>(product));
  }
  append_floats(similarities, out);
  return {};
}

void append_tokens(const text::Tokenizer& tokenizer, std::span<const int32_t> ids,
                   std::string& out) {
  char before = '[';
  for (const int32_t id : ids) {
    out += before;
    out += "{\"id\":";
    out += std::to_string(id);
    out += ",\"text\":";
    rows::append_json_string(tokenizer.token(id), out);
    out += ",\"special\":";
    out += tokenizer.is_special(id) ? "true" : "false";
    out += ",\"start\":null,\"stop\":null}";
    before = ',';
  }
  out += ids.empty() ? "[]" : "]";
}

void append_texts(const text::Tokenizer& tokenizer, const DecodeCall& call, std::string& out) {
  char before = '[';
  for (const std::vector<int32_t>& ids : call.ids) {
    out += before;
    rows::append_json_string(text::decode(tokenizer, ids, call.skip_special_tokens), out);
    before = ',';
  }
  out += call.ids.empty() ? "[]" : "]";
}

void append_info(const engine::TaskEntry& described, const artifact::Metadata& metadata,
                 std::span<const engine::TaskEntry> tasks, const Settings& settings,
                 std::string& out) {
  const model::Task& task = *described.task;
  const std::vector<model::Provenance::Source>& sources = metadata.provenance.sources;
  rows::JsonWriter json;
  json.begin_object().key("model_id").string(described.target.model_name).key("model_sha");
  sources.empty() ? json.null() : json.string(sources.front().sha256);
  json.key("model_dtype").string(dtype_of(metadata.precision));
  json.key("served_model_name").string(described.name).key("model_type");
  append_model_type(task, json);
  json.key("max_concurrent_requests").integer(settings.service.batcher.most_waiting);
  json.key("max_input_length").integer(task.max_tokens);
  json.key("max_batch_tokens").integer(int64_t{settings.limits.batch_inputs} * task.max_tokens);
  json.key("max_batch_requests").null();
  json.key("max_client_batch_size").integer(settings.limits.batch_inputs);
  json.key("auto_truncate").boolean(settings.auto_truncate);
  json.key("tokenization_workers").integer(settings.io_threads);
  json.key("version").string(TILEWISE_VERSION).key("sha").null().key("docker_label").null();
  json.key("tasks").begin_array();
  for (const engine::TaskEntry& served : tasks) {
    json.begin_object().key("name").string(served.name);
    json.key("kind").string(model::name_of(served.task->kind));
    json.key("input").string(model::name_of(served.task->input));
    json.key("max_input_length").integer(served.task->max_tokens).end_object();
  }
  json.end_array().end_object();
  out += json.text();
}

}  // namespace tilewise::server::tei
