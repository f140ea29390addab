// Metadata to canonical JSON (FORMAT.md, "Metadata").
#include <string>

#include <fmt/format.h>

#include "artifact/format.h"
#include "artifact/json_text.h"
#include "artifact/metadata.h"

namespace tilewise::artifact {
namespace {

using model::Task;

template <class Range, class Write>
std::string array(const Range& items, Write write) {
  std::string out = "[";
  for (const auto& item : items) {
    if (out.size() > 1) out += ',';
    out += write(item);
  }
  return out += ']';
}

/// What an encoder has from version 3 on; it begins with a comma.
std::string keys_of_version_3(const model::EncoderSpec& spec) {
  return fmt::format(
      R"(,"embedding_size":{},"norm_placement":"{}","gated":{},"positions":"{}","rotary_base":{},)"
      R"("rotary_base_local":{},"window":{},"global_every":{},"relative_buckets":{},)"
      R"("relative_distance":{})",
      spec.embedding_size, name_of(spec.norm_placement), spec.is_gated, name_of(spec.positions),
      json_number(spec.rotary_base), json_number(spec.rotary_base_local), spec.window,
      spec.global_every, spec.relative_buckets, spec.relative_distance);
}

std::string to_json(const model::EncoderSpec& spec, uint32_t version) {
  return fmt::format(
      R"({{"family":{},"vocab_size":{},"hidden":{},"layers":{},"heads":{},"intermediate":{},)"
      R"("max_positions":{},"token_types":{},"activation":"{}","norm_epsilon":{}{}}})",
      json_text(spec.family), spec.vocab_size, spec.hidden, spec.layers, spec.heads,
      spec.intermediate, spec.max_positions, spec.token_types, name_of(spec.activation),
      json_number(spec.norm_epsilon), version >= 3 ? keys_of_version_3(spec) : "");
}

std::string to_json(const model::InputTemplate& record_template) {
  const auto field = [](const model::InputTemplate::Field& f) {
    return fmt::format("[{},{}]", json_text(f.name), json_text(f.prefix));
  };
  return fmt::format(R"({{"fields":{},"separator":{}}})", array(record_template.fields, field),
                     json_text(record_template.separator));
}

std::string number_or_null(const std::optional<float>& value) {
  return value ? json_number(*value) : std::string("null");
}

std::string to_json(const model::Exit& exit) {
  return fmt::format(R"({{"after_layer":{},"confidence":{},"temperature":{},"below":{}}})",
                     exit.after_layer, json_number(exit.confidence), json_number(exit.temperature),
                     number_or_null(exit.below));
}

/// What a task has from version 3 on; it begins with a comma.
std::string keys_of_version_3(const TaskEntry& entry) {
  const auto exit = [](const model::Exit& e) { return to_json(e); };
  return fmt::format(R"(,"dense_norm":{},"exits":{})", entry.dense_norm,
                     array(entry.task.exits, exit));
}

std::string to_json(const TaskEntry& entry, uint32_t version) {
  const Task& task = entry.task;
  const std::string out_of_scope = task.out_of_scope
                                       ? fmt::format(R"({{"score":"logsumexp","below":{}}})",
                                                     json_number(task.out_of_scope->below))
                                       : "null";
  const std::string dense =
      entry.has_dense ? fmt::format(R"("{}")", name_of(entry.dense_activation)) : "null";
  return fmt::format(
      R"({{"name":{},"kind":"{}","input":"{}","pooling":"{}","labels":{},"max_tokens":{},)"
      R"("truncation":"{}","template":{},"threshold":{},"temperature":{},"out_of_scope":{},)"
      R"("normalize":{},"dense":{}{}}})",
      json_text(task.name), name_of(task.kind), name_of(task.input), name_of(task.pooling),
      array(task.labels, json_text), task.max_tokens, name_of(task.truncation),
      to_json(task.record_template), number_or_null(task.threshold), json_number(task.temperature),
      out_of_scope, task.normalize, dense, version >= 3 ? keys_of_version_3(entry) : "");
}

std::string to_json(const LinearPrecision& linear) {
  return fmt::format(R"({{"layer":{},"precision":"{}","smoothed":{},"input_floor":{},"error":{}}})",
                     json_text(linear.layer), name_of(linear.precision), linear.is_smoothed,
                     number_or_null(linear.input_floor), number_or_null(linear.error));
}

std::string to_json(const CalibrationRows& calibration) {
  return fmt::format(R"({{"task":{},"rows":{},"sha256":{},"error":{}}})",
                     json_text(calibration.task), calibration.rows,
                     calibration.sha256 ? json_text(*calibration.sha256) : "null",
                     json_number(calibration.error));
}

/// What only an int8 model has; it begins with a comma.
std::string int8_keys(const Metadata& metadata) {
  if (metadata.precision != model::Precision::int8) return {};
  return fmt::format(
      R"(,"linears":{},"calibration":{})",
      array(metadata.linears, [](const LinearPrecision& linear) { return to_json(linear); }),
      array(metadata.calibration, [](const CalibrationRows& rows) { return to_json(rows); }));
}

std::string to_json(const model::Provenance& provenance) {
  const auto source = [](const model::Provenance::Source& s) {
    return fmt::format(R"({{"file":{},"sha256":{}}})", json_text(s.file), json_text(s.sha256));
  };
  return fmt::format(R"({{"architecture":{},"sources":{}}})", json_text(provenance.architecture),
                     array(provenance.sources, source));
}

}  // namespace

std::string to_json(const Metadata& metadata) {
  const uint32_t version = format::version_of(metadata);
  const auto task = [version](const TaskEntry& entry) { return to_json(entry, version); };
  const auto line = [](const OperatorPrecision& p) {
    return fmt::format(R"({{"operators":{},"stored_as":{}}})", json_text(p.operators),
                       json_text(p.stored_as));
  };
  return fmt::format(
      R"({{"compiler":{},"precision":"{}","encoder":{},"tasks":{},"numerics":{}{},"provenance":{}}})",
      json_text(metadata.compiler), name_of(metadata.precision), to_json(metadata.spec, version),
      array(metadata.tasks, task), array(metadata.numerics, line), int8_keys(metadata),
      to_json(metadata.provenance));
}

}  // namespace tilewise::artifact
