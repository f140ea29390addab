#include <algorithm>
#include <charconv>
#include <limits>

#include <simdjson.h>

#include "rows/repair.h"
#include "server/kserve/binary.h"
#include "server/kserve/infer_body.h"
#include "server/message.h"

namespace tilewise::server::kserve {
namespace {

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::element_type;
using simdjson::dom::object;

static_assert(kBodyPadding >= simdjson::SIMDJSON_PADDING);

/// More dimensions than any input has; the walk over nested data is as deep.
constexpr size_t kMaxRank = 8;

/// Memory that a single large body needed is given back above this.
constexpr size_t kKeptBytes = size_t{64} << 10;

const char* name_of(element_type type) {
  switch (type) {
    case element_type::ARRAY:
      return "an array";
    case element_type::OBJECT:
      return "an object";
    case element_type::INT64:
    case element_type::UINT64:
    case element_type::DOUBLE:
      return "a number";
    case element_type::STRING:
      return "a string";
    case element_type::BOOL:
      return "true or false";
    case element_type::NULL_VALUE:
      return "null";
  }
  return "something else";
}

Status not_json(std::string found) {
  return invalid_argument({.what = "the body is not valid JSON",
                           .expected = "one JSON object in UTF-8",
                           .found = std::move(found)});
}

Status wrong_type(std::string where, const char* expected, element found) {
  return invalid_argument({.what = "a field has the wrong type",
                           .where = std::move(where),
                           .expected = expected,
                           .found = name_of(found.type())});
}

/// "inputs[3]", "inputs[3].shape"; made only for messages.
std::string path(const char* list, size_t index, const char* field = nullptr) {
  std::string text = std::string(list) + "[" + std::to_string(index) + "]";
  if (field != nullptr) text.append(".").append(field);
  return text;
}

/// What a key holds; nullopt where it is absent or null.
std::optional<element> find(object parent, std::string_view key) {
  element found;
  if (parent.at_key(key).get(found) != simdjson::SUCCESS || found.is_null()) return std::nullopt;
  return found;
}

Status read_string(object parent, const char* key, std::string_view& out) {
  const auto found = find(parent, key);
  if (!found || found->get_string().get(out) == simdjson::SUCCESS) return {};
  return wrong_type(key, "a string", *found);
}

Status read_bool(object parent, const char* key, std::optional<bool>& out) {
  const auto found = find(parent, key);
  bool truth = false;
  if (!found) return {};
  if (found->get_bool().get(truth) != simdjson::SUCCESS) {
    return wrong_type(std::string("parameters.") + key, "true or false", *found);
  }
  out = truth;
  return {};
}

Status read_integer(object parent, const char* key, std::optional<int64_t>& out) {
  const auto found = find(parent, key);
  int64_t number = 0;
  if (!found) return {};
  if (found->get_int64().get(number) != simdjson::SUCCESS) {
    return wrong_type(std::string("parameters.") + key, "an integer", *found);
  }
  out = number;
  return {};
}

/// An empty object where there is none.
Status find_parameters(object parent, std::string where, std::optional<object>& out) {
  const auto found = find(parent, "parameters");
  object parameters;
  if (!found) return {};
  if (found->get_object().get(parameters) != simdjson::SUCCESS) {
    return wrong_type(where + "parameters", "an object", *found);
  }
  out = parameters;
  return {};
}

/// "a,b" or ["a", "b"], which `joined` gets.
Status read_tasks(object parameters, std::string& joined, std::string_view& tasks) {
  const auto found = find(parameters, "tasks");
  array names;
  if (!found || found->get_string().get(tasks) == simdjson::SUCCESS) return {};
  if (found->get_array().get(names) != simdjson::SUCCESS) {
    return wrong_type("parameters.tasks", "\"a,b\" or a list of names", *found);
  }
  joined.clear();
  for (const element each : names) {
    std::string_view name;
    if (each.get_string().get(name) != simdjson::SUCCESS) {
      return wrong_type("parameters.tasks", "names as strings", each);
    }
    if (!joined.empty()) joined += ',';
    joined += name;
  }
  tasks = joined;
  return {};
}

Status read_priority(object parameters, std::optional<runtime::Priority>& priority) {
  const auto found = find(parameters, "priority");
  if (!found) return {};
  std::string_view name;
  uint64_t number = 0;
  if (found->get_uint64().get(number) == simdjson::SUCCESS) {
    priority = number <= 1 ? runtime::Priority::interactive : runtime::Priority::bulk;
  } else if (found->get_string().get(name) == simdjson::SUCCESS && name == "interactive") {
    priority = runtime::Priority::interactive;
  } else if (name == "bulk") {
    priority = runtime::Priority::bulk;
  } else {
    return wrong_type("parameters.priority", "\"interactive\", \"bulk\" or a number from 0",
                      *found);
  }
  return {};
}

Status read_direction(object parameters, bool& truncate_left) {
  std::string_view direction;
  TILEWISE_RETURN_IF_ERROR(read_string(parameters, "truncation_direction", direction));
  truncate_left = direction == "left";
  if (direction.empty() || direction == "left" || direction == "right") return {};
  return invalid_argument({.what = "there is no such direction",
                           .where = "parameters.truncation_direction",
                           .expected = "left or right",
                           .found = std::string(direction)});
}

Status read_parameters(object root, std::string& joined_tasks, InferParameters& out) {
  std::optional<object> parameters;
  TILEWISE_RETURN_IF_ERROR(find_parameters(root, "", parameters));
  if (!parameters) return {};
  TILEWISE_RETURN_IF_ERROR(read_tasks(*parameters, joined_tasks, out.tasks));
  TILEWISE_RETURN_IF_ERROR(read_integer(*parameters, "timeout", out.timeout_us));
  TILEWISE_RETURN_IF_ERROR(read_priority(*parameters, out.priority));
  TILEWISE_RETURN_IF_ERROR(read_bool(*parameters, "truncate", out.truncate));
  TILEWISE_RETURN_IF_ERROR(read_direction(*parameters, out.truncate_left));
  std::optional<bool> both, binary;
  TILEWISE_RETURN_IF_ERROR(read_bool(*parameters, "both_orders", both));
  TILEWISE_RETURN_IF_ERROR(read_bool(*parameters, "full_depth", out.full_depth));
  TILEWISE_RETURN_IF_ERROR(read_bool(*parameters, "binary_data_output", binary));
  out.both_orders = both.value_or(false);
  out.binary_outputs = binary.value_or(false);
  return {};
}

Status read_shape(object input, size_t index, std::vector<int64_t>& shape) {
  const auto found = find(input, "shape");
  array dimensions;
  if (!found || found->get_array().get(dimensions) != simdjson::SUCCESS) {
    return invalid_argument({.what = "the tensor has no shape",
                             .where = path("inputs", index, "shape"),
                             .expected = "a list of integers",
                             .found = found ? name_of(found->type()) : "nothing"});
  }
  for (const element each : dimensions) {
    int64_t dimension = 0;
    if (each.get_int64().get(dimension) != simdjson::SUCCESS || shape.size() == kMaxRank) {
      return invalid_argument({.what = "the tensor's shape cannot be read",
                               .where = path("inputs", index, "shape"),
                               .expected = "at most 8 integers"});
    }
    shape.push_back(dimension);
  }
  return {};
}

/// One element of "data"; false where it is none of the datatype.
bool read_scalar(element scalar, Elements kind, InputTensor& tensor) {
  if (kind == Elements::texts) {
    return scalar.get_string().get(tensor.texts.emplace_back()) == simdjson::SUCCESS;
  }
  int64_t& integer = tensor.integers.emplace_back();
  bool truth = false;
  if (scalar.get_int64().get(integer) == simdjson::SUCCESS) return true;
  if (tensor.datatype != "BOOL" || scalar.get_bool().get(truth) != simdjson::SUCCESS) return false;
  integer = truth ? 1 : 0;
  return true;
}

class DataReader {
 public:
  DataReader(size_t index, InputTensor& tensor)
      : index_(index), tensor_(tensor), kind_(elements_of(tensor.datatype)) {}

