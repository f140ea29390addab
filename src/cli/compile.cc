// tilewise compile FOLDER -o MODEL.tw: a checkpoint becomes one file that every processor can run.
#include "compile/compile.h"

#include <memory>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/verbs.h"

namespace tilewise::cli {
namespace {

struct CompileFlags {
  checkpoint::Source source;
  std::string precision = "bf16";
  std::string output;
  std::vector<std::string> disabled_passes;
};

Result<model::Precision> parse_precision(const std::string& name) {
  if (name == "bf16") return model::Precision::bf16;
  if (name == "fp32") return model::Precision::fp32;
  return invalid_argument({.what = name == "int8" ? "int8 is not there yet" : "unknown precision",
                           .where = "--precision",
                           .expected = "bf16 or fp32",
                           .found = name});
}

void report_pass(const compile::PassReport& pass) {
  log_info(fmt::format("{:<16} {:8.1f} ms  {}", pass.name, pass.seconds * 1e3, pass.detail));
}

Result<int> run_compile(const CompileFlags& flags, Session&) {
  const SteadyClock clock;
  const Time start = clock.now();
  TILEWISE_ASSIGN_OR_RETURN(const model::Precision precision, parse_precision(flags.precision));
  TILEWISE_ASSIGN_OR_RETURN(model::Model model, compile::load_model(flags.source));
  report_pass({"load", seconds_between(start, clock.now()),
               fmt::format("{}, {} layers, {} tasks", model.spec.family, model.spec.layers,
                           model.tasks.size())});
  TILEWISE_ASSIGN_OR_RETURN(
      const compile::Report report,
      compile::compile(std::move(model),
                       {.precision = precision, .disabled_passes = flags.disabled_passes},
                       flags.output));
  for (const compile::PassReport& pass : report.passes) report_pass(pass);
  log_info(fmt::format("wrote {} in {:.2f} s", flags.output, seconds_between(start, clock.now())));
  return 0;
}

}  // namespace

void add_compile(CLI::App& app, Action& action) {
  CLI::App* verb = app.add_subcommand("compile", "Compile a checkpoint into one file, MODEL.tw");
  auto flags = std::make_shared<CompileFlags>();
  verb->add_option("FOLDER", flags->source.folder, "A Hugging Face folder, or one with tasks.json")
      ->required()
      ->type_name("");
  verb->add_option("--backbone", flags->source.backbone,
                   "Folder of the backbone, where it lies elsewhere")
      ->type_name("DIR");
  verb->add_option("--precision", flags->precision,
                   "bf16 or fp32: how the linear layers are stored (default bf16)")
      ->type_name("P");
  verb->add_option("-o,--output", flags->output,
                   "The file to write; it appears whole or not at all")
      ->required()
      ->type_name("MODEL.tw");
  verb->add_option("--disable-pass", flags->disabled_passes,
                   "Leave a pass of the compiler out, for debugging")
      ->type_name("PASS")
      ->allow_extra_args(false);
  verb->callback([&action, flags] {
    action = [flags](Session& session) { return run_compile(*flags, session); };
  });
}

}  // namespace tilewise::cli
