// KServe v2 inference (Open Inference Protocol) without its encodings: JSON, binary tensors and
// gRPC all translate to and from these types. https://kserve.github.io/website (protocol v2)
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/repository.h"
#include "engine/request.h"
#include "server/settings.h"

namespace tilewise::server::kserve {

/// What a datatype's elements are for a model that reads text or tokens.
enum class Elements : uint8_t {
  texts,     ///< BYTES
  integers,  ///< INT8..64, UINT8..64; BOOL as 0 and 1
  other,     ///< FP32 and the like: no input has it
};
Elements elements_of(std::string_view datatype);

/// The product of a shape. Errors: invalid_argument for a negative dimension, and where there are
/// more elements than any message could hold.
Result<int64_t> element_count(std::span<const int64_t> shape);

/// `texts` or `integers`, as the datatype says; row-major, as many as the shape says. Views into
/// the message that was received.
struct InputTensor {
  std::string_view name;
  std::string_view datatype;
  std::vector<int64_t> shape;
  std::vector<std::string_view> texts;
  std::vector<int64_t> integers;

  /// Keeps the memory.
  void clear() {
    name = datatype = {};
    shape.clear();
    texts.clear();
    integers.clear();
  }
};

struct RequestedOutput {
  std::string_view name;
  int32_t classification =
      0;  ///< Triton's extension: the best so many classes as "score:index:label"
  bool is_binary = false;
};

/// Of the request: `tasks` ("a,b"), `timeout` in microseconds, `priority` ("interactive", "bulk",
/// or Triton's number, of which 1 and 0 are interactive), `truncate`, `truncation_direction`,
/// `both_orders`, `full_depth`.
struct InferParameters {
  std::string_view tasks;
  std::optional<int64_t> timeout_us;
  std::optional<runtime::Priority> priority;
  std::optional<bool> truncate;
  bool truncate_left = false;
  bool both_orders = false;
  std::optional<bool> full_depth;
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
/// and priority. `target` says what answers. `request.arrival` is set already; `deadline` and
/// `priority` may be, and stay unless the call names its own (a transport with a deadline of its
/// own caps it afterwards). Errors: not_found, unavailable, invalid_argument naming the tensor,
/// invalid_input for a record, too_large.
///
/// Inputs are either texts or tokens:
/// - `text`, or `left` and `right` for tasks that read pairs: BYTES of shape [n] or [n, 1]. An
///   element that is one JSON object is a record, if the task has a template for records; any other
///   element is plain text.
/// - `input_ids` with special tokens, `attention_mask` (absent: all ones), `token_type_ids`
///   (absent: all zeros): integers of shape [n, length]. The mask is a row of ones, then zeros,
///   where the row is padding. Tokens are never cut: longer than the task takes is an error.
Status prepare(const InferCall& call, const engine::Repository& repository,
               const Settings& settings, engine::Request& request, engine::Target& target);

/// Answered request -> the outputs that were asked for, in that order; without a wish all that
/// there are. Their memory is reused. Errors: invalid_argument for an output that the tasks do not
/// have, or a classification that it cannot have: prepare() has refused those.
///
/// | kind       | logits    | scores                        | label                               |
/// |------------|-----------|-------------------------------|-------------------------------------|
/// | binary     | [n, 1]    | [n, 1], sigmoid               | the label; "" under the threshold   |
/// | multiclass | [n, c]    | [n, c], softmax               | the best one; "" where out of scope |
/// | multilabel | [n, c]    | [n, c], sigmoids              | those over the threshold, best      |
/// |            |           |                               | first, as a JSON list: ["a","b"]    |
/// | regression | [n, 1]    | [n, 1], the value             | -                                   |
/// | embedding  | `embedding` [n, hidden] alone                                                   |
///
/// Tasks with exits have `depth`, too: [n], the layers that each answer took.
///
/// Where one task was asked, TASK.logits means logits, too.
Status collect(const InferCall& call, const engine::Request& request,
               std::vector<OutputTensor>& outputs);

/// The rows whose text was cut, "0,3"; empty where there is none. The response's parameters say so:
/// "truncated": true, "truncated_inputs": "0,3".
std::string truncated_inputs(const engine::Request& request);

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