  Status read(array data) {
    const bool nested = data.begin() != data.end() && (*data.begin()).is_array();
    return nested ? read_nested(data, 0) : read_scalars(data);
  }

 private:
  Status read_scalars(array data) {
    for (const element scalar : data) {
      if (read_scalar(scalar, kind_, tensor_)) continue;
      const char* expected = kind_ == Elements::texts ? "strings" : "integers";
      return wrong_type(path("inputs", index_, "data"), expected, scalar);
    }
    return {};
  }

  Status read_nested(array data, size_t depth) {
    int64_t count = 0;
    const bool is_last = depth + 1 >= tensor_.shape.size();
    for (const element each : data) {
      ++count;
      array inner;
      if (is_last) continue;
      if (each.get_array().get(inner) != simdjson::SUCCESS) return not_as_shaped();
      TILEWISE_RETURN_IF_ERROR(read_nested(inner, depth + 1));
    }
    if (depth >= tensor_.shape.size() || count != tensor_.shape[depth]) return not_as_shaped();
    return is_last ? read_scalars(data) : Status();
  }

  Status not_as_shaped() const {
    return invalid_argument({.what = "the data is not nested as the shape says",
                             .where = path("inputs", index_, "data"),
                             .expected = "lists of these lengths, or one flat list"});
  }

