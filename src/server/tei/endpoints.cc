// TEI's endpoints: body -> call -> engine -> reply.
#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "server/depth.h"
#include "server/exchange.h"
#include "server/tei/any.h"
#include "server/tei/call.h"
#include "server/tei/error.h"
#include "server/tei/fill.h"
#include "server/tei/reply.h"

namespace tilewise::server {
namespace tei {
namespace {

using Awaitable = boost::asio::awaitable<void>;

/// TEI has a form of its own for it.
void refuse_empty(Exchange& exchange, std::string_view name) {
  exchange.query.status = invalid_argument({.what = "`" + std::string(name) + "` cannot be empty"});
  write_empty_error(name, exchange.response);
}

/// Whole ones, as TEI writes them: its clients read integers.
std::string milliseconds(double seconds) {
  return std::to_string(static_cast<int64_t>(seconds * 1e3));
}

/// TEI's headers. What they round away stands in Server-Timing
/// (https://www.w3.org/TR/server-timing), in milliseconds, too: most of what happens here takes
/// less than one.
void add_headers(Exchange& exchange, int64_t characters) {
  const engine::Request& query = exchange.query;
  const engine::RequestTimes& times = query.times;
  const double seconds = seconds_between(query.arrival, exchange.app.clock.now());
  const std::string total = milliseconds(seconds);
  auto& headers = exchange.response.headers;
  headers.emplace_back("x-compute-type", "cpu");
  headers.emplace_back("x-compute-time", total);
  headers.emplace_back("x-compute-characters", std::to_string(characters));
  headers.emplace_back("x-compute-tokens", std::to_string(query.tokens));
  if (const DepthTotals depth = depth_of(query); depth.answers > 0) {
    headers.emplace_back("x-compute-depth", fmt::format("{:.6g}", depth.mean()));
  }
  headers.emplace_back("x-total-time", total);
  headers.emplace_back("x-tokenization-time", milliseconds(times.tokenize));
  headers.emplace_back("x-queue-time", milliseconds(times.queue));
  headers.emplace_back("x-inference-time", milliseconds(times.compute));
  headers.emplace_back(
      "server-timing",
      fmt::format(
          "tokenization;dur={:.3f}, queue;dur={:.3f}, inference;dur={:.3f}, total;dur={:.3f}",
          times.tokenize * 1e3, times.queue * 1e3, times.compute * 1e3, seconds * 1e3));
  add_truncated_headers(exchange);
}

template <class Call>
concept TakesTokens = requires(Call call) { call.token_inputs; };

template <class Call>
size_t count_inputs(const Call& call) {
  if constexpr (TakesTokens<Call>) return call.inputs.size() + call.token_inputs.size();
  return call.inputs.size();
}

/// Ids count as characters where there are no texts.
template <class Call>
int64_t characters_of(const Call& call) {
  int64_t characters = count_characters(call.inputs);
  if constexpr (TakesTokens<Call>) {
    for (const auto& input : call.token_inputs) characters += std::ssize(input.ids);
  }
  return characters;
}

/// Moves a call's inputs and options into the query; `wanted` says which task will do.
template <class Call>
Status fill(Exchange& exchange, const Wanted& wanted, Call& call) {
  const Options& options = call.options;
  TILEWISE_RETURN_IF_ERROR(check_batch(exchange, count_inputs(call)));
  TILEWISE_RETURN_IF_ERROR(choose(exchange, options.task, wanted));
  exchange.query.inputs = std::move(call.inputs);
  if constexpr (TakesTokens<Call>) exchange.query.token_inputs = std::move(call.token_inputs);
  exchange.query.both_orders = options.both_orders;
  exchange.query.full_depth = options.full_depth.value_or(exchange.app.settings.full_depth);
  set_overlong(exchange, options.truncate, options.cut_left);
  return {};
}

/// A call that runs a model. `list`: the member that its inputs come from. `wanted`: which task
/// will do. `write`: the answered query -> the body.
template <class Call>
Awaitable answer_call(Exchange& exchange, std::string_view list, Wanted (*wanted)(const Call&),
                      Status (*write)(const Call&, Exchange&)) {
  Call call;
  Status& status = exchange.query.status;
  status = parse(exchange.request.body, memory_of(exchange).reader, call);
  if (status.ok() && count_inputs(call) == 0) co_return refuse_empty(exchange, list);
  const int64_t characters = characters_of(call);
  if (status.ok()) status = fill(exchange, wanted(call), call);
  if (status.ok()) co_await exchange.answer();
  if (status.ok()) status = write(call, exchange);
  if (status.ok()) add_headers(exchange, characters);
}

const model::Task& task_of(const engine::Request& query) {
  return query.model->metadata().tasks[static_cast<size_t>(query.tasks.front())].task;
}

model::InputKind kind_of(const model::Input& input) {
  return std::holds_alternative<model::PairInput>(input) ? model::InputKind::pair
                                                         : model::InputKind::text;
}

Status write_predictions(const PredictCall& call, Exchange& exchange) {
  const engine::Request& query = exchange.query;
  model::Prediction& prediction = memory_of(exchange).prediction;
  std::string& out = exchange.response.body;
  const model::Task& task = task_of(query);
  const auto append = [&](size_t i) {
    return append_prediction(task, query.values(i, 0), call.raw_scores,
                             static_cast<int32_t>(call.top), prediction, out);
  };
  if (!call.is_batch) return append(0);
  for (size_t i = 0; i < query.size(); ++i) {
    out += i == 0 ? '[' : ',';
    TILEWISE_RETURN_IF_ERROR(append(i));
  }
  out += ']';
  return {};
}

Awaitable predict(Exchange& exchange) {
  return answer_call<PredictCall>(
      exchange, "inputs",
      [](const PredictCall& call) {
        return Wanted{Purpose::predict, kind_of(call.inputs.front())};
      },
      write_predictions);
}

Status write_ranks(const RerankCall& call, Exchange& exchange) {
  const engine::Request& query = exchange.query;
  model::Prediction& prediction = memory_of(exchange).prediction;
  std::vector<float> scores;
  for (size_t i = 0; i < query.size(); ++i) {
    scores.push_back(score_of(task_of(query), query.values(i, 0), call.raw_scores, prediction));
  }
  const std::span<const model::Input> inputs(query.inputs);
  return append_ranks(scores, call.return_text ? inputs : inputs.first(0), exchange.response.body);
}

Awaitable rerank(Exchange& exchange) {
  return answer_call<RerankCall>(
      exchange, "texts",
      [](const RerankCall&) { return Wanted{Purpose::rerank, model::InputKind::pair}; },
      write_ranks);
}

Status write_embeddings(const EmbedCall& call, Exchange& exchange) {
  const engine::Request& query = exchange.query;
  std::string& out = exchange.response.body;
  std::vector<float> embedding;
  for (size_t i = 0; i < query.size(); ++i) {
    TILEWISE_RETURN_IF_ERROR(
        make_embedding(query.values(i, 0), call.dimensions, call.normalize, embedding));
    out += i == 0 ? '[' : ',';
    append_floats(embedding, out);
  }
  out += ']';
  return {};
}

Awaitable embed(Exchange& exchange) {
  return answer_call<EmbedCall>(
      exchange, "inputs", [](const EmbedCall&) { return Wanted{Purpose::embed, {}}; },
      write_embeddings);
}

Status write_similarities(const SimilarityCall&, Exchange& exchange) {
  return append_similarities(exchange.query, exchange.response.body);
}

Awaitable similarity(Exchange& exchange) {
  return answer_call<SimilarityCall>(
      exchange, "sentences",
      [](const SimilarityCall&) { return Wanted{Purpose::embed, model::InputKind::text}; },
      write_similarities);
}

/// The tokenizer of the model that the request names, of the default task's, or of the only one.
Result<std::shared_ptr<engine::ServedModel>> model_of(Exchange& exchange, std::string_view named) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  std::string asked(named);
  if (asked.empty()) asked = exchange.request.query_value("task");
  if (asked.empty()) asked = exchange.app.settings.default_task;
  if (!asked.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(engine::Target target, repository->find(asked));
    exchange.model = target.model_name;
    return target.model;
  }
  const auto tasks = repository->tasks();
  const auto is_another = [&](const engine::TaskEntry& entry) {
    return entry.target.model != tasks->front().target.model;
  };
  if (tasks->empty() || std::any_of(tasks->begin(), tasks->end(), is_another)) {
    return invalid_argument(
        {.what = "It is not clear whose tokenizer is meant: the request names no task",
         .where = "task",
         .expected = "one of those that /info lists",
         .found = "nothing",
         .remedy = "Name it: \"task\" in the body, ?task=, or --default-task"});
  }
  exchange.model = tasks->front().target.model_name;
  return tasks->front().target.model;
}

Status write_tokens(Exchange& exchange, const TokenizeCall& call) {
  TILEWISE_RETURN_IF_ERROR(check_batch(exchange, call.inputs.size()));
  TILEWISE_ASSIGN_OR_RETURN(const auto served, model_of(exchange, call.task));
  const text::Tokenizer& tokenizer = served->loaded().tokenizer();
  std::vector<int32_t> ids;
  std::string& out = exchange.response.body;
  for (size_t i = 0; i < call.inputs.size(); ++i) {
    ids.clear();
    if (call.add_special_tokens) ids.push_back(tokenizer.cls_id());
    tokenizer.encode(call.inputs[i], ids);
    if (call.add_special_tokens) ids.push_back(tokenizer.sep_id());
    out += i == 0 ? '[' : ',';
    append_tokens(tokenizer, ids, out);
  }
  out += ']';
  return {};
}

Awaitable tokenize(Exchange& exchange) {
  TokenizeCall call;
  Status& status = exchange.query.status;
  status = parse(exchange.request.body, memory_of(exchange).reader, call);
  if (status.ok() && call.inputs.empty()) co_return refuse_empty(exchange, "inputs");
  if (status.ok()) status = write_tokens(exchange, call);
}

Status write_texts(Exchange& exchange, const DecodeCall& call) {
  TILEWISE_RETURN_IF_ERROR(check_batch(exchange, call.ids.size()));
  TILEWISE_ASSIGN_OR_RETURN(const auto served, model_of(exchange, call.task));
  append_texts(served->loaded().tokenizer(), call, exchange.response.body);
  return {};
}

Awaitable decode(Exchange& exchange) {
  DecodeCall call;
  Status& status = exchange.query.status;
  status = parse(exchange.request.body, memory_of(exchange).reader, call);
  if (status.ok() && call.ids.empty()) co_return refuse_empty(exchange, "ids");
  if (status.ok()) status = write_texts(exchange, call);
}

/// Described is the task that is asked for, the default one, or else the first of all.
Status write_info(Exchange& exchange) {
  TILEWISE_ASSIGN_OR_RETURN(const engine::Repository* repository, exchange.app.models());
  const auto tasks = repository->tasks();
  if (tasks->empty()) {
    return unavailable({.what = "No model is served"});
  }
  std::string asked = exchange.request.query_value("task");
  if (asked.empty()) asked = exchange.app.settings.default_task;
  engine::TaskEntry described = tasks->front();
  if (!asked.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(described.target, repository->find(asked));
    if (described.target.tasks.empty()) described.target.tasks = {0};
    described.name = name_of(described.target);
    described.task = &server::task_of(described.target);
  }
  append_info(described, described.target.model->metadata(), *tasks, exchange.app.settings,
              exchange.response.body);
  return {};
}

Awaitable info(Exchange& exchange) {
  exchange.query.status = write_info(exchange);
  co_return;
}

Awaitable health(Exchange& exchange) {
  exchange.query.status = check_ready(exchange);
  co_return;
}

}  // namespace

Awaitable answer_any(Exchange& exchange) {
  Shape shape;
  Status& status = exchange.query.status;
  status = look_at(exchange.request.body, memory_of(exchange).reader, shape);
  if (status.ok() && shape.has_texts) co_return co_await rerank(exchange);
  if (status.ok() && shape.has_sentences) co_return co_await similarity(exchange);
  if (status.ok()) status = choose(exchange, shape.task, {Purpose::anything, shape.input});
  if (!status.ok()) co_return;
  if (task_of(exchange.query).kind == model::TaskKind::embedding)
    co_return co_await embed(exchange);
  co_return co_await predict(exchange);
}

}  // namespace tei

std::span<const Endpoint> tei_endpoints() {
  using tei::write_error;
  static constexpr Endpoint kEndpoints[] = {
      {"POST", "/predict", tei::predict, write_error, false, true},
      {"POST", "/rerank", tei::rerank, write_error, false, true},
      {"POST", "/embed", tei::embed, write_error, false, true},
      {"POST", "/similarity", tei::similarity, write_error, false, true},
      {"POST", "/", tei::answer_any, write_error, false, true},
      {"POST", "/tokenize", tei::tokenize, write_error},
      {"POST", "/decode", tei::decode, write_error},
      {"GET", "/info", tei::info, write_error},
      {"GET", "/health", tei::health, write_error, true},
  };
  return kEndpoints;
}

}  // namespace tilewise::server
