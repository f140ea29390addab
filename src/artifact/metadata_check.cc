// The ranges of FORMAT.md, for metadata that are about to be written and for those that were read.
#include <algorithm>
#include <cmath>
#include <string>
#include <string_view>
#include <unordered_set>

#include <fmt/format.h>
#include <simdjson.h>

#include "artifact/metadata.h"
#include "artifact/schema.h"

namespace tilewise::artifact {
namespace {

using model::EncoderSpec;
using model::InputKind;
using model::Precision;
using model::Task;
using model::TaskKind;

constexpr size_t kMaxNameBytes = 64;
constexpr size_t kMaxTaskNameBytes = 128;
constexpr size_t kMaxTextBytes = 4096;
constexpr size_t kMaxNoteBytes = 256;
constexpr size_t kMaxLabels = size_t{1} << 20;
constexpr size_t kMaxTasks = 65536;
constexpr size_t kMaxFields = 1024;
constexpr size_t kMaxNumerics = 64;
constexpr size_t kMaxSources = 1024;
constexpr size_t kSha256Digits = 64;

constexpr std::string_view kLower = "abcdefghijklmnopqrstuvwxyz";
constexpr std::string_view kUpper = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
constexpr std::string_view kDigits = "0123456789";

Status wrong(std::string where, std::string expected, std::string found) {
  return invalid_input({.what = "The model's description has a value that cannot be",
                        .where = std::move(where),
                        .expected = std::move(expected),
                        .found = std::move(found),
                        .remedy = ""});
}

Status check_range(std::string_view where, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return {};
  return wrong(std::string(where), fmt::format("{} to {}", least, most), fmt::to_string(value));
}

Status check_count(const std::string& where, size_t value, size_t least, size_t most) {
  return check_range(where, static_cast<int64_t>(value), static_cast<int64_t>(least),
                     static_cast<int64_t>(most));
}

/// Any UTF-8 of such a length.
Status check_text(const std::string& where, std::string_view text, size_t least, size_t most) {
  if (text.size() < least || text.size() > most) {
    return wrong(where, fmt::format("{} to {} bytes of text", least, most),
                 fmt::format("{} bytes", text.size()));
  }
  if (!simdjson::validate_utf8(text.data(), text.size())) {
    return wrong(where, "UTF-8", "bytes that are not");
  }
  return {};
}

/// Text of `allowed` characters only.
Status check_characters(const std::string& where, std::string_view text,
                        std::initializer_list<std::string_view> allowed) {
  for (const char c : text) {
    const auto contains = [c](std::string_view set) { return set.find(c) != set.npos; };
    if (!std::any_of(allowed.begin(), allowed.end(), contains)) {
      return wrong(where, fmt::format("only characters of {}", fmt::join(allowed, " ")),
                   fmt::format("\"{}\"", text));
    }
  }
  return {};
}

Status check_finite(const std::string& where, float value) {
  return std::isfinite(value) ? Status() : wrong(where, "a finite number", fmt::to_string(value));
}

/// A relative RMS error.
Status check_error(const std::string& where, float value) {
  return std::isfinite(value) && value >= 0
             ? Status()
             : wrong(where, "a finite number, at least 0", fmt::to_string(value));
}

Status check_sha256(const std::string& where, std::string_view digits) {
  TILEWISE_RETURN_IF_ERROR(check_text(where, digits, kSha256Digits, kSha256Digits));
  return check_characters(where, digits, {kDigits, "abcdef"});
}

Status check_base(const std::string& where, float base, bool is_used) {
  const bool is_right = is_used ? base > 1 && std::isfinite(base) : base == 0;
  return is_right ? Status()
                  : wrong(where, is_used ? "a finite number over 1" : "0, as nothing uses it",
                          fmt::to_string(base));
}

Status check_rotary(const EncoderSpec& spec) {
  const bool is_rotary = spec.positions == model::Positions::rotary;
  if (is_rotary && spec.head_dim() % 2 != 0) {
    return wrong("encoder.hidden / encoder.heads", "even, as positions are rotary",
                 fmt::to_string(spec.head_dim()));
  }
  TILEWISE_RETURN_IF_ERROR(check_base("encoder.rotary_base", spec.rotary_base, is_rotary));
  return check_base("encoder.rotary_base_local", spec.rotary_base_local,
                    is_rotary && spec.window > 0);
}

Status check_window(const EncoderSpec& spec) {
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.window", spec.window, 0, 1 << 20));
  return check_range("encoder.global_every", spec.global_every, spec.window > 0 ? 2 : 1,
                     spec.window > 0 ? 1024 : 1);
}

/// A quarter of the buckets is exact, and the logarithm starts there.
Status check_relative(const EncoderSpec& spec) {
  const int32_t buckets = spec.relative_buckets;
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.relative_buckets", buckets, 0, 4096));
  if (buckets % 4 != 0) {
    return wrong("encoder.relative_buckets", "a multiple of 4", fmt::to_string(buckets));
  }
  if (buckets == 0)
    return check_range("encoder.relative_distance", spec.relative_distance, 128, 128);
  return check_range("encoder.relative_distance", spec.relative_distance, buckets / 4 + 1, 1 << 20);
}

Status check_encoder(const EncoderSpec& spec) {
  TILEWISE_RETURN_IF_ERROR(check_text("encoder.family", spec.family, 1, kMaxNameBytes));
  TILEWISE_RETURN_IF_ERROR(
      check_characters("encoder.family", spec.family, {kLower, kDigits, "_-"}));
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.vocab_size", spec.vocab_size, 1, 1 << 22));
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.hidden", spec.hidden, 1, 65536));
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.layers", spec.layers, 1, 1024));
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.heads", spec.heads, 1, 4096));
  if (spec.hidden % spec.heads != 0) {
    return wrong("encoder.hidden", fmt::format("a multiple of the {} heads", spec.heads),
                 fmt::to_string(spec.hidden));
  }
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.hidden / encoder.heads", spec.head_dim(), 1, 256));
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.intermediate", spec.intermediate, 1, 262144));
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.max_positions", spec.max_positions, 2, 1 << 20));
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.token_types", spec.token_types, 0, 1024));
  if (!(spec.norm_epsilon > 0 && spec.norm_epsilon <= 1)) {
    return wrong("encoder.norm_epsilon", "over 0, at most 1", fmt::to_string(spec.norm_epsilon));
  }
  TILEWISE_RETURN_IF_ERROR(check_range("encoder.embedding_size", spec.embedding_size, 0, 65536));
  if (spec.embedding_size == spec.hidden) {
    return wrong("encoder.embedding_size", "0 where it is the hidden size",
                 fmt::to_string(spec.embedding_size));
  }
  TILEWISE_RETURN_IF_ERROR(check_window(spec));
  TILEWISE_RETURN_IF_ERROR(check_rotary(spec));
  return check_relative(spec);
}

Status check_task_name(const std::string& where, const std::string& name) {
  TILEWISE_RETURN_IF_ERROR(check_text(where, name, 1, kMaxTaskNameBytes));
  TILEWISE_RETURN_IF_ERROR(check_characters(where, name, {kUpper, kLower, kDigits, "._-"}));
  const bool starts_well = std::string_view("._-").find(name.front()) == std::string_view::npos;
  return starts_well ? Status()
                     : wrong(where, "a letter or a digit first", fmt::format("\"{}\"", name));
}

Status check_labels(const std::string& where, const Task& task) {
  size_t least = 0;
  size_t most = 0;
  switch (task.kind) {
    case TaskKind::binary:
      least = most = 1;
      break;
    case TaskKind::multiclass:
      least = 2, most = kMaxLabels;
      break;
    case TaskKind::multilabel:
      least = 1, most = kMaxLabels;
      break;
    case TaskKind::regression:
    case TaskKind::embedding:
      break;
  }
  if (task.labels.size() < least || task.labels.size() > most) {
    return wrong(where,
                 fmt::format("{} to {} labels for a {} task", least, most, name_of(task.kind)),
                 fmt::to_string(task.labels.size()));
  }
  for (size_t i = 0; i < task.labels.size(); ++i) {
    TILEWISE_RETURN_IF_ERROR(
        check_text(fmt::format("{}[{}]", where, i), task.labels[i], 1, kMaxTextBytes));
  }
  return {};
}

Status check_template(const std::string& where, const model::InputTemplate& record_template) {
  TILEWISE_RETURN_IF_ERROR(
      check_count(where + ".fields", record_template.fields.size(), 0, kMaxFields));
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < record_template.fields.size(); ++i) {
    const auto& field = record_template.fields[i];
    const std::string at = fmt::format("{}.fields[{}]", where, i);
    TILEWISE_RETURN_IF_ERROR(check_text(at, field.name, 1, kMaxTextBytes));
    TILEWISE_RETURN_IF_ERROR(check_text(at, field.prefix, 0, kMaxTextBytes));
    if (!seen.insert(field.name).second) {
      return wrong(at, "each field once", fmt::format("\"{}\" again", field.name));
    }
  }
  return check_text(where + ".separator", record_template.separator, 0, kMaxTextBytes);
}

/// What a task's input asks of the encoder: room for the special tokens, and a token type for the
/// second of a pair.
Status check_input(const std::string& where, const Task& task, const EncoderSpec& spec) {
  const bool is_pair = task.input == InputKind::pair;
  if (is_pair && spec.token_types == 1) {
    return wrong(where + ".input", "text, as the encoder has one token type only", "pair");
  }
  if (!is_pair && task.truncation == model::Truncation::only_second) {
    return wrong(where + ".truncation", "longest_first or only_first for a text", "only_second");
  }
  return check_range(where + ".max_tokens", task.max_tokens, is_pair ? 3 : 2, spec.max_positions);
}

/// Values that only some kinds of task may have.
Status check_decision(const std::string& where, const Task& task) {
  const bool takes_threshold = task.kind == TaskKind::binary || task.kind == TaskKind::multilabel;
  if (task.threshold) {
    TILEWISE_RETURN_IF_ERROR(check_finite(where + ".threshold", *task.threshold));
    if (!takes_threshold) {
      return wrong(where + ".threshold", fmt::format("null for a {} task", name_of(task.kind)),
                   fmt::to_string(*task.threshold));
    }
  }
  if (!(task.temperature > 0) || !std::isfinite(task.temperature)) {
    return wrong(where + ".temperature", "a finite number over 0",
                 fmt::to_string(task.temperature));
  }
  if (task.out_of_scope) {
    TILEWISE_RETURN_IF_ERROR(check_finite(where + ".out_of_scope.below", task.out_of_scope->below));
    if (task.kind != TaskKind::multiclass) {
      return wrong(where + ".out_of_scope", fmt::format("null for a {} task", name_of(task.kind)),
                   fmt::to_string(task.out_of_scope->below));
    }
  }
  if (task.normalize && task.kind != TaskKind::embedding) {
    return wrong(where + ".normalize", fmt::format("false for a {} task", name_of(task.kind)),
                 "true");
  }
  return {};
}

/// A sequence must be able to go on, so after a layer that is not the last; and a confidence that
/// every answer has would make the layers behind it useless.
Status check_exit(const std::string& where, const Task& task, const model::Exit& exit,
                  int32_t first_layer, int32_t layers) {
  TILEWISE_RETURN_IF_ERROR(
      check_range(where + ".after_layer", exit.after_layer, first_layer, layers - 1));
  const size_t classes = task.kind == TaskKind::binary ? 2 : task.labels.size();
  if (!(exit.confidence > 1.0 / static_cast<double>(classes)) || exit.confidence > 1) {
    return wrong(where + ".confidence", fmt::format("over 1/{}, at most 1", classes),
                 fmt::to_string(exit.confidence));
  }
  if (!(exit.temperature > 0) || !std::isfinite(exit.temperature)) {
    return wrong(where + ".temperature", "a finite number over 0",
                 fmt::to_string(exit.temperature));
  }
  if (exit.below.has_value() != task.out_of_scope.has_value()) {
    return wrong(where + ".below",
                 task.out_of_scope ? "a number, as the task has out_of_scope"
                                   : "null, as the task has no out_of_scope",
                 exit.below ? fmt::to_string(*exit.below) : "null");
  }
  return exit.below ? check_finite(where + ".below", *exit.below) : Status();
}

Status check_exits(const std::string& where, const Task& task, int32_t layers) {
  const bool takes_exits = task.kind == TaskKind::binary || task.kind == TaskKind::multiclass;
  if (!task.exits.empty() && !takes_exits) {
    return wrong(where, fmt::format("none for a {} task", name_of(task.kind)), "some");
  }
  int32_t first_layer = 1;
  for (size_t i = 0; i < task.exits.size(); ++i) {
    const std::string at = fmt::format("{}[{}]", where, i);
    TILEWISE_RETURN_IF_ERROR(check_exit(at, task, task.exits[i], first_layer, layers));
    first_layer = task.exits[i].after_layer + 1;
  }
  return {};
}

Status check_task(const std::string& where, const TaskEntry& entry, const EncoderSpec& spec) {
  const Task& task = entry.task;
  TILEWISE_RETURN_IF_ERROR(check_task_name(where + ".name", task.name));
  TILEWISE_RETURN_IF_ERROR(check_labels(where + ".labels", task));
  TILEWISE_RETURN_IF_ERROR(check_input(where, task, spec));
  TILEWISE_RETURN_IF_ERROR(check_template(where + ".template", task.record_template));
  TILEWISE_RETURN_IF_ERROR(check_decision(where, task));
  TILEWISE_RETURN_IF_ERROR(check_exits(where + ".exits", task, spec.layers));
  if (entry.has_dense && task.kind == TaskKind::embedding) {
    return wrong(where + ".dense", "null for an embedding task", name_of(entry.dense_activation));
  }
  if (entry.dense_norm && !entry.has_dense) {
    return wrong(where + ".dense_norm", "false without a dense layer", "true");
  }
  return {};
}

Status check_tasks(const Metadata& metadata) {
  TILEWISE_RETURN_IF_ERROR(check_count("tasks", metadata.tasks.size(), 1, kMaxTasks));
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < metadata.tasks.size(); ++i) {
    const std::string where = fmt::format("tasks[{}]", i);
    TILEWISE_RETURN_IF_ERROR(check_task(where, metadata.tasks[i], metadata.spec));
    const std::string& name = metadata.tasks[i].task.name;
    if (!seen.insert(name).second) {
      return wrong(where + ".name", "each task once", fmt::format("\"{}\" again", name));
    }
  }
  return {};
}

