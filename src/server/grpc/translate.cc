#include "server/grpc/translate.h"

#include <cstdint>
#include <string>

#include "server/kserve/binary.h"

namespace tilewise::server {
namespace {

using inference::InferParameter;
using Parameters = google::protobuf::Map<std::string, InferParameter>;
using InputMessage = inference::ModelInferRequest::InferInputTensor;

Status wrong_parameter(const char* name, const char* expected) {
  return invalid_argument({.what = "the parameter has the wrong type or value",
                           .where = std::string("parameters.") + name,
                           .expected = expected});
}

const InferParameter* find(const Parameters& parameters, const char* name) {
  const auto found = parameters.find(name);
  return found == parameters.end() ? nullptr : &found->second;
}

/// Absent: `value` stays.
template <class Value>
Status read_bool(const Parameters& parameters, const char* name, Value& value) {
  const InferParameter* parameter = find(parameters, name);
  if (parameter == nullptr) return {};
  if (!parameter->has_bool_param()) return wrong_parameter(name, "a bool");
  value = parameter->bool_param();
  return {};
}

/// Clients choose between both types of integers as they like. False: it is none.
bool get_integer(const InferParameter& parameter, int64_t& value) {
  if (parameter.has_int64_param()) {
    value = parameter.int64_param();
    return true;
  }
  value = static_cast<int64_t>(std::min<uint64_t>(parameter.uint64_param(), INT64_MAX));
  return parameter.has_uint64_param();
}

Status read_priority(const Parameters& parameters, std::optional<runtime::Priority>& priority) {
  const InferParameter* parameter = find(parameters, "priority");
  if (parameter == nullptr) return {};
  int64_t number = 0;
  if (get_integer(*parameter, number) && number >= 0) {
    priority = number <= 1 ? runtime::Priority::interactive : runtime::Priority::bulk;
  } else if (parameter->string_param() == "interactive") {
    priority = runtime::Priority::interactive;
  } else if (parameter->string_param() == "bulk") {
    priority = runtime::Priority::bulk;
  } else {
    return wrong_parameter("priority", "\"interactive\", \"bulk\" or a number from 0");
  }
  return {};
}

Status read_parameters(const Parameters& parameters, kserve::InferParameters& out) {
  out = {};
  if (parameters.empty()) return {};
  if (const InferParameter* tasks = find(parameters, "tasks")) {
    if (!tasks->has_string_param()) return wrong_parameter("tasks", "a string, \"a,b\"");
    out.tasks = tasks->string_param();
  }
  if (const InferParameter* timeout = find(parameters, "timeout")) {
    int64_t value = 0;
    if (!get_integer(*timeout, value)) return wrong_parameter("timeout", "microseconds");
    out.timeout_us = value;
  }
  if (const InferParameter* direction = find(parameters, "truncation_direction")) {
    out.truncate_left = direction->string_param() == "left";
    if (!out.truncate_left && direction->string_param() != "right") {
      return wrong_parameter("truncation_direction", "\"left\" or \"right\"");
    }
  }
  TILEWISE_RETURN_IF_ERROR(read_priority(parameters, out.priority));
  TILEWISE_RETURN_IF_ERROR(read_bool(parameters, "truncate", out.truncate));
  TILEWISE_RETURN_IF_ERROR(read_bool(parameters, "full_depth", out.full_depth));
  return read_bool(parameters, "both_orders", out.both_orders);
}

Status no_shared_memory(const Parameters& parameters, const std::string& name) {
  if (parameters.empty() || !parameters.contains("shared_memory_region")) return {};
  return unsupported({.what = "tensors in shared memory are not supported",
                      .where = "tensor " + name,
                      .remedy = "Send the elements in the message"});
}

template <class Elements>
void assign(const Elements& elements, std::vector<int64_t>& integers) {
  integers.assign(elements.begin(), elements.end());
}

/// Which field holds the elements is a matter of the datatype alone. Whether they are as many as
/// the shape says, and of a datatype that an input can have, is prepare()'s to see.
void read_contents(const inference::InferTensorContents& contents, kserve::InputTensor& tensor) {
  const std::string_view type = tensor.datatype;
  if (type == "BYTES") {
    tensor.texts.assign(contents.bytes_contents().begin(), contents.bytes_contents().end());
  } else if (type == "INT64") {
    assign(contents.int64_contents(), tensor.integers);
  } else if (type == "INT32" || type == "INT16" || type == "INT8") {
    assign(contents.int_contents(), tensor.integers);
  } else if (type == "UINT64") {
    assign(contents.uint64_contents(), tensor.integers);  // too large: negative, as in raw contents
  } else if (type == "UINT32" || type == "UINT16" || type == "UINT8") {
    assign(contents.uint_contents(), tensor.integers);
  } else if (type == "BOOL") {
    assign(contents.bool_contents(), tensor.integers);
  }
}

bool is_empty(const inference::InferTensorContents& contents) {
  return contents.bytes_contents().empty() && contents.bool_contents().empty() &&
         contents.int_contents().empty() && contents.int64_contents().empty() &&
         contents.uint_contents().empty() && contents.uint64_contents().empty() &&
         contents.fp32_contents().empty() && contents.fp64_contents().empty();
}

Status read_input(const InputMessage& message, const std::string* raw,
                  kserve::InputTensor& tensor) {
  TILEWISE_RETURN_IF_ERROR(no_shared_memory(message.parameters(), message.name()));
  tensor.clear();
  tensor.name = message.name();
  tensor.datatype = message.datatype();
  tensor.shape.assign(message.shape().begin(), message.shape().end());
  if (raw == nullptr) {
    read_contents(message.contents(), tensor);
    return {};
  }
  if (!is_empty(message.contents())) {
    return invalid_argument({.what = "the input has its elements twice",
                             .where = "input " + message.name(),
                             .expected = "raw_input_contents or contents"});
  }
  return kserve::read_binary(*raw, tensor);
}

Status read_inputs(const inference::ModelInferRequest& message,
                   std::vector<kserve::InputTensor>& inputs) {
  const int count = message.inputs_size();
  const bool is_raw = message.raw_input_contents_size() > 0;
  if (is_raw && message.raw_input_contents_size() != count) {
    return invalid_argument({.what = "there are not as many raw contents as inputs",
                             .where = "raw_input_contents",
                             .expected = std::to_string(count),
                             .found = std::to_string(message.raw_input_contents_size())});
  }
  inputs.resize(static_cast<size_t>(count));
  for (int i = 0; i < count; ++i) {
    TILEWISE_RETURN_IF_ERROR(read_input(message.inputs(i),
                                        is_raw ? &message.raw_input_contents(i) : nullptr,
                                        inputs[static_cast<size_t>(i)]));
  }
  return {};
}

Status read_outputs(const inference::ModelInferRequest& message,
                    std::vector<kserve::RequestedOutput>& outputs) {
  outputs.clear();
  for (const auto& requested : message.outputs()) {
    TILEWISE_RETURN_IF_ERROR(no_shared_memory(requested.parameters(), requested.name()));
    kserve::RequestedOutput output{.name = requested.name()};
    if (const InferParameter* classes = find(requested.parameters(), "classification")) {
      int64_t count = 0;
      if (!get_integer(*classes, count) || count < 0 || count > INT32_MAX) {
        return wrong_parameter("classification", "a number of classes");
      }
      output.classification = static_cast<int32_t>(count);
    }
    outputs.push_back(output);
  }
  return {};
}

}  // namespace

Status decode(const inference::ModelInferRequest& message, kserve::InferCall& call) {
  call.model = message.model_name();
  call.version = message.model_version();
  call.id = message.id();
  TILEWISE_RETURN_IF_ERROR(read_parameters(message.parameters(), call.parameters));
  TILEWISE_RETURN_IF_ERROR(read_inputs(message, call.inputs));
  return read_outputs(message, call.outputs);
}

void encode(const InferAnswer& answer, const std::vector<kserve::OutputTensor>& outputs,
            bool is_raw, inference::ModelInferResponse& message) {
  message.mutable_model_name()->assign(answer.model);
  message.mutable_model_version()->assign(answer.version);
  message.mutable_id()->assign(answer.id);
  if (!answer.truncated.empty()) {
    auto& parameters = *message.mutable_parameters();
    parameters["truncated"].set_bool_param(true);
    parameters["truncated_inputs"].mutable_string_param()->assign(answer.truncated);
  }
  for (const kserve::OutputTensor& output : outputs) {
    auto& tensor = *message.add_outputs();
    tensor.set_name(output.name);
    tensor.set_datatype(output.is_text ? "BYTES" : "FP32");
    tensor.mutable_shape()->Add(output.shape.begin(), output.shape.end());
    if (is_raw) {
      std::string& raw = *message.add_raw_output_contents();
      raw.clear();
      raw.reserve(kserve::binary_size(output));
      kserve::append_binary(output, raw);
    } else if (output.is_text) {
      for (const std::string& text : output.texts)
        tensor.mutable_contents()->add_bytes_contents(text);
    } else {
      tensor.mutable_contents()->mutable_fp32_contents()->Add(output.floats.begin(),
                                                              output.floats.end());
    }
  }
}

}  // namespace tilewise::server
