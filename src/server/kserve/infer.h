// KServe v2 inference (Open Inference Protocol) without its encodings: JSON, binary tensors and
// gRPC all translate to and from these types. https://kserve.github.io/website (protocol v2)
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/repository.h"
#include "engine/request.h"
#include "server/settings.h"

namespace tilewise::server::kserve {

/// `texts` for BYTES, `integers` for the integer types; row-major, as many as the shape says. Views
/// into the message that was received.
struct InputTensor {
  std::string_view name;
  std::string_view datatype;
  std::vector<int64_t> shape;
  std::vector<std::string_view> texts;
  std::vector<int64_t> integers;
};

struct RequestedOutput {
  std::string_view name;
  int32_t classification =
      0;  ///< Triton's extension: the best so many classes as "score:index:label"
  bool is_binary = false;
};

/// Of the request: `tasks` ("a,b"), `timeout` in microseconds, `priority` ("interactive", "bulk",
/// or Triton's number, of which 1 and 0 are interactive), `truncate`, `truncation_direction`,
/// `both_orders`.
struct InferParameters {
  std::string_view tasks;
  std::optional<int64_t> timeout_us;
  std::optional<runtime::Priority> priority;
  std::optional<bool> truncate;
  bool truncate_left = false;
  bool both_orders = false;
  bool binary_outputs = false;  ///< binary_data_output
};

struct InferCall {
  std::string_view model;
  std::string_view version;
  std::string_view id;
  InferParameters parameters;
  std::vector<InputTensor> inputs;
  std::vector<RequestedOutput> outputs;  ///< none: all
};

/// FP32 in `floats` or BYTES in `texts`.
struct OutputTensor {
  std::string name;  ///< "logits", or "TASK.logits" where several tasks were asked
  bool is_text = false;
  bool is_binary = false;
  std::vector<int64_t> shape;
  std::vector<float> floats;
  std::vector<std::string> texts;
};

/// Call -> request: finds the model, checks names, types and shapes, fills inputs, tasks, deadline
/// and priority. `target` says what answers. Errors: not_found, invalid_argument naming the tensor,
/// too_large.
Status prepare(const InferCall& call, const engine::Repository& repository,
               const Settings& settings, engine::Request& request, engine::Target& target);

/// Answered request -> the outputs that were asked for.
Status collect(const InferCall& call, const engine::Request& request,
               std::vector<OutputTensor>& outputs);

/// Metadata: what a target takes and gives. Shape -1: any.
struct TensorDescription {
  std::string name;
  std::string datatype;
  std::vector<int64_t> shape;
};
struct ModelDescription {
  std::string name;
  std::vector<std::string> versions;
  std::vector<TensorDescription> inputs;
  std::vector<TensorDescription> outputs;
};
Result<ModelDescription> describe(const engine::Repository& repository, std::string_view name,
                                  std::string_view version);

}  // namespace tilewise::server::kserve
