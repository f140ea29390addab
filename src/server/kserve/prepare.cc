// Call -> request.
#include <algorithm>
#include <array>
#include <limits>
#include <optional>
#include <utility>

#include "rows/reader.h"
#include "server/kserve/infer.h"
#include "server/kserve/outputs.h"

namespace tilewise::server::kserve {
namespace {

Status bad_tensor(std::string_view name, std::string what, std::string expected,
                  std::string found) {
  return invalid_argument({.what = std::move(what),
                           .where = "input " + std::string(name),
                           .expected = std::move(expected),
                           .found = std::move(found)});
}

std::string text_of(std::span<const int64_t> shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i) {
    if (i > 0) text += ", ";
    text += std::to_string(shape[i]);
  }
  return text + "]";
}

/// The tensors of a call by what they are.
struct Inputs {
  const InputTensor* text = nullptr;
  const InputTensor* left = nullptr;
  const InputTensor* right = nullptr;
  const InputTensor* ids = nullptr;
  const InputTensor* mask = nullptr;
  const InputTensor* types = nullptr;
};

struct Slot {
  std::string_view name;
  const InputTensor* Inputs::* place;
  Elements elements;
};

constexpr Slot kSlots[] = {
    {"text", &Inputs::text, Elements::texts},
    {"left", &Inputs::left, Elements::texts},
    {"right", &Inputs::right, Elements::texts},
    {"input_ids", &Inputs::ids, Elements::integers},
    {"attention_mask", &Inputs::mask, Elements::integers},
    {"token_type_ids", &Inputs::types, Elements::integers},
};

constexpr const char* kInputNames =
    "text, left, right, input_ids, attention_mask or token_type_ids";

Status check_tensor(const InputTensor& tensor, Elements expected) {
  if (elements_of(tensor.datatype) != expected) {
    return bad_tensor(tensor.name, "the tensor has the wrong datatype",
                      expected == Elements::texts ? "BYTES" : "an integer type, such as INT64",
                      std::string(tensor.datatype));
  }
  const auto count = element_count(tensor.shape);
  if (!count.ok()) {
    return bad_tensor(tensor.name, "the tensor's shape is impossible", "", text_of(tensor.shape));
  }
  const size_t found = expected == Elements::texts ? tensor.texts.size() : tensor.integers.size();
  if (found == static_cast<size_t>(*count)) return {};
  return bad_tensor(tensor.name, "the tensor's data does not fit its shape",
                    std::to_string(*count) + " elements for " + text_of(tensor.shape),
                    std::to_string(found));
}

Status sort_inputs(const InferCall& call, Inputs& inputs) {
  for (const InputTensor& tensor : call.inputs) {
    const auto* slot = std::find_if(std::begin(kSlots), std::end(kSlots),
                                    [&](const Slot& s) { return s.name == tensor.name; });
    if (slot == std::end(kSlots)) {
      return bad_tensor(tensor.name, "the model has no such input", kInputNames, "");
    }
    if (inputs.*slot->place != nullptr) {
      return bad_tensor(tensor.name, "the input is given twice", "each input once", "");
    }
    TILEWISE_RETURN_IF_ERROR(check_tensor(tensor, slot->elements));
    inputs.*slot->place = &tensor;
  }
  const bool has_text = inputs.text || inputs.left || inputs.right;
  const bool has_tokens = inputs.ids || inputs.mask || inputs.types;
  if (has_text && has_tokens) {
    return invalid_argument({.what = "the call has both texts and tokens",
                             .where = "inputs",
                             .expected = "either of them"});
  }
  if (has_tokens && !inputs.ids) {
    return bad_tensor("input_ids", "an input is missing", "the token ids", "");
  }
  return {};
}

/// How many inputs a call has, from the first dimension of its first tensor.
Status check_batch(const InputTensor& tensor, const Settings& settings) {
  const int64_t n = tensor.shape.empty() ? 0 : tensor.shape.front();
  if (n == 0) {
    return bad_tensor(tensor.name, "the batch is empty", "a shape with at least one input",
                      text_of(tensor.shape));
  }
  if (n <= settings.limits.batch_inputs) return {};
  return too_large(
      {.what = "the batch is too large",
       .where = "input " + std::string(tensor.name),
       .expected = "at most " + std::to_string(settings.limits.batch_inputs) + " inputs",
       .found = std::to_string(n),
       .remedy = "Send several requests, or raise the server's --max-batch"});
}

Status check_text_shape(const InputTensor& tensor) {
  const auto& shape = tensor.shape;
  if (shape.size() == 1 || (shape.size() == 2 && shape[1] == 1)) return {};
  return bad_tensor(tensor.name, "the tensor has the wrong shape", "[n] or [n, 1]", text_of(shape));
}

/// Fills one side of an input; the memory of a string that is there already is reused.
class TextReader {
 public:
  explicit TextReader(bool takes_records) : takes_records_(takes_records) {}