  size_t index_;
  InputTensor& tensor_;
  Elements kind_;
};

/// The bytes after the JSON, which the inputs take one after the other.
struct BinaryPart {
  std::string_view rest;
  bool is_there = false;
};

Status read_binary_input(int64_t size, size_t index, BinaryPart& binary, InputTensor& tensor) {
  if (!binary.is_there) {
    return invalid_argument({.what = "the request has no binary part",
                             .where = path("inputs", index, "parameters.binary_data_size"),
                             .expected = "the header Inference-Header-Content-Length"});
  }
  if (size < 0 || static_cast<uint64_t>(size) > binary.rest.size()) {
    return invalid_argument({.what = "the binary part is shorter than its tensors",
                             .where = path("inputs", index, "parameters.binary_data_size"),
                             .expected = "at most " + std::to_string(binary.rest.size()),
                             .found = std::to_string(size)});
  }
  const std::string_view bytes = binary.rest.substr(0, static_cast<size_t>(size));
  binary.rest.remove_prefix(bytes.size());
  return read_binary(bytes, tensor);
}

Status read_input(object input, size_t index, BinaryPart& binary, InputTensor& tensor) {
  tensor.clear();
  TILEWISE_RETURN_IF_ERROR(read_string(input, "name", tensor.name));
  TILEWISE_RETURN_IF_ERROR(read_string(input, "datatype", tensor.datatype));
  TILEWISE_RETURN_IF_ERROR(read_shape(input, index, tensor.shape));
  if (elements_of(tensor.datatype) == Elements::other) {
    return invalid_argument({.what = "no input has this datatype",
                             .where = path("inputs", index, "datatype"),
                             .expected = "BYTES, or an integer type such as INT64",
                             .found = std::string(tensor.datatype)});
  }
  std::optional<object> parameters;
  std::optional<int64_t> size;
  TILEWISE_RETURN_IF_ERROR(find_parameters(input, path("inputs", index, ""), parameters));
  if (parameters) TILEWISE_RETURN_IF_ERROR(read_integer(*parameters, "binary_data_size", size));

  const auto found = find(input, "data");
  array data;
  if (found.has_value() == size.has_value()) {
    return invalid_argument({.what = "a tensor has its elements either in JSON or in binary",
                             .where = path("inputs", index),
                             .expected = "data or parameters.binary_data_size",
                             .found = found ? "both" : "neither"});
  }
  if (size) return read_binary_input(*size, index, binary, tensor);
  if (found->get_array().get(data) != simdjson::SUCCESS) {
    return wrong_type(path("inputs", index, "data"), "a list", *found);
  }
  return DataReader(index, tensor).read(data);
}

Status read_output(object output, size_t index, bool binary_outputs, RequestedOutput& out) {
  out = {};
  TILEWISE_RETURN_IF_ERROR(read_string(output, "name", out.name));
  std::optional<object> parameters;
  TILEWISE_RETURN_IF_ERROR(find_parameters(output, path("outputs", index, ""), parameters));
  out.is_binary = binary_outputs;
  if (!parameters) return {};
  std::optional<bool> binary;
  std::optional<int64_t> classes;
  TILEWISE_RETURN_IF_ERROR(read_bool(*parameters, "binary_data", binary));
  TILEWISE_RETURN_IF_ERROR(read_integer(*parameters, "classification", classes));
  out.is_binary = binary.value_or(binary_outputs);
  if (!classes) return {};
  if (*classes < 1 || *classes > std::numeric_limits<int32_t>::max()) {
    return invalid_argument({.what = "so many classes cannot be given",
                             .where = path("outputs", index, "parameters.classification"),
                             .expected = "1 or more",
                             .found = std::to_string(*classes)});
  }
  out.classification = static_cast<int32_t>(*classes);
  return {};
}

/// Calls read(object, index) for each element of a list of objects.
template <class Read>
Status for_each_object(element list, const char* name, Read read) {
  array elements;
  if (list.get_array().get(elements) != simdjson::SUCCESS) {
    return wrong_type(name, "a list", list);
  }
  size_t index = 0;
  for (const element each : elements) {
    object fields;
    if (each.get_object().get(fields) != simdjson::SUCCESS) {
      return wrong_type(path(name, index), "an object", each);
    }
    TILEWISE_RETURN_IF_ERROR(read(fields, index));
    ++index;
  }
  return {};
}

bool may_have_lone_surrogates(std::string_view json) {
  return json.find("\\ud") != std::string_view::npos || json.find("\\uD") != std::string_view::npos;
}

}  // namespace

struct BodyReader::State {
  simdjson::dom::parser parser;
  std::string repaired;
  std::string joined_tasks;

