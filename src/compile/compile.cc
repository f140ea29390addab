#include "compile/compile.h"

#include <algorithm>
#include <array>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "artifact/reader.h"
#include "artifact/writer.h"
#include "base/clock.h"
#include "compile/draft.h"
#include "compile/passes.h"
#include "compile/verify.h"

namespace tilewise::compile {
namespace {

struct Pass {
  const char* name;
  Result<std::string> (*run)(Draft&);
  bool may_be_skipped;
};

constexpr std::array kPasses = {
    Pass{"merge_adapter", merge_adapter, true},       // W + scale B A
    Pass{"fold_scales", fold_scales, false},          // softmax needs no factor and no base e
    Pass{"fuse_qkv", fuse_qkv, false},                // one product instead of three
    Pass{"cast", cast_weights, false},                // the only loss, and it is recorded
    Pass{"build_tokenizer", build_tokenizer, false},  // text -> ids without parsing JSON
    Pass{"pack", pack_weights, false},                // as the kernels stream them
};

Status check_options(const Options& options) {
  if (options.precision == model::Precision::int8) {
    return unsupported({.what = "int8 comes later",
                        .where = "precision",
                        .expected = "bf16 or fp32",
                        .found = "int8",
                        .remedy = "Use bf16"});
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

Draft make_draft(model::Model model, model::Precision precision) {
  Draft draft;
  draft.metadata.compiler = "tilewise " TILEWISE_VERSION;
  draft.metadata.spec = model.spec;
  draft.metadata.precision = precision;
  draft.metadata.provenance = model.provenance;
  for (const model::TaskWithHead& task : model.tasks) {
    artifact::TaskEntry entry{.task = task.task};
    if (task.head && task.head->dense) {
      entry.has_dense = true;
      entry.dense_activation = task.head->dense->activation;
    }
    draft.metadata.tasks.push_back(std::move(entry));
  }
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
  Draft draft = make_draft(std::move(model), options.precision);
  TILEWISE_RETURN_IF_ERROR(verify_input(draft));

  for (const Pass& pass : kPasses) {
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
  return report;
}

}  // namespace tilewise::compile
