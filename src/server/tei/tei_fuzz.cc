// Any bytes as the body of each of TEI's calls: nothing may crash, and what is read is valid UTF-8.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include <simdjson.h>

#include "server/tei/any.h"
#include "server/tei/call.h"

namespace {

using namespace tilewise;

void check(const model::Content& content) {
  const auto is_valid = [](const std::string& text) {
    return simdjson::validate_utf8(text.data(), text.size());
  };
  if (const auto* text = std::get_if<std::string>(&content)) {
    if (!is_valid(*text)) std::abort();
    return;
  }
  for (const auto& field : std::get<model::Record>(content).fields) {
    if (!is_valid(field.name) || !is_valid(field.value)) std::abort();
  }
}

void check(const std::vector<model::Input>& inputs) {
  for (const model::Input& input : inputs) {
    if (const auto* text = std::get_if<model::TextInput>(&input)) {
      check(text->text);
    } else {
      check(std::get<model::PairInput>(input).left);
      check(std::get<model::PairInput>(input).right);
    }
  }
  if (server::tei::count_characters(inputs) < 0) std::abort();
}

template <class Call>
void run(std::string_view body, server::JsonReader& reader) {
  Call call;
  if (!server::tei::parse(body, reader, call).ok()) return;
  if constexpr (requires { check(call.inputs); }) check(call.inputs);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  server::JsonReader reader;
  run<server::tei::PredictCall>(body, reader);
  run<server::tei::RerankCall>(body, reader);
  run<server::tei::EmbedCall>(body, reader);
  run<server::tei::SimilarityCall>(body, reader);
  run<server::tei::TokenizeCall>(body, reader);
  run<server::tei::DecodeCall>(body, reader);
  server::tei::Shape shape;
  (void)server::tei::look_at(body, reader, shape);
  return 0;
}
