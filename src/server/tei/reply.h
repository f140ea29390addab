// What TEI's endpoints answer: raw outputs -> JSON.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "artifact/metadata.h"
#include "base/status.h"
#include "engine/repository.h"
#include "engine/request.h"
#include "model/row.h"
#include "model/task.h"
#include "server/settings.h"
#include "server/tei/call.h"
#include "text/tokenizer.h"

namespace tilewise::server::tei {

/// Appends [{"score","label"}, ...], best first. `values`: the logits. Scores are probabilities, or
/// with `raw` the logits; of a regression task the value, with the task's name as its label.
/// `scratch` lends its memory. Errors: internal where an output is no number.
Status append_prediction(const model::Task& task, std::span<const float> values, bool raw,
                         int32_t top, model::Prediction& scratch, std::string& out);

/// The one score of a pair: the probability, or the raw output.
float score_of(const model::Task& task, std::span<const float> values, bool raw,
               model::Prediction& scratch);

/// Appends [{"index","text"?,"score"}, ...], best first. `inputs`: pairs, whose right sides are the
/// texts; empty: no texts in the reply. Errors: as above.
Status append_ranks(std::span<const float> scores, std::span<const model::Input> inputs,
                    std::string& out);

/// The vector that a client gets: cut to `dimensions` (0: all), then scaled to length 1 if
/// `normalize`. Errors: invalid_argument for more dimensions than there are; internal where one is
/// no number.
Status make_embedding(std::span<const float> values, int64_t dimensions, bool normalize,
                      std::vector<float>& embedding);

/// Appends [0.1, ...].
void append_floats(std::span<const float> values, std::string& out);

/// Appends the scalar product of the first embedding with each of the others. All have the same
/// width.
Status append_similarities(const engine::Request& request, std::string& out);

/// Appends [{"id","text","special","start","stop"}, ...]. Positions are null: the tokenizer keeps
/// none.
void append_tokens(const text::Tokenizer& tokenizer, std::span<const int32_t> ids,
                   std::string& out);

/// Appends ["text", ...].
void append_texts(const text::Tokenizer& tokenizer, const DecodeCall& call, std::string& out);

/// Appends the object of GET /info. `metadata`: of the model that has the described task. `tasks`:
/// all that are served.
void append_info(const engine::TaskEntry& described, const artifact::Metadata& metadata,
                 std::span<const engine::TaskEntry> tasks, const Settings& settings,
                 std::string& out);

}  // namespace tilewise::server::tei