  Status read_json(object root, BinaryPart& binary, InferCall& call);
  Status parse(std::string_view json, object& root);
};

BodyReader::BodyReader() : state_(std::make_unique<State>()) {}
BodyReader::~BodyReader() = default;

Status BodyReader::State::parse(std::string_view json, object& root) {
  if (parser.capacity() > kKeptBytes && json.size() <= kKeptBytes) {
    parser = simdjson::dom::parser();
    repaired = {};
  }
  if (may_have_lone_surrogates(json)) {
    repaired.assign(json);
    repaired.append(simdjson::SIMDJSON_PADDING, ' ');
    rows::replace_lone_surrogates({repaired.data(), json.size()});
    json = std::string_view(repaired).substr(0, json.size());
  }
  element document;
  // In place, without a copy: the caller promises the padding.
  const auto error = parser.parse(json.data(), json.size(), false).get(document);
  if (error != simdjson::SUCCESS) return not_json(simdjson::error_message(error));
  if (document.get_object().get(root) == simdjson::SUCCESS) return {};
  return not_json(name_of(document.type()));
}

Status BodyReader::State::read_json(object root, BinaryPart& binary, InferCall& call) {
  TILEWISE_RETURN_IF_ERROR(read_string(root, "id", call.id));
  TILEWISE_RETURN_IF_ERROR(read_parameters(root, joined_tasks, call.parameters));
  const auto inputs = find(root, "inputs");
  if (!inputs) {
    return invalid_argument({.what = "the request has no inputs", .expected = "\"inputs\": [...]"});
  }
  size_t used = 0;
  TILEWISE_RETURN_IF_ERROR(for_each_object(*inputs, "inputs", [&](object input, size_t index) {
    if (used == call.inputs.size()) call.inputs.emplace_back();
    return read_input(input, index, binary, call.inputs[used++]);
  }));
  call.inputs.resize(used);
  const auto outputs = find(root, "outputs");
  if (!outputs) return {};
  return for_each_object(*outputs, "outputs", [&](object output, size_t index) {
    return read_output(output, index, call.parameters.binary_outputs, call.outputs.emplace_back());
  });
}

Status BodyReader::read(std::string_view body, std::optional<size_t> json_bytes, InferCall& call) {
  call.id = {};
  call.parameters = {};
  call.outputs.clear();
  if (json_bytes && *json_bytes > body.size()) {
    return invalid_argument({.what = "the JSON part is longer than the body",
                             .where = "Inference-Header-Content-Length",
                             .expected = "at most " + std::to_string(body.size()),
                             .found = std::to_string(*json_bytes)});
  }
  const std::string_view json = body.substr(0, json_bytes.value_or(body.size()));
  BinaryPart binary = {body.substr(json.size()), json_bytes.has_value()};
  object root;
  TILEWISE_RETURN_IF_ERROR(state_->parse(json, root));
  TILEWISE_RETURN_IF_ERROR(state_->read_json(root, binary, call));
  if (binary.rest.empty()) return {};
  return invalid_argument({.what = "the binary part is longer than its tensors",
                           .found = std::to_string(binary.rest.size()) + " bytes more"});
}

Result<std::optional<size_t>> parse_json_bytes(std::string_view header) {
  if (header.empty()) return std::optional<size_t>();
  size_t bytes = 0;
  const auto [end, error] = std::from_chars(header.data(), header.data() + header.size(), bytes);
  if (error == std::errc() && end == header.data() + header.size()) return std::optional(bytes);
  return invalid_argument({.what = "the header is no length",
                           .where = "Inference-Header-Content-Length",
                           .expected = "a number of bytes",
                           .found = std::string(header)});
}

}  // namespace tilewise::server::kserve
