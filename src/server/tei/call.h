// What a client asks of TEI's endpoints, from the body of its request.
// https://huggingface.github.io/text-embeddings-inference (its OpenAPI description)
//
// Beyond TEI: "task" names what answers; a record (a flat JSON object) may stand where a string
// does, for tasks that have a template; "both_orders"; "full_depth"; "top_k", as the Inference API
// has it. What TEI leaves to its "parameters" object elsewhere may stand there or beside "inputs".
// Unknown members are ignored, null is as good as absent.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/request.h"
#include "model/row.h"
#include "server/tei/json_reader.h"

namespace tilewise::server::tei {

/// Of every call that runs a model.
struct Options {
  std::string task;                ///< empty: not said
  std::optional<bool> truncate;    ///< nullopt: as the server is set
  bool cut_left = false;           ///< truncation_direction
  bool both_orders = false;        ///< pairs: the mean of both orders
  std::optional<bool> full_depth;  ///< nullopt: as the server is set
};

struct PredictCall {
  Options options;
  std::vector<model::Input> inputs;
  bool is_batch = false;  ///< inputs was an array of arrays, and so is the reply
  bool raw_scores = false;
  int64_t top = 0;  ///< only the best so many; 0: all
};

struct RerankCall {
  Options options;
  std::vector<model::Input> inputs;  ///< (query, text) for each text
  bool raw_scores = false;
  bool return_text = false;
};

struct EmbedCall {
  Options options;
  std::vector<model::Input> inputs;              ///< either these
  std::vector<engine::TokenInput> token_inputs;  ///< or these
  bool normalize = true;
  int64_t dimensions = 0;  ///< 0: all
};

struct SimilarityCall {
  Options options;
  std::vector<model::Input> inputs;  ///< the source sentence, then those that it is compared with
};

struct TokenizeCall {
  std::string task;  ///< any of the model whose tokenizer is meant
  std::vector<std::string> inputs;
  bool add_special_tokens = true;
};

struct DecodeCall {
  std::string task;
  std::vector<std::vector<int32_t>> ids;
  bool skip_special_tokens = true;
};

/// Each overwrites `call`; `reader` lends its memory. Errors: invalid_argument, naming the place.
/// No inputs at all is no error here.
Status parse(std::string_view body, JsonReader& reader, PredictCall& call);
Status parse(std::string_view body, JsonReader& reader, RerankCall& call);
Status parse(std::string_view body, JsonReader& reader, EmbedCall& call);
Status parse(std::string_view body, JsonReader& reader, SimilarityCall& call);
Status parse(std::string_view body, JsonReader& reader, TokenizeCall& call);
Status parse(std::string_view body, JsonReader& reader, DecodeCall& call);

/// Characters (code points) of the texts, and ids of token inputs: what TEI calls compute
/// characters.
int64_t count_characters(const std::vector<model::Input>& inputs);

}  // namespace tilewise::server::tei
