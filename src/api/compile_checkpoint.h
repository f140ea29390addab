// A seam inside this folder: the public function tilewise::compile and the namespace
// tilewise::compile of src/compile cannot be named in one file.
#pragma once

#include <string>

#include "base/status.h"

namespace tilewise::api {

/// What tilewise::compile of <tilewise/tilewise.h> does.
Status compile_checkpoint(const std::string& folder, const std::string& backbone,
                          const std::string& precision, const std::string& output);

}  // namespace tilewise::api
