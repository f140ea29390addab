// The forms that texts and token ids take in the bodies of TEI and of OpenAI.
#pragma once

#include <string_view>
#include <vector>

#include "base/status.h"
#include "engine/request.h"
#include "model/row.h"
#include "server/tei/json_reader.h"

namespace tilewise::server {

/// S | [ids] | [S, ...] | [[ids], ...], where S is a string or a record. Overwrites both; one of
/// them stays empty. Errors: invalid_argument, also where texts and ids are mixed.
Status read_texts_or_ids(JsonReader& reader, JsonValue& value, std::string_view where,
                         std::vector<model::Input>& texts, std::vector<engine::TokenInput>& ids);

/// An array of token ids, each at least 0.
Status read_ids(JsonValue& value, const std::string& where, std::vector<int32_t>& ids);

/// "inputs[3]"
std::string place(std::string_view name, size_t index);

}  // namespace tilewise::server
