#include "server/openai/call.h"

#include <bit>
#include <limits>
#include <utility>

#include "rows/writer.h"
#include "server/tei/inputs.h"
#include "server/tei/reply.h"

namespace tilewise::server::openai {
namespace {

Status no_input(std::string_view found) {
  return invalid_argument({.what = "There is nothing to embed",
                           .where = "input",
                           .expected = "a string, or an array of strings or of token ids",
                           .found = std::string(found)});
}

Status read_format(JsonValue& value, bool& base64) {
  std::string_view name;
  TILEWISE_RETURN_IF_ERROR(read_string(value, "encoding_format", name));
  base64 = name == "base64";
  if (base64 || name == "float") return {};
  return invalid_argument({.what = "The encoding of embeddings does not exist",
                           .where = "encoding_format",
                           .expected = "\"float\" or \"base64\"",
                           .found = "\"" + std::string(name) + "\""});
}

}  // namespace

Status parse(std::string_view body, JsonReader& reader, EmbeddingsCall& call) {
  call = {};
  bool found = false;
  TILEWISE_RETURN_IF_ERROR(
      reader.read(body, [&](std::string_view name, JsonValue& value) -> Status {
        std::string_view text;
        if (name == "input") {
          found = true;
          return read_texts_or_ids(reader, value, "input", call.inputs, call.token_inputs);
        }
        if (name == "model") {
          const Status status = read_string(value, "model", text);
          call.model = text;
          return status;
        }
        if (name == "encoding_format") return read_format(value, call.base64);
        if (name == "dimensions") {
          return read_integer(value, "dimensions", 1, std::numeric_limits<int32_t>::max(),
                              call.dimensions);
        }
        return skip(value);
      }));
  if (!found) return no_input("nothing");
  if (call.inputs.empty() && call.token_inputs.empty()) return no_input("an empty array");
  return {};
}

void append_base64(std::span<const float> values, std::string& out) {
  constexpr char kDigits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  out += '"';
  uint32_t group = 0;  // up to three bytes
  int bytes = 0;
  const auto put = [&](int digits) {
    for (int i = 0; i < digits; ++i) out += kDigits[group >> (18 - 6 * i) & 63];
  };
  for (const float value : values) {
    const auto bits = std::bit_cast<uint32_t>(value);
    for (int shift = 0; shift < 32; shift += 8) {
      group |= (bits >> shift & 255) << (16 - 8 * bytes);
      if (++bytes < 3) continue;
      put(4);
      group = 0;
      bytes = 0;
    }
  }
  if (bytes > 0) {
    put(bytes + 1);
    out.append(static_cast<size_t>(3 - bytes), '=');
  }
  out += '"';
}

Status append_embeddings(const EmbeddingsCall& call, const engine::Request& request,
                         std::string_view model, std::string& out) {
  std::vector<float> embedding;
  out += R"({"object":"list","data":[)";
  for (size_t i = 0; i < request.size(); ++i) {
    TILEWISE_RETURN_IF_ERROR(
        tei::make_embedding(request.values(i, 0), call.dimensions, true, embedding));
    out += i == 0 ? R"({"object":"embedding","index":)" : R"(,{"object":"embedding","index":)";
    out += std::to_string(i);
    out += ",\"embedding\":";
    call.base64 ? append_base64(embedding, out) : tei::append_floats(embedding, out);
    out += '}';
  }
  out += "],\"model\":";
  rows::append_json_string(model, out);
  const std::string tokens = std::to_string(request.tokens);
  out += ",\"usage\":{\"prompt_tokens\":" + tokens + ",\"total_tokens\":" + tokens + "}}";
  return {};
}

void append_model(std::string_view id, int64_t created, std::string& out) {
  out += "{\"id\":";
  rows::append_json_string(id, out);
  out += R"(,"object":"model","created":)" + std::to_string(created) + R"(,"owned_by":"tilewise"})";
}

}  // namespace tilewise::server::openai
