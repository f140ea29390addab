#include "rows/writer.h"
#include "server/kserve/binary.h"
#include "server/kserve/infer_body.h"

namespace tilewise::server::kserve {
namespace {

/// `values` as a JSON list, each written by `append`.
template <class Values, class Append>
void append_list(const Values& values, std::string& out, Append append) {
  out += '[';
  bool is_first = true;
  for (const auto& value : values) {
    if (!is_first) out += ',';
    is_first = false;
    append(value, out);
  }
  out += ']';
}

void append_output(const OutputTensor& tensor, std::string& out) {
  out += "{\"name\":";
  rows::append_json_string(tensor.name, out);
  out +=
      tensor.is_text ? ",\"datatype\":\"BYTES\",\"shape\":" : ",\"datatype\":\"FP32\",\"shape\":";
  append_list(tensor.shape, out,
              [](int64_t dimension, std::string& text) { text += std::to_string(dimension); });
  if (tensor.is_binary) {
    out += ",\"parameters\":{\"binary_data_size\":";
    out += std::to_string(binary_size(tensor));
    out += "}}";
    return;
  }
  out += ",\"data\":";
  if (tensor.is_text) {
    append_list(tensor.texts, out, rows::append_json_string);
  } else {
    append_list(tensor.floats, out, rows::append_float);
  }
  out += '}';
}

}  // namespace

std::optional<size_t> append_body(const InferResponse& response,
                                  const std::vector<OutputTensor>& outputs, std::string& out) {
  const size_t begin = out.size();
  out += "{\"model_name\":";
  rows::append_json_string(response.model, out);
  out += ",\"model_version\":";
  rows::append_json_string(response.version, out);
  if (!response.id.empty()) {
    out += ",\"id\":";
    rows::append_json_string(response.id, out);
  }
  if (!response.truncated.empty()) {
    out += ",\"parameters\":{\"truncated\":true,\"truncated_inputs\":";
    rows::append_json_string(response.truncated, out);
    out += '}';
  }
  out += ",\"outputs\":";
  append_list(outputs, out, append_output);
  out += '}';
  const size_t json_bytes = out.size() - begin;
  bool has_binary = false;
  for (const OutputTensor& tensor : outputs) {
    if (!tensor.is_binary) continue;
    has_binary = true;
    append_binary(tensor, out);
  }
  return has_binary ? std::optional(json_bytes) : std::nullopt;
}

}  // namespace tilewise::server::kserve
