// inference.ModelInferRequest -> kserve::InferCall, and answers back into
// inference.ModelInferResponse.
#pragma once

#include <string_view>
#include <vector>

#include <inference.pb.h>

#include "base/status.h"
#include "server/kserve/infer.h"

namespace tilewise::server {

/// Fills the whole call, with views into the message; its memory is reused. Elements come from
/// raw_input_contents where there are any, else from each input's contents. Unknown parameters are
/// ignored. Errors: invalid_argument naming the input or the parameter; unsupported for tensors in
/// shared memory.
Status decode(const inference::ModelInferRequest& message, kserve::InferCall& call);

struct InferAnswer {
  std::string_view model;
  std::string_view version;
  std::string_view id;
  std::string_view truncated;  ///< of kserve::truncated_inputs()
};

/// Outputs as raw contents, or as typed ones. `message` is clear; its memory is reused.
void encode(const InferAnswer& answer, const std::vector<kserve::OutputTensor>& outputs,
            bool is_raw, inference::ModelInferResponse& message);

}  // namespace tilewise::server
