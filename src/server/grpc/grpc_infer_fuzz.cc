// Any bytes as a ModelInferRequest: what was accepted keeps its promises, and what it held can be
// written into an answer.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "server/grpc/translate.h"
#include "server/kserve/binary.h"

namespace tilewise::server {
namespace {

using kserve::Elements;

/// Aborts where a tensor has elements that are not of its datatype's kind.
void check(const kserve::InputTensor& tensor) {
  const Elements elements = kserve::elements_of(tensor.datatype);
  if (elements != Elements::texts && !tensor.texts.empty()) std::abort();
  if (elements != Elements::integers && !tensor.integers.empty()) std::abort();
}

kserve::OutputTensor output_of(const kserve::InputTensor& tensor) {
  kserve::OutputTensor output;
  output.name = tensor.name;
  output.is_text = kserve::elements_of(tensor.datatype) == Elements::texts;
  output.shape = tensor.shape;
  output.texts.assign(tensor.texts.begin(), tensor.texts.end());
  output.floats.assign(tensor.integers.begin(), tensor.integers.end());
  return output;
}

/// Aborts where the answer has lost something of the outputs.
void check_answer(const std::vector<kserve::OutputTensor>& outputs, bool is_raw,
                  inference::ModelInferResponse& message) {
  message.Clear();
  encode({.model = "m", .version = "1", .id = {}, .truncated = "0"}, outputs, is_raw, message);
  if (message.outputs_size() != static_cast<int>(outputs.size())) std::abort();
  for (int i = 0; i < message.outputs_size(); ++i) {
    const kserve::OutputTensor& output = outputs[static_cast<size_t>(i)];
    if (is_raw) {
      if (message.raw_output_contents(i).size() != kserve::binary_size(output)) std::abort();
      continue;
    }
    const auto& contents = message.outputs(i).contents();
    const int found =
        output.is_text ? contents.bytes_contents_size() : contents.fp32_contents_size();
    const size_t expected = output.is_text ? output.texts.size() : output.floats.size();
    if (static_cast<size_t>(found) != expected) std::abort();
  }
}

}  // namespace
}  // namespace tilewise::server

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace tilewise::server;
  static inference::ModelInferRequest message;  // reused, as a server does
  static inference::ModelInferResponse answer;
  static kserve::InferCall call;
  if (!message.ParseFromArray(data, static_cast<int>(size))) return 0;
  if (!decode(message, call).ok()) return 0;
  std::vector<kserve::OutputTensor> outputs;
  for (const kserve::InputTensor& tensor : call.inputs) {
    check(tensor);
    outputs.push_back(output_of(tensor));
  }
  for (const bool is_raw : {false, true}) check_answer(outputs, is_raw, answer);
  return 0;
}
