#include "compile/compile.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "artifact/reader.h"
#include "artifact/schema.h"
#include "artifact/writer.h"
#include "base/clock.h"
#include "compile/draft.h"
#include "compile/passes.h"
#include "compile/verify.h"

namespace tilewise::compile {
namespace {

bool is_int8(const Draft& draft) { return draft.metadata.precision == model::Precision::int8; }

bool has_positions_in_attention(const Draft& draft) {
  const model::EncoderSpec& spec = draft.model.spec;
  return spec.relative_buckets > 0 || spec.positions == model::Positions::rotary;
}

struct Pass {
  const char* name;
  Result<std::string> (*run)(Draft&);
  bool may_be_skipped;
  bool (*applies)(const Draft&) = nullptr;  ///< null: to every model
};

constexpr std::array kPasses = {
    Pass{"merge_adapter", merge_adapter, true},  // W + scale B A
    Pass{"fold_scales", fold_scales, false},     // softmax needs no factor and no base e
    Pass{"fuse_qkv", fuse_qkv, false},           // one product instead of three
    Pass{"tabulate_positions", tabulate_positions, false, has_positions_in_attention},
    Pass{"build_tokenizer", build_tokenizer, false},     // text -> ids without parsing JSON
    Pass{"calibrate", calibrate, false, is_int8},        // where int8 is good enough
    Pass{"quantize", quantize_weights, false, is_int8},  // these two passes lose digits,
    Pass{"cast", cast_weights, false},                   // no other, and it is recorded
    Pass{"pack", pack_weights, false},                   // as the kernels stream them
};

Status check_options(const Options& options) {
  if (options.precision != model::Precision::int8 && !options.calibration.empty()) {
    return invalid_argument({.what = "Only int8 is calibrated",
                             .where = "calibration",
                             .expected = "none, or precision int8",
                             .found = fmt::format("rows for {}", options.calibration[0].task),
                             .remedy = "Compile with --precision int8, or leave the rows out"});
  }
  std::vector<std::string> skippable;
  for (const Pass& pass : kPasses) {
    if (pass.may_be_skipped) skippable.emplace_back(pass.name);
  }
  for (const std::string& name : options.disabled_passes) {
    if (std::ranges::find(skippable, name) == skippable.end()) {
      return invalid_argument({.what = "This pass cannot be disabled",
                               .where = "disabled passes",
                               .expected = fmt::format("{}", fmt::join(skippable, ", ")),
                               .found = name,
                               .remedy = ""});
    }
  }
  return {};
}

/// An int8 layer as it is without calibration; what follows the activation has a floor, unless a
/// gate multiplies it.
artifact::LinearPrecision uncalibrated(const artifact::LinearLayer& layer,
                                       const model::EncoderSpec& spec) {
  artifact::LinearPrecision linear{.layer = layer.name};
  if (layer.inputs > artifact::kMaxInt8Inputs) {
    linear.precision = model::Precision::bf16;
  } else if (layer.name.ends_with(".ffn_down") && !spec.is_gated) {
    linear.input_floor = floor_of(spec.activation);
  }
  return linear;
}

Draft make_draft(model::Model model, const Options& options) {
  Draft draft;
  const model::Precision precision = options.precision;
  draft.metadata.compiler = "tilewise " TILEWISE_VERSION;
  draft.metadata.spec = model.spec;
  draft.metadata.precision = precision;
  draft.metadata.provenance = model.provenance;
  for (const model::TaskWithHead& task : model.tasks) {
    artifact::TaskEntry entry{.task = task.task};
    if (task.head && task.head->dense) {
      entry.has_dense = true;
      entry.dense_activation = task.head->dense->activation;
      entry.dense_norm = task.head->dense->norm.has_value();
    }
    draft.metadata.tasks.push_back(std::move(entry));
  }
  if (precision == model::Precision::int8) {
    for (const artifact::LinearLayer& layer : artifact::linear_layers(model.spec)) {
      draft.metadata.linears.push_back(uncalibrated(layer, model.spec));
      draft.inputs.push_back({.smooth = {}, .floor = draft.metadata.linears.back().input_floor});
    }
  }
  draft.calibration = options.calibration;
  draft.most_error = options.most_error;
  draft.model = std::move(model);
  return draft;
}

/// Writes the file and opens it again: what was promised to the reader is checked before anybody
/// relies on it.
Result<std::string> write_artifact(const Draft& draft, const std::string& path, size_t& bytes) {
  TILEWISE_RETURN_IF_ERROR(artifact::write(path, draft.metadata, draft.tensors));
  TILEWISE_ASSIGN_OR_RETURN(const auto written, artifact::Artifact::open(path));
  TILEWISE_RETURN_IF_ERROR(written->verify());
  bytes = written->file_bytes();
  return fmt::format("{:.1f} MB, fingerprint {}", static_cast<double>(bytes) * 1e-6,
                     written->fingerprint());
}

}  // namespace

Result<Report> compile(model::Model model, const Options& options, const std::string& path) {
  TILEWISE_RETURN_IF_ERROR(check_options(options));
  const SteadyClock clock;
  Report report;
  Draft draft = make_draft(std::move(model), options);
  TILEWISE_RETURN_IF_ERROR(verify_input(draft));

  for (const Pass& pass : kPasses) {
    if (pass.applies != nullptr && !pass.applies(draft)) continue;
    if (std::ranges::find(options.disabled_passes, pass.name) != options.disabled_passes.end()) {
      draft.metadata.numerics.push_back({fmt::format("pass {}", pass.name), "disabled"});
      report.passes.push_back({pass.name, 0, "disabled"});
      continue;
    }
    const Time start = clock.now();
    TILEWISE_ASSIGN_OR_RETURN(std::string detail, pass.run(draft));
    report.passes.push_back({pass.name, seconds_between(start, clock.now()), std::move(detail)});
    TILEWISE_RETURN_IF_ERROR(verify_weights(draft, fmt::format("after pass {}", pass.name)));
  }

  const Time start = clock.now();
  TILEWISE_ASSIGN_OR_RETURN(std::string detail, write_artifact(draft, path, report.artifact_bytes));
  report.passes.push_back({"write", seconds_between(start, clock.now()), std::move(detail)});
  report.rejected = std::move(draft.rejected);
  report.metadata = std::move(draft.metadata);
  return report;
}

}  // namespace tilewise::compile
