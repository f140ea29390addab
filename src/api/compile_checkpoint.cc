#include "api/compile_checkpoint.h"

#include <utility>

#include "compile/compile.h"
#include "model/task.h"

namespace tilewise::api {
namespace {

Result<model::Precision> parse_precision(const std::string& name) {
  if (const auto precision = model::parse_name<model::Precision>(name)) return *precision;
  return invalid_argument({"The precision is not known", "CompileOptions::precision",
                           "bf16, int8 or fp32", name, "Choose one of them"});
}

}  // namespace

Status compile_checkpoint(const std::string& folder, const std::string& backbone,
                          const std::string& precision, std::vector<CalibrationInputs> calibration,
                          const std::string& output) {
  TILEWISE_ASSIGN_OR_RETURN(const model::Precision stored, parse_precision(precision));
  TILEWISE_ASSIGN_OR_RETURN(model::Model model, compile::load_model({folder, backbone}));
  compile::Options options;
  options.precision = stored;
  for (CalibrationInputs& rows : calibration) {
    options.calibration.push_back({std::move(rows.task), std::move(rows.inputs), {}});
  }
  return compile::compile(std::move(model), options, output).status();
}

}  // namespace tilewise::api