Status check_numerics(const std::vector<OperatorPrecision>& numerics) {
  TILEWISE_RETURN_IF_ERROR(check_count("numerics", numerics.size(), 0, kMaxNumerics));
  for (size_t i = 0; i < numerics.size(); ++i) {
    const std::string where = fmt::format("numerics[{}]", i);
    TILEWISE_RETURN_IF_ERROR(
        check_text(where + ".operators", numerics[i].operators, 1, kMaxNoteBytes));
    TILEWISE_RETURN_IF_ERROR(
        check_text(where + ".stored_as", numerics[i].stored_as, 1, kMaxNoteBytes));
  }
  return {};
}

/// The runtime relies on it: the layers by their names, each in a type that it has kernels for.
Status check_linears(const Metadata& metadata) {
  const std::vector<LinearLayer> layers = linear_layers(metadata.spec);
  if (metadata.linears.size() != layers.size()) {
    return wrong("linears", fmt::format("the {} linear layers of the encoder", layers.size()),
                 fmt::to_string(metadata.linears.size()));
  }
  for (size_t i = 0; i < layers.size(); ++i) {
    const LinearPrecision& linear = metadata.linears[i];
    const std::string where = fmt::format("linears[{}]", i);
    const bool is_int8 = linear.precision == Precision::int8;
    if (linear.layer != layers[i].name) {
      return wrong(where + ".layer", layers[i].name, fmt::format("\"{}\"", linear.layer));
    }
    if (!is_int8 && linear.precision != Precision::bf16) {
      return wrong(where + ".precision", "int8 or bf16", name_of(linear.precision));
    }
    if (is_int8 && layers[i].inputs > kMaxInt8Inputs) {
      return wrong(where + ".precision", fmt::format("bf16 for over {} inputs", kMaxInt8Inputs),
                   "int8");
    }
    if (!is_int8 && (linear.is_smoothed || linear.input_floor)) {
      return wrong(where, "no smoothing and no floor for bf16", "one");
    }
    if (linear.input_floor) {
      TILEWISE_RETURN_IF_ERROR(check_finite(where + ".input_floor", *linear.input_floor));
    }
    if (linear.error) TILEWISE_RETURN_IF_ERROR(check_error(where + ".error", *linear.error));
  }
  return {};
}

