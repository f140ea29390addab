// Bodies of POST .../infer: JSON, alone or before binary tensors.
// https://github.com/triton-inference-server/server, docs/protocol/extension_binary_data.md
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "server/kserve/infer.h"

namespace tilewise::server::kserve {

/// Reads bodies one after the other and keeps its memory. Not thread-safe.
///
/// - "inputs", "outputs", "parameters" and "id" are read, other keys and parameters are ignored; of
///   a key that stands twice the first counts.
/// - "data" is flat or nested as the shape says.
/// - A lone surrogate ("\ud800") becomes U+FFFD; bytes that are not UTF-8 are not JSON. In binary
///   tensors they are the tokenizer's matter, which reads them as U+FFFD.
class BodyReader {
 public:
  BodyReader();
  ~BodyReader();

  /// Fills `call` but for its model and version; its views point into `body` and into this reader,
  /// and hold until the next read(). kBodyPadding bytes after the end of `body` can be read.
  /// `json_bytes`: the value of Inference-Header-Content-Length, where there is one. Errors:
  /// invalid_argument.
  Status read(std::string_view body, std::optional<size_t> json_bytes, InferCall& call);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// The value of Inference-Header-Content-Length; nullopt for an empty (absent) one. Errors:
/// invalid_argument.
Result<std::optional<size_t>> parse_json_bytes(std::string_view header);

struct InferResponse {
  std::string_view model;
  std::string_view version;
  std::string_view id;         ///< empty: none
  std::string_view truncated;  ///< of truncated_inputs()
};

/// Appends the body. The result is how many bytes of it are JSON, where binary tensors follow.
/// A number that JSON cannot express (NaN, infinities) is null; in binary it is itself.
std::optional<size_t> append_body(const InferResponse& response,
                                  const std::vector<OutputTensor>& outputs, std::string& out);

}  // namespace tilewise::server::kserve
