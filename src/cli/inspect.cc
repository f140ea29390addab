// tilewise inspect MODEL.tw: what a compiled model is, can answer, and came from.
#include <algorithm>
#include <memory>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "artifact/reader.h"
#include "cli/flags.h"
#include "cli/precision_report.h"
#include "cli/verbs.h"
#include "rows/json_writer.h"
#include "runtime/kernel_choice.h"

namespace tilewise::cli {
namespace {

using artifact::Artifact;
using artifact::Metadata;
using artifact::TaskEntry;

struct InspectFlags {
  std::string path;
  IsaFlag isa;
  bool json = false;
  bool verify = false;  // given or not: inspect always does
};

constexpr size_t kShownLabels = 8;

std::string describe_template(const model::InputTemplate& record_template) {
  std::string text;
  for (const auto& field : record_template.fields) {
    if (!text.empty()) text += record_template.separator;
    text += fmt::format("{}{{{}}}", field.prefix, field.name);
  }
  return text.empty() ? "none: plain strings only" : text;
}

std::string describe_labels(const std::vector<std::string>& labels) {
  const auto shown = std::span(labels).first(std::min(labels.size(), kShownLabels));
  return fmt::format("{}: {}{}", labels.size(), fmt::join(shown, ", "),
                     shown.size() < labels.size() ? ", ... (all with --json)" : "");
}

std::string describe_exit(const model::Exit& exit) {
  std::string text =
      fmt::format("after layer {}: probability >= {}", exit.after_layer, exit.confidence);
  if (exit.temperature != 1) text += fmt::format(" at temperature {}", exit.temperature);
  if (exit.below) text += fmt::format(", logsumexp >= {}", *exit.below);
  return text;
}

std::string describe_task(const TaskEntry& entry) {
  const model::Task& task = entry.task;
  std::string text = fmt::format("\ntask {}\n", task.name);
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("  {:<14}{}\n", name, value);
  };
  line("kind", name_of(task.kind));
  line("input", fmt::format("{}, at most {} tokens, {}", name_of(task.input), task.max_tokens,
                            name_of(task.truncation)));
  line("template", describe_template(task.record_template));
  line("pooling",
       fmt::format("{}{}", name_of(task.pooling), task.normalize ? ", scaled to length 1" : ""));
  if (entry.has_dense) line("dense layer", name_of(entry.dense_activation));
  if (!task.labels.empty()) line("labels", describe_labels(task.labels));
  if (task.threshold) line("threshold", fmt::format("logit >= {}", *task.threshold));
  if (task.temperature != 1) line("temperature", fmt::format("{}", task.temperature));
  if (task.out_of_scope)
    line("out of scope", fmt::format("logsumexp < {}", task.out_of_scope->below));
  for (const model::Exit& exit : task.exits) {
    line(&exit == &task.exits.front() ? "exits" : "", describe_exit(exit));
  }
  return text;
}

std::string describe(const Artifact& artifact, const std::string& isa) {
  const Metadata& metadata = artifact.metadata();
  const model::EncoderSpec& spec = metadata.spec;
  std::string text;
  const auto line = [&](const char* name, const std::string& value) {
    text += fmt::format("{:<16}{}\n", name, value);
  };
  line("model", artifact.name());
  line("fingerprint", artifact.fingerprint());
  line("size",
       fmt::format("{:.1f} MB, {} tensors, all checksums right",
                   static_cast<double>(artifact.file_bytes()) * 1e-6, artifact.tensors().size()));
  line("compiler", metadata.compiler);
  line("encoder", fmt::format("{}, {} layers, hidden {}, {} heads, intermediate {}, {}",
                              spec.family, spec.layers, spec.hidden, spec.heads, spec.intermediate,
                              name_of(spec.activation)));
  line("vocabulary",
       fmt::format("{} tokens, at most {} in a sequence", spec.vocab_size, spec.max_positions));
  line("precision", name_of(metadata.precision));
  size_t width = 0;
  for (const auto& numerics : metadata.numerics) width = std::max(width, numerics.operators.size());
  for (const auto& numerics : metadata.numerics) {
    line("", fmt::format("{:<{}}  {}", numerics.operators, width, numerics.stored_as));
  }
  const std::vector<std::string> int8 = describe_int8(metadata);
  for (size_t i = 0; i < int8.size(); ++i) line(i == 0 ? "in int8" : "", int8[i]);
  line("runs here with", isa);
  line("made from", metadata.provenance.architecture);
  for (const auto& source : metadata.provenance.sources) {
    line("", fmt::format("{:<28}sha256 {}", source.file, source.sha256));
  }
  for (const TaskEntry& entry : metadata.tasks) text += describe_task(entry);
  return text;
}

void write_exit(const model::Exit& exit, rows::JsonWriter& json) {
  json.begin_object().key("after_layer").integer(exit.after_layer);
  json.key("confidence").float32(exit.confidence).key("temperature").float32(exit.temperature);
  json.key("below");
  exit.below ? json.float32(*exit.below) : json.null();
  json.end_object();
}

void write_task(const TaskEntry& entry, rows::JsonWriter& json) {
  const model::Task& task = entry.task;
  json.begin_object().key("name").string(task.name).key("kind").string(name_of(task.kind));
  json.key("input").string(name_of(task.input)).key("pooling").string(name_of(task.pooling));
  json.key("labels").begin_array();
  for (const std::string& label : task.labels) json.string(label);
  json.end_array();
  json.key("max_tokens")
      .integer(task.max_tokens)
      .key("truncation")
      .string(name_of(task.truncation));
  json.key("template").begin_object().key("fields").begin_array();
  for (const auto& field : task.record_template.fields) {
    json.begin_array().string(field.name).string(field.prefix).end_array();
  }
  json.end_array().key("separator").string(task.record_template.separator).end_object();
  json.key("threshold");
  task.threshold ? json.float32(*task.threshold) : json.null();
  json.key("temperature").float32(task.temperature);
  json.key("out_of_scope_below");
  task.out_of_scope ? json.float32(task.out_of_scope->below) : json.null();
  json.key("exits").begin_array();
  for (const model::Exit& exit : task.exits) write_exit(exit, json);
  json.end_array();
  json.key("normalize").boolean(task.normalize);
  json.key("dense");
  entry.has_dense ? json.string(name_of(entry.dense_activation)) : json.null();
  json.end_object();
}

void write_spec(const model::EncoderSpec& spec, rows::JsonWriter& json) {
  json.begin_object().key("family").string(spec.family).key("vocab_size").integer(spec.vocab_size);
  json.key("hidden")
      .integer(spec.hidden)
      .key("layers")
      .integer(spec.layers)
      .key("heads")
      .integer(spec.heads);
  json.key("intermediate")
      .integer(spec.intermediate)
      .key("max_positions")
      .integer(spec.max_positions);
  json.key("token_types")
      .integer(spec.token_types)
      .key("activation")
      .string(name_of(spec.activation));
  json.key("norm_epsilon").float32(spec.norm_epsilon).end_object();
}

std::string to_json(const Artifact& artifact, const std::string& isa) {
  const Metadata& metadata = artifact.metadata();
  rows::JsonWriter json;
  json.begin_object()
      .key("model")
      .string(artifact.name())
      .key("fingerprint")
      .string(artifact.fingerprint());
  json.key("bytes").integer(static_cast<int64_t>(artifact.file_bytes()));
  json.key("tensors")
      .integer(static_cast<int64_t>(artifact.tensors().size()))
      .key("verified")
      .boolean(true);
  json.key("compiler")
      .string(metadata.compiler)
      .key("precision")
      .string(name_of(metadata.precision));
  json.key("numerics").begin_object();
  for (const auto& numerics : metadata.numerics)
    json.key(numerics.operators).string(numerics.stored_as);
  json.end_object();
  write_int8(metadata, json);
  json.key("isa").string(isa).key("spec");
  write_spec(metadata.spec, json);
  json.key("provenance")
      .begin_object()
      .key("architecture")
      .string(metadata.provenance.architecture);
  json.key("sources").begin_array();
  for (const auto& source : metadata.provenance.sources) {
    json.begin_object()
        .key("file")
        .string(source.file)
        .key("sha256")
        .string(source.sha256)
        .end_object();
  }
  json.end_array().end_object().key("tasks").begin_array();
  for (const TaskEntry& entry : metadata.tasks) write_task(entry, json);
  json.end_array().end_object();
  return json.text() + "\n";
}

Result<int> run_inspect(const InspectFlags& flags, Session& session) {
  TILEWISE_ASSIGN_OR_RETURN(const std::optional<Isa> forced, flags.isa.forced());
  TILEWISE_ASSIGN_OR_RETURN(const auto artifact, Artifact::open(flags.path));
  TILEWISE_RETURN_IF_ERROR(artifact->verify());
  TILEWISE_ASSIGN_OR_RETURN(
      const runtime::KernelChoice kernels,
      runtime::choose_kernels(cpu_features(), artifact->metadata().precision, forced));
  const std::string isa = kernels.isa();
  TILEWISE_RETURN_IF_ERROR(
      session.out.write(flags.json ? to_json(*artifact, isa) : describe(*artifact, isa)));
  return 0;
}

}  // namespace

void add_inspect(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand(
      "inspect", "Tasks, labels, precision and origin of a model; checks its checksums");
  auto flags = std::make_shared<InspectFlags>();
  verb->add_option("MODEL", flags->path, "A compiled model, *.tw")->required()->type_name("");
  flags->isa.add_to(*verb);
  verb->add_flag("--json", flags->json, "One JSON object with everything");
  verb->add_flag("--verify", flags->verify,
                 "Compare the checksum of every tensor (inspect always does)");
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return run_inspect(*flags, session); };
  });
}

}  // namespace tilewise::cli
