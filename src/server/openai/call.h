// POST /v1/embeddings of OpenAI: its body and its reply.
// https://platform.openai.com/docs/api-reference/embeddings
//
// `model` names a task ("NAME.TASK", "TASK"); without it the server's default answers, or the only
// embedding. Vectors have length 1, as OpenAI's. Token ids are the model's own, special tokens
// included. A record may stand where a string does.
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

namespace tilewise::server::openai {

struct EmbeddingsCall {
  std::string model;                             ///< empty: not said
  std::vector<model::Input> inputs;              ///< either these
  std::vector<engine::TokenInput> token_inputs;  ///< or these
  int64_t dimensions = 0;                        ///< 0: all
  bool base64 = false;                           ///< encoding_format
};

/// Overwrites `call`; `reader` lends its memory. Errors: invalid_argument, naming the place; an
/// empty array is one, too.
Status parse(std::string_view body, JsonReader& reader, EmbeddingsCall& call);

/// Appends the reply to an answered request. `model`: as the client named it, or what was chosen.
/// Errors: invalid_argument for too many dimensions; internal where an output is no number.
Status append_embeddings(const EmbeddingsCall& call, const engine::Request& request,
                         std::string_view model, std::string& out);

/// Appends the values as float32, little-endian, in base64 (RFC 4648), in quotes.
void append_base64(std::span<const float> values, std::string& out);

/// {"id","object":"model","created","owned_by"}. `created`: seconds since 1970.
void append_model(std::string_view id, int64_t created, std::string& out);

}  // namespace tilewise::server::openai