  Status read(const InputTensor& tensor, size_t i, model::Content& content) {
    const std::string_view text = tensor.texts[i];
    if (takes_records_ && text.find('{') != std::string_view::npos) {
      if (!parser_) parser_.emplace();
      return parser_->parse_content(text, std::string(tensor.name) + "[" + std::to_string(i) + "]",
                                    content);
    }
    if (auto* string = std::get_if<std::string>(&content)) {
      string->assign(text);
    } else {
      content.emplace<std::string>(text);
    }
    return {};
  }

 private:
  bool takes_records_;
  std::optional<rows::RowParser> parser_;  // made for the first text that may be a record
};

template <class Kind>
Kind& as(model::Input& input) {
  if (auto* kind = std::get_if<Kind>(&input)) return *kind;
  return input.emplace<Kind>();
}

Status fill_texts(const InputTensor& texts, const Settings& settings, TextReader& reader,
                  engine::Request& request) {
  TILEWISE_RETURN_IF_ERROR(check_text_shape(texts));
  TILEWISE_RETURN_IF_ERROR(check_batch(texts, settings));
  request.inputs.resize(texts.texts.size());
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    auto& input = as<model::TextInput>(request.inputs[i]);
    TILEWISE_RETURN_IF_ERROR(reader.read(texts, i, input.text));
  }
  return {};
}

Status fill_pairs(const InputTensor& left, const InputTensor& right, const Settings& settings,
                  TextReader& reader, engine::Request& request) {
  for (const InputTensor* side : {&left, &right}) {
    TILEWISE_RETURN_IF_ERROR(check_text_shape(*side));
    TILEWISE_RETURN_IF_ERROR(check_batch(*side, settings));
  }
  if (left.texts.size() != right.texts.size()) {
    return bad_tensor("right", "left and right differ in their number of texts",
                      std::to_string(left.texts.size()), std::to_string(right.texts.size()));
  }
  request.inputs.resize(left.texts.size());
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    auto& input = as<model::PairInput>(request.inputs[i]);
    TILEWISE_RETURN_IF_ERROR(reader.read(left, i, input.left));
    TILEWISE_RETURN_IF_ERROR(reader.read(right, i, input.right));
  }
  return {};
}

std::string row_name(std::string_view tensor, size_t row) {
  return std::string(tensor) + "[" + std::to_string(row) + "]";
}

/// The tokens before the padding of one row.
Result<size_t> unpadded_length(const InputTensor* mask, size_t row, size_t width) {
  if (mask == nullptr) return width;
  const std::span<const int64_t> values(mask->integers.data() + row * width, width);
  const auto end = std::find(values.begin(), values.end(), 0);
  const bool ones = std::all_of(values.begin(), end, [](int64_t value) { return value == 1; });
  const bool zeros = std::all_of(end, values.end(), [](int64_t value) { return value == 0; });
  if (ones && zeros) return static_cast<size_t>(end - values.begin());
  return bad_tensor(row_name(mask->name, row), "the mask has a hole or a value that is no mask's",
                    "ones, then zeros", "");
}