Status check_calibration(const Metadata& metadata) {
  std::unordered_set<std::string_view> seen;
  for (size_t i = 0; i < metadata.calibration.size(); ++i) {
    const CalibrationRows& calibration = metadata.calibration[i];
    const std::string where = fmt::format("calibration[{}]", i);
    const bool is_task = std::ranges::any_of(metadata.tasks, [&](const TaskEntry& entry) {
      return entry.task.name == calibration.task;
    });
    if (!is_task || !seen.insert(calibration.task).second) {
      return wrong(where + ".task", "a task of the model, each once",
                   fmt::format("\"{}\"", calibration.task));
    }
    TILEWISE_RETURN_IF_ERROR(check_range(where + ".rows", calibration.rows, 1, INT32_MAX));
    if (calibration.sha256) {
      TILEWISE_RETURN_IF_ERROR(check_sha256(where + ".sha256", *calibration.sha256));
    }
    TILEWISE_RETURN_IF_ERROR(check_error(where + ".error", calibration.error));
  }
  return {};
}

/// `linears` and `calibration` are of int8 models alone.
Status check_int8(const Metadata& metadata) {
  if (metadata.precision == Precision::int8) {
    TILEWISE_RETURN_IF_ERROR(check_linears(metadata));
    return check_calibration(metadata);
  }
  if (metadata.linears.empty() && metadata.calibration.empty()) return {};
  return wrong(metadata.linears.empty() ? "calibration" : "linears",
               fmt::format("none for a model in {}", name_of(metadata.precision)), "some");
}

