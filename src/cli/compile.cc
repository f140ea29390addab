// tilewise compile FOLDER -o MODEL.tw: a checkpoint becomes one file that every processor can run.
#include "compile/compile.h"

#include <algorithm>
#include <memory>

#include <fmt/format.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/calibration_rows.h"
#include "cli/precision_report.h"
#include "cli/verbs.h"
#include "model/task.h"

namespace tilewise::cli {
namespace {

struct CompileFlags {
  checkpoint::Source source;
  std::string precision = "bf16";
  std::vector<std::string> calibrate;
  std::string output;
  std::vector<std::string> disabled_passes;
};

Result<model::Precision> parse_precision(const std::string& name) {
  if (const auto precision = model::parse_name<model::Precision>(name)) return *precision;
  return invalid_argument({.what = "unknown precision",
                           .where = "--precision",
                           .expected = "bf16, int8 or fp32",
                           .found = name,
                           .remedy = "Choose one of them"});
}

/// What the command line says, before anything is read.
Result<std::vector<CalibrateFlag>> parse_calibrations(const CompileFlags& flags) {
  if (!flags.calibrate.empty() && flags.precision != "int8") {
    return invalid_argument({.what = "only int8 is calibrated",
                             .where = "--calibrate",
                             .expected = "--precision int8",
                             .found = "--precision " + flags.precision,
                             .remedy = "Give --precision int8, or leave --calibrate out"});
  }
  std::vector<CalibrateFlag> parsed;
  for (const std::string& text : flags.calibrate) {
    TILEWISE_ASSIGN_OR_RETURN(CalibrateFlag flag, parse_calibrate(text));
    if (std::ranges::find(parsed, flag.task, &CalibrateFlag::task) != parsed.end()) {
      return invalid_argument({.what = "a task is calibrated twice",
                               .where = "--calibrate",
                               .expected = "one file of rows a task",
                               .found = text,
                               .remedy = "Put the rows of " + flag.task + " into one file"});
    }
    parsed.push_back(std::move(flag));
  }
  return parsed;
}

Result<std::vector<compile::Calibration>> read_calibrations(const std::vector<CalibrateFlag>& flags,
                                                            const model::Model& model) {
  std::vector<compile::Calibration> calibrations;
  for (const CalibrateFlag& flag : flags) {
    TILEWISE_ASSIGN_OR_RETURN(CalibrationRows rows, read_calibration(flag, model));
    if (rows.rejected > 0) {
      log_warn(fmt::format("{} of {} rows of {} are left out, the first: {}", rows.rejected,
                           rows.lines, flag.path, rows.first_rejection.message()));
    }
    calibrations.push_back(std::move(rows.calibration));
  }
  return calibrations;
}

void report_pass(const compile::PassReport& pass) {
  log_info(fmt::format("{:<16} {:8.1f} ms  {}", pass.name, pass.seconds * 1e3, pass.detail));
}

void report_precision(const compile::Report& report) {
  for (const compile::RejectedRows& rejected : report.rejected) {
    log_warn(fmt::format("{} calibration rows of {} are left out, the first: {}", rejected.count,
                         rejected.task, rejected.first.message()));
  }
  for (const std::string& line : describe_int8(report.metadata)) log_info(line);
}

Result<int> run_compile(const CompileFlags& flags, Session&) {
  const SteadyClock clock;
  const Time start = clock.now();
  compile::Options options{.disabled_passes = flags.disabled_passes};
  TILEWISE_ASSIGN_OR_RETURN(options.precision, parse_precision(flags.precision));
  TILEWISE_ASSIGN_OR_RETURN(const auto calibrations, parse_calibrations(flags));
  TILEWISE_ASSIGN_OR_RETURN(model::Model model, compile::load_model(flags.source));
  report_pass({"load", seconds_between(start, clock.now()),
               fmt::format("{}, {} layers, {} tasks", model.spec.family, model.spec.layers,
                           model.tasks.size())});
  TILEWISE_ASSIGN_OR_RETURN(options.calibration, read_calibrations(calibrations, model));
  TILEWISE_ASSIGN_OR_RETURN(const compile::Report report,
                            compile::compile(std::move(model), options, flags.output));
  for (const compile::PassReport& pass : report.passes) report_pass(pass);
  report_precision(report);
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
                   "bf16, int8 or fp32: how the linear layers are stored (default bf16)")
      ->type_name("P");
  verb->add_option("--calibrate", flags->calibrate,
                   "int8: rows of a task as JSON lines, to choose what stays in bf16; once a task")
      ->type_name("TASK=ROWS")
      ->allow_extra_args(false);
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