Status read_ids(const InputTensor& tensor, size_t row, size_t width, size_t length, int64_t limit,
                std::vector<int32_t>& out) {
  const std::span<const int64_t> values(tensor.integers.data() + row * width, length);
  out.resize(length);
  for (size_t i = 0; i < length; ++i) {
    if (values[i] < 0 || values[i] >= limit) {
      return bad_tensor(row_name(tensor.name, row), "an id is out of range",
                        "0 to " + std::to_string(limit - 1), std::to_string(values[i]));
    }
    out[i] = static_cast<int32_t>(values[i]);
  }
  return {};
}

Status fill_tokens(const Inputs& inputs, const Settings& settings, engine::Request& request) {
  const InputTensor& ids = *inputs.ids;
  if (ids.shape.size() != 2) {
    return bad_tensor(ids.name, "the tensor has the wrong shape", "[n, length]",
                      text_of(ids.shape));
  }
  for (const InputTensor* other : {inputs.mask, inputs.types}) {
    if (other == nullptr || other->shape == ids.shape) continue;
    return bad_tensor(other->name, "the tensor's shape is not that of input_ids",
                      text_of(ids.shape), text_of(other->shape));
  }
  TILEWISE_RETURN_IF_ERROR(check_batch(ids, settings));
  const artifact::Metadata& metadata = request.model->metadata();
  const int32_t most = metadata.tasks[request.tasks.front()].task.max_tokens;
  const auto width = static_cast<size_t>(ids.shape[1]);
  request.token_inputs.resize(static_cast<size_t>(ids.shape[0]));
  for (size_t row = 0; row < request.token_inputs.size(); ++row) {
    engine::TokenInput& input = request.token_inputs[row];
    TILEWISE_ASSIGN_OR_RETURN(const size_t length, unpadded_length(inputs.mask, row, width));
    if (length == 0 || length > static_cast<size_t>(most)) {
      return bad_tensor(row_name(ids.name, row),
                        length == 0 ? "the row has no tokens" : "the row is too long",
                        "1 to " + std::to_string(most) + " tokens", std::to_string(length));
    }
    TILEWISE_RETURN_IF_ERROR(
        read_ids(ids, row, width, length, metadata.spec.vocab_size, input.ids));
    input.types.clear();
    if (inputs.types == nullptr) continue;
    TILEWISE_RETURN_IF_ERROR(read_ids(*inputs.types, row, width, length,
                                      std::max(metadata.spec.token_types, 1), input.types));
  }
  return {};
}

Status fill_inputs(const Inputs& inputs, const Settings& settings, engine::Request& request) {
  const model::Task& task = request.model->metadata().tasks[request.tasks.front()].task;
  const bool reads_pairs = task.input == model::InputKind::pair;
  if (request.both_orders && (!reads_pairs || inputs.ids)) {
    return invalid_argument({.what = "only pairs of texts have two orders",
                             .where = "parameters.both_orders",
                             .expected = "left and right, for a task that reads pairs"});
  }
  if (inputs.ids) {
    request.inputs.clear();
    return fill_tokens(inputs, settings, request);
  }
  request.token_inputs.clear();
  TextReader reader(!task.record_template.fields.empty());
  if (!reads_pairs && inputs.text && !inputs.left && !inputs.right) {
    return fill_texts(*inputs.text, settings, reader, request);
  }
  if (reads_pairs && !inputs.text && inputs.left && inputs.right) {
    return fill_pairs(*inputs.left, *inputs.right, settings, reader, request);
  }
  const std::string wanted = reads_pairs ? "left and right" : "text";
  return invalid_argument({.what = "these are not the inputs of task " + task.name,
                           .where = "inputs",
                           .expected = wanted + ", or input_ids with attention_mask"});
}

