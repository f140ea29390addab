#include <tilewise/tilewise.h>

#include "api/compile_checkpoint.h"
#include "api/convert.h"

namespace tilewise {

Status compile(const std::string& folder, const std::string& output,
               const CompileOptions& options) {
  return api::compile_checkpoint(folder, options.backbone, options.precision,
                                 api::to_inputs(options.calibration), output);
}

}  // namespace tilewise
