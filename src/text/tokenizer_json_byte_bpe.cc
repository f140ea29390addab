// The parts of a byte BPE tokenizer in a tokenizer.json.
#include <string>
#include <string_view>
#include <vector>

#include "text/byte_alphabet.h"
#include "text/merges.h"
#include "text/tokenizer_json.h"
#include "text/utf8.h"

namespace tilewise::text {
namespace {

using model::TokenizerSpec;

Status unknown_normalizer(const JsonObject& at, const std::string& found) {
  return unknown_part(at.where(), "NFC or nothing", found);
}

/// Nothing, NFC, or a list of such.
Status read_normalizer(const JsonObject& root, TokenizerSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string type, type_of(root, "normalizer"));
  if (type == "nothing") return {};
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject normalizer, root.object("normalizer"));
  if (type != "NFC" && type != "Sequence") return unknown_normalizer(normalizer, type);
  spec.compose = type == "NFC";
  if (spec.compose) return {};
  TILEWISE_ASSIGN_OR_RETURN(const auto parts, normalizer.objects("normalizers"));
  for (const JsonObject& part : parts) {
    TILEWISE_ASSIGN_OR_RETURN(const std::string inner, part.string("type"));
    if (inner != "NFC") return unknown_normalizer(part, inner);
    spec.compose = true;
  }
  return {};
}

Status read_pre_tokenizer(const JsonObject& root, TokenizerSpec& spec) {
  TILEWISE_RETURN_IF_ERROR(require_type(root, "pre_tokenizer", "ByteLevel"));
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject byte_level, root.object("pre_tokenizer"));
  TILEWISE_ASSIGN_OR_RETURN(spec.add_prefix_space, byte_level.boolean("add_prefix_space"));
  TILEWISE_ASSIGN_OR_RETURN(const bool use_regex, byte_level.boolean_or("use_regex", true));
  if (use_regex) return {};
  return unknown_part(byte_level.place("use_regex"), "true", "false");
}

/// A setting that changes the tokens and is off in every model of the supported families.
Status require_off(const JsonObject& model, std::string_view field) {
  const auto value = model.raw()[field];
  std::string_view text;
  double number = 0;
  const bool is_off = !model.has(field) || (value.get(text) == simdjson::SUCCESS && text.empty()) ||
                      (value.get(number) == simdjson::SUCCESS && number == 0);
  if (is_off) return {};
  return unknown_part(model.place(field), "nothing", simdjson::minify(value.value_unsafe()));
}

bool has_all_bytes(const Vocabulary& vocabulary) {
  for (uint32_t byte = 0; byte < 256; ++byte) {
    std::string token;
    append_utf8(character_of_byte(static_cast<uint8_t>(byte)), token);
    if (!vocabulary.find(token)) return false;
  }
  return true;
}

/// What a byte without a token becomes. Most vocabularies have all bytes, and it does not matter.
Status read_unknown(const JsonObject& model, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  if (has_all_bytes(vocabulary)) return {};
  TILEWISE_ASSIGN_OR_RETURN(const bool fallback, model.boolean_or("byte_fallback", false));
  if (fallback) return unknown_part(model.place("byte_fallback"), "false", "true");
  TILEWISE_ASSIGN_OR_RETURN(spec.fuse_unknown, model.boolean_or("fuse_unk", false));
  if (!model.has("unk_token")) return {};
  TILEWISE_ASSIGN_OR_RETURN(const std::string unknown, model.string("unk_token"));
  const auto id = vocabulary.find(unknown);
  if (!id) return unknown_token_missing(model, unknown);
  spec.unknown_byte_id = *id;
  return {};
}

Status read_merges(const JsonObject& model, const Vocabulary& vocabulary, TokenizerSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const auto merges, model.array("merges"));
  for (const simdjson::dom::element merge : merges) {
    const std::string where =
        model.place("merges") + "[" + std::to_string(spec.merges.size()) + "]";
    simdjson::dom::array pair;
    std::string_view line, left, right;
    if (merge.get(line) == simdjson::SUCCESS) {
      TILEWISE_RETURN_IF_ERROR(read_merge_line(line, where, vocabulary, spec));
    } else if (merge.get(pair) == simdjson::SUCCESS && pair.size() == 2 &&
               pair.at(0).get(left) == simdjson::SUCCESS &&
               pair.at(1).get(right) == simdjson::SUCCESS) {
      TILEWISE_RETURN_IF_ERROR(add_merge(left, right, where, vocabulary, spec));
    } else {
      return bad_merge(where, "two tokens", simdjson::minify(merge));
    }
  }
  return {};
}

Status read_model(const JsonObject& root, TokenizerSpec& spec, Vocabulary& vocabulary) {
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject model, root.object("model"));
  for (const char* field : {"dropout", "continuing_subword_prefix", "end_of_word_suffix"}) {
    TILEWISE_RETURN_IF_ERROR(require_off(model, field));
  }
  TILEWISE_ASSIGN_OR_RETURN(spec.ignore_merges, model.boolean_or("ignore_merges", false));
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject tokens, model.object("vocab"));
  TILEWISE_RETURN_IF_ERROR(read_vocabulary(tokens, vocabulary));
  TILEWISE_RETURN_IF_ERROR(read_unknown(model, vocabulary, spec));
  return read_merges(model, vocabulary, spec);
}

}  // namespace

Status read_byte_bpe(const JsonObject& root, TokenizerSpec& spec, Vocabulary& vocabulary) {
  spec.model = model::TokenizerModel::byte_bpe;
  TILEWISE_RETURN_IF_ERROR(read_pre_tokenizer(root, spec));
  TILEWISE_RETURN_IF_ERROR(read_normalizer(root, spec));
  return read_model(root, spec, vocabulary);
}

}  // namespace tilewise::text
