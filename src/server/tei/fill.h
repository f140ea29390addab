// From what a call of TEI, OpenAI or SageMaker asks for to the request that the engine answers.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "model/row.h"
#include "server/exchange.h"
#include "server/tei/choose_task.h"
#include "server/tei/json_reader.h"

namespace tilewise::server {

/// What TEI, OpenAI and SageMaker keep from one request of a connection to the next.
struct CallMemory final : EndpointMemory {
  JsonReader reader;
  model::Prediction prediction;
};
CallMemory& memory_of(Exchange& exchange);

/// Of TEI's /health and SageMaker's /ping: `unavailable` while the server starts or drains.
Status check_ready(const Exchange& exchange);

/// ?name=, else of X-Amzn-SageMaker-Custom-Attributes ("task=intent;top=3"), which is all that a
/// client of SageMaker can say beside the body; empty where it is not there.
std::string parameter(const Exchange& exchange, std::string_view name);

/// The task that answers: `named` in the body, else the parameter "task", else as choose_task()
/// says. Sets the query's model and tasks, and what is asked for the metrics.
Status choose(Exchange& exchange, std::string_view named, const Wanted& wanted);

/// Puts a target into the query.
void aim(Exchange& exchange, engine::Target target);

/// too_large where a request has more inputs than the server takes.
Status check_batch(const Exchange& exchange, size_t inputs);

/// What to do with text that is too long: as the request says, else as the server is set.
void set_overlong(Exchange& exchange, std::optional<bool> truncate, bool cut_left);

/// x-truncated and x-truncated-inputs ("0,3"), where text was cut.
void add_truncated_headers(Exchange& exchange);

}  // namespace tilewise::server