Status check_provenance(const model::Provenance& provenance) {
  TILEWISE_RETURN_IF_ERROR(
      check_text("provenance.architecture", provenance.architecture, 0, kMaxNoteBytes));
  TILEWISE_RETURN_IF_ERROR(
      check_count("provenance.sources", provenance.sources.size(), 0, kMaxSources));
  for (size_t i = 0; i < provenance.sources.size(); ++i) {
    const auto& source = provenance.sources[i];
    const std::string where = fmt::format("provenance.sources[{}]", i);
    TILEWISE_RETURN_IF_ERROR(check_text(where + ".file", source.file, 1, kMaxNoteBytes));
    const bool is_inside =
        source.file.front() != '/' && source.file.find("..") == std::string::npos;
    if (!is_inside) {
      return wrong(where + ".file", "a path inside the checkpoint's folder",
                   fmt::format("\"{}\"", source.file));
    }
    TILEWISE_RETURN_IF_ERROR(check_sha256(where + ".sha256", source.sha256));
  }
  return {};
}

}  // namespace

Status validate(const Metadata& metadata) {
  TILEWISE_RETURN_IF_ERROR(check_text("compiler", metadata.compiler, 1, kMaxNameBytes));
  TILEWISE_RETURN_IF_ERROR(check_encoder(metadata.spec));
  TILEWISE_RETURN_IF_ERROR(check_tasks(metadata));
  TILEWISE_RETURN_IF_ERROR(check_numerics(metadata.numerics));
  TILEWISE_RETURN_IF_ERROR(check_int8(metadata));
  return check_provenance(metadata.provenance);
}

}  // namespace tilewise::artifact
