// For the fuzz targets: what a body that was accepted must keep to.
#pragma once

#include <cstdlib>
#include <optional>
#include <string>
#include <string_view>

#include <simdjson.h>

#include "server/kserve/infer_body.h"
#include "server/kserve/padded_body.h"

namespace tilewise::server::kserve {

/// Aborts where a promise is broken. A tensor's texts come back as an output, so that responses are
/// written from anything that requests can hold.
inline void check_body(std::string_view text, std::optional<size_t> json_bytes) {
  static BodyReader reader;
  static InferCall call;
  const PaddedBody body(text);
  if (!reader.read(body.view(), json_bytes, call).ok()) return;
  std::vector<OutputTensor> outputs;
  for (const InputTensor& input : call.inputs) {
    const bool is_text = elements_of(input.datatype) == Elements::texts;
    if (is_text ? !input.integers.empty() : !input.texts.empty()) std::abort();
    OutputTensor& output = outputs.emplace_back();
    output.name = input.name;
    output.is_text = is_text;
    output.is_binary = call.parameters.binary_outputs;
    output.shape = input.shape;
    for (const std::string_view element : input.texts) {
      // The bytes of binary texts may be anything; JSON is only written from labels.
      const bool is_valid = simdjson::validate_utf8(element.data(), element.size());
      output.texts.emplace_back(is_valid ? element : "");
    }
    for (const int64_t element : input.integers) {
      output.floats.push_back(static_cast<float>(element));
    }
  }
  std::string response;
  const auto json = append_body({"m", "1", call.id, ""}, outputs, response);
  simdjson::dom::parser parser;
  simdjson::dom::element root;
  const std::string_view written =
      std::string_view(response).substr(0, json.value_or(response.size()));
  if (parser.parse(written.data(), written.size()).get(root) != simdjson::SUCCESS) std::abort();
}

}  // namespace tilewise::server::kserve