Status choose_tasks(const InferCall& call, const engine::Target& target, engine::Request& request) {
  if (call.parameters.tasks.empty()) {
    request.tasks = target.tasks;
    if (!request.tasks.empty()) return {};
    std::string names;
    for (const auto& entry : target.model->metadata().tasks) {
      names += (names.empty() ? "" : ", ") + entry.task.name;
    }
    return invalid_argument({.what = "the model has several tasks",
                             .where = "model " + std::string(call.model),
                             .expected = "parameters.tasks with one or more of " + names,
                             .remedy = "Or ask the model " + target.model_name + ".TASK"});
  }
  TILEWISE_ASSIGN_OR_RETURN(
      request.tasks, engine::Repository::find_tasks(target, std::string(call.parameters.tasks)));
  if (target.tasks.empty() || request.tasks == target.tasks) return {};
  return invalid_argument({.what = "the model stands for another task",
                           .where = "parameters.tasks",
                           .expected = "the model's own name, " + target.model_name,
                           .found = std::string(call.model)});
}

/// What the call names wins; a deadline that nobody named is that of the priority.
Status set_urgency(const InferCall& call, const Settings& settings, engine::Request& request) {
  const auto usual = [&](runtime::Priority priority) -> Time {
    return request.arrival +
           (priority == runtime::Priority::bulk ? settings.bulk_deadline : settings.deadline);
  };
  const bool is_usual =
      request.deadline == Time::max() || request.deadline == usual(request.priority);
  if (call.parameters.priority) request.priority = *call.parameters.priority;
  const int64_t timeout = call.parameters.timeout_us.value_or(0);
  if (timeout < 0) {
    return invalid_argument({.what = "a timeout cannot be negative",
                             .where = "parameters.timeout",
                             .expected = "microseconds",
                             .found = std::to_string(timeout)});
  }
  constexpr int64_t kLongest = int64_t{24} * 3600 * 1'000'000;
  if (timeout > 0) {
    request.deadline = request.arrival + std::chrono::microseconds(std::min(timeout, kLongest));
  } else if (is_usual) {
    request.deadline = usual(request.priority);
  }
  return {};
}

}  // namespace

Elements elements_of(std::string_view datatype) {
  constexpr std::array<std::string_view, 9> kIntegers = {
      "INT64", "INT32", "INT8", "INT16", "UINT8", "UINT16", "UINT32", "UINT64", "BOOL"};
  if (datatype == "BYTES") return Elements::texts;
  const bool integers = std::find(kIntegers.begin(), kIntegers.end(), datatype) != kIntegers.end();
  return integers ? Elements::integers : Elements::other;
}

Result<int64_t> element_count(std::span<const int64_t> shape) {
  constexpr int64_t kMost = int64_t{1} << 40;
  int64_t count = 1;
  bool too_many = false;
  for (const int64_t dimension : shape) {
    if (dimension < 0) {
      return invalid_argument({.what = "a dimension is negative",
                               .where = "shape",
                               .expected = "0 or more",
                               .found = std::to_string(dimension)});
    }
    if (dimension == 0) return int64_t{0};
    too_many |= dimension > kMost / count;
    if (!too_many) count *= dimension;
  }
  if (!too_many) return count;
  return invalid_argument({.what = "a tensor has too many elements", .where = "shape"});
}

Status prepare(const InferCall& call, const engine::Repository& repository,
               const Settings& settings, engine::Request& request, engine::Target& target) {
  TILEWISE_ASSIGN_OR_RETURN(target, repository.find(call.model, call.version));
  request.model = target.model;
  TILEWISE_RETURN_IF_ERROR(choose_tasks(call, target, request));
  TILEWISE_RETURN_IF_ERROR(check_outputs(call, target.model->metadata(), request.tasks));
  TILEWISE_RETURN_IF_ERROR(set_urgency(call, settings, request));
  request.both_orders = call.parameters.both_orders;
  request.full_depth = call.parameters.full_depth.value_or(settings.full_depth);
  const bool may_cut = call.parameters.truncate.value_or(settings.auto_truncate);
  request.overlong = !may_cut                        ? engine::Overlong::refuse
                     : call.parameters.truncate_left ? engine::Overlong::cut_left
                                                     : engine::Overlong::cut_right;
  Inputs inputs;
  TILEWISE_RETURN_IF_ERROR(sort_inputs(call, inputs));
  return fill_inputs(inputs, settings, request);
}

}  // namespace tilewise::server::kserve
