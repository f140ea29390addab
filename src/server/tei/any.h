// One address for all of TEI's calls, as TEI has it at POST / and for SageMaker: what the body
// looks like, and the kind of the task, say what is asked. Hugging Face's InferenceClient with a
// base URL calls POST /.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "base/status.h"
#include "model/task.h"
#include "server/exchange.h"
#include "server/tei/json_reader.h"

namespace tilewise::server::tei {

struct Shape {
  std::string task;
  bool has_inputs = false;     ///< /embed, or /predict
  bool has_texts = false;      ///< "query" and "texts": /rerank
  bool has_sentences = false;  ///< "inputs" is an object with "source_sentence": /similarity
  bool has_row = false;        ///< "text", "left" or "right": no call of TEI's but a row
  std::optional<model::InputKind>
      input;  ///< of "inputs", as /predict reads them, or of the row; nullopt: could be either
};

/// Errors: invalid_argument for what is not a JSON object.
Status look_at(std::string_view body, JsonReader& reader, Shape& shape);

/// A Handler.
boost::asio::awaitable<void> answer_any(Exchange& exchange);

}  // namespace tilewise::server::tei
