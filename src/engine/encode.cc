#include "engine/encode.h"

#include <algorithm>
#include <string>
#include <utility>

#include "engine/service.h"

namespace tilewise::engine {
namespace {

std::string input_name(size_t index) { return "inputs[" + std::to_string(index) + "]"; }

Status name_input(const Status& status, size_t index) {
  Problem problem = status.problem();
  problem.where = input_name(index) + (problem.where.empty() ? "" : ", " + problem.where);
  return {status.code(), std::move(problem)};
}

Status check_tasks(const artifact::Metadata& metadata, const TaskSet& tasks) {
  const auto count = static_cast<int32_t>(metadata.tasks.size());
  if (tasks.empty()) {
    return invalid_argument({.what = "The request names no task",
                             .expected = "at least one task of the model",
                             .remedy = "Name one"});
  }
  for (const int32_t task : tasks) {
    if (task < 0 || task >= count) {
      return invalid_argument({.what = "The model has no such task",
                               .expected = "a number from 0 to " + std::to_string(count - 1),
                               .found = std::to_string(task)});
    }
  }
  return check_alike(metadata, tasks);
}

Status check_call(const Request& request) {
  if (request.model == nullptr) {
    return invalid_argument({.what = "The request names no model", .remedy = "Name one"});
  }
  TILEWISE_RETURN_IF_ERROR(check_tasks(request.model->metadata(), request.tasks));
  if (request.inputs.empty() && request.token_inputs.empty()) {
    return invalid_argument({.what = "The request has no input",
                             .where = "inputs",
                             .expected = "at least one",
                             .found = "none"});
  }
  if (!request.inputs.empty() && !request.token_inputs.empty()) {
    return invalid_argument({.what = "The request has both texts and token ids",
                             .where = "inputs",
                             .expected = "one of them",
                             .found = "both"});
  }
  if (request.both_orders && !request.token_inputs.empty()) {
    return invalid_argument({.what = "Token ids cannot be put into the other order",
                             .where = "both_orders",
                             .expected = "texts",
                             .found = "token ids",
                             .remedy = "Send both orders and take the mean"});
  }
  return {};
}

Status check_range(const char* what, std::span<const int32_t> values, int32_t size,
                   const char* name, size_t input) {
  for (size_t i = 0; i < values.size(); ++i) {
    if (values[i] >= 0 && values[i] < size) continue;
    return invalid_argument(
        {.what = what,
         .where = input_name(input) + "." + name + "[" + std::to_string(i) + "]",
         .expected = "0 to " + std::to_string(size - 1),
         .found = std::to_string(values[i]),
         .remedy = "Use the tokenizer that the model was compiled with"});
  }
  return {};
}

/// What a pass relies on, and the length that the task takes of texts, too.
Status check_tokens(const model::EncoderSpec& spec, const model::Task& task,
                    const TokenInput& tokens, size_t input) {
  const int64_t most = std::min(spec.max_positions, task.max_tokens);
  const auto length = static_cast<int64_t>(tokens.ids.size());
  if (length < 1 || length > most) {
    return invalid_argument(
        {.what = length < 1 ? "An input has no tokens" : "An input is longer than the task takes",
         .where = input_name(input),
         .expected = "1 to " + std::to_string(most) + " tokens",
         .found = std::to_string(length),
         .remedy = "Token ids are never cut: make them fewer"});
  }
  TILEWISE_RETURN_IF_ERROR(check_range("A token id lies outside the vocabulary", tokens.ids,
                                       spec.vocab_size, "ids", input));
  if (tokens.types.empty()) return {};
  if (tokens.types.size() != tokens.ids.size()) {
    return invalid_argument({.what = "An input has not one token type for each token id",
                             .where = input_name(input) + ".types",
                             .expected = std::to_string(length),
                             .found = std::to_string(tokens.types.size())});
  }
  if (spec.token_types == 0) return {};  // the family has none and ignores them
  return check_range("A token type is out of range", tokens.types, spec.token_types, "types",
                     input);
}

Status encode_tokens(Request& request) {
  const model::EncoderSpec& spec = request.model->metadata().spec;
  const model::Task& task = request.model->metadata().tasks[request.tasks.front()].task;
  text::PackedTokens& packed = request.own.packed;
  for (size_t i = 0; i < request.token_inputs.size(); ++i) {
    const TokenInput& tokens = request.token_inputs[i];
    TILEWISE_RETURN_IF_ERROR(check_tokens(spec, task, tokens, i));
    packed.ids.insert(packed.ids.end(), tokens.ids.begin(), tokens.ids.end());
    packed.types.insert(packed.types.end(), tokens.types.begin(), tokens.types.end());
    packed.types.resize(packed.ids.size(), 0);
    packed.offsets.push_back(static_cast<int32_t>(packed.ids.size()));
    packed.truncated.push_back(false);
  }
  return {};
}

/// The place of a bad input: sequences without tokens, which are never run.
void leave_empty(size_t input, Request::Own& own) {
  text::PackedTokens& packed = own.packed;
  const size_t before = input * static_cast<size_t>(own.orders);
  packed.offsets.resize(before + 1);
  packed.truncated.resize(before);
  packed.ids.resize(static_cast<size_t>(packed.offsets.back()));
  packed.types.resize(packed.ids.size());
  packed.offsets.resize(before + 1 + static_cast<size_t>(own.orders), packed.offsets.back());
  packed.truncated.resize(before + static_cast<size_t>(own.orders), false);
}

Status encode_texts(Request& request) {
  Request::Own& own = request.own;
  const LoadedModel& loaded = request.model->loaded();
  const model::Task& task = loaded.metadata().tasks[request.tasks.front()].task;
  if (own.encoder) {
    own.encoder->use(loaded.tokenizer());
  } else {
    own.encoder.emplace(loaded.tokenizer());
  }
  if (request.both_orders && task.input == model::InputKind::pair) own.orders = 2;
  for (size_t i = 0; i < request.inputs.size(); ++i) {
    const Status status =
        own.encoder->append(task, request.inputs[i], own.packed,
                            {.overlong = request.overlong, .both_orders = own.orders == 2});
    if (!request.bad_inputs_alone && !status.ok()) return name_input(status, i);
    if (request.bad_inputs_alone) request.input_statuses.push_back(status);
    if (!status.ok()) leave_empty(i, own);
  }
  return {};
}

}  // namespace

Status encode(Request& request) {
  Request::Own& own = request.own;
  own.packed.clear();
  own.orders = 1;
  TILEWISE_RETURN_IF_ERROR(check_call(request));
  TILEWISE_RETURN_IF_ERROR(request.inputs.empty() ? encode_tokens(request) : encode_texts(request));
  request.tokens = own.packed.tokens();
  for (size_t i = 0; i < request.size(); ++i) {
    request.truncated.push_back(own.packed.truncated[i * own.orders]);
  }
  return {};
}

}  // namespace tilewise::engine
