// The parts of a Unigram tokenizer (SentencePiece's, as XLM-R has it) in a tokenizer.json.
#include <algorithm>
#include <limits>
#include <string>
#include <string_view>
#include <vector>

#include "text/precompiled_map.h"
#include "text/tokenizer_json.h"
#include "text/unigram.h"

namespace tilewise::text {
namespace {

using model::TokenizerSpec;
using model::UnigramSpec;

constexpr std::string_view kMetaspace = "\xE2\x96\x81";  // "▁", U+2581
/// Below the least probable piece (SentencePiece's unigram_model.cc).
constexpr double kUnknownPenalty = 10.0;

Status read_precompiled(const JsonObject& normalizer, UnigramSpec& spec) {
  if (!normalizer.has("precompiled_charsmap")) return {};
  TILEWISE_ASSIGN_OR_RETURN(const std::string base64, normalizer.string("precompiled_charsmap"));
  TILEWISE_ASSIGN_OR_RETURN(spec.replacements,
                            read_precompiled_map(base64, normalizer.place("precompiled_charsmap")));
  return {};
}

Status read_strip(const JsonObject& normalizer, UnigramSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(spec.strip_left, normalizer.boolean("strip_left"));
  TILEWISE_ASSIGN_OR_RETURN(spec.strip_right, normalizer.boolean("strip_right"));
  return {};
}

/// Two and more blanks.
Status read_replace(const JsonObject& normalizer, UnigramSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject pattern, normalizer.object("pattern"));
  TILEWISE_ASSIGN_OR_RETURN(const std::string regex, pattern.string_or("Regex", ""));
  TILEWISE_ASSIGN_OR_RETURN(const std::string content, normalizer.string("content"));
  if (regex != " {2,}" || (content != " " && content != kMetaspace)) {
    return unknown_part(normalizer.where(), "two or more blanks that become one blank or \"▁\"",
                        simdjson::minify(normalizer.raw()));
  }
  spec.blanks = content == " " ? model::Blanks::one_blank : model::Blanks::one_metaspace;
  return {};
}

/// The steps that are known, in the only order in which they are.
constexpr std::string_view kSteps[] = {"Precompiled", "Strip", "Replace"};
constexpr const char* kExpectedSteps =
    "Precompiled, Strip, Replace, each at most once and in this order";

Status read_step(const JsonObject& normalizer, size_t& next_step, UnigramSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string type, normalizer.string("type"));
  const auto* const step = std::find(std::begin(kSteps) + next_step, std::end(kSteps), type);
  if (step == std::end(kSteps)) return unknown_part(normalizer.where(), kExpectedSteps, type);
  next_step = static_cast<size_t>(step - std::begin(kSteps)) + 1;
  if (type == "Precompiled") return read_precompiled(normalizer, spec);
  return type == "Strip" ? read_strip(normalizer, spec) : read_replace(normalizer, spec);
}

Status read_normalizer(const JsonObject& root, UnigramSpec& spec) {
  if (!root.has("normalizer")) return {};
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject normalizer, root.object("normalizer"));
  TILEWISE_ASSIGN_OR_RETURN(const std::string type, normalizer.string("type"));
  size_t next_step = 0;
  if (type != "Sequence") return read_step(normalizer, next_step, spec);
  TILEWISE_ASSIGN_OR_RETURN(const auto steps, normalizer.objects("normalizers"));
  for (const JsonObject& step : steps) {
    TILEWISE_RETURN_IF_ERROR(read_step(step, next_step, spec));
  }
  return {};
}

/// Files of old versions say `add_prefix_space`: always or never.
Status read_prepend(const JsonObject& metaspace, UnigramSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const bool is_added, metaspace.boolean_or("add_prefix_space", true));
  TILEWISE_ASSIGN_OR_RETURN(const std::string scheme,
                            metaspace.string_or("prepend_scheme", is_added ? "always" : "never"));
  if (scheme == "never") {
    spec.prepend = model::Prepend::never;
  } else if (is_added && (scheme == "always" || scheme == "first")) {
    spec.prepend = scheme == "first" ? model::Prepend::first : model::Prepend::always;
  } else {
    return unknown_part(metaspace.place("prepend_scheme"),
                        is_added ? "always, first or never" : "never", scheme);
  }
  return {};
}

Status read_metaspace(const JsonObject& metaspace, UnigramSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string type, metaspace.string("type"));
  if (type != "Metaspace") return unknown_part(metaspace.where(), "Metaspace", type);
  TILEWISE_ASSIGN_OR_RETURN(const std::string character, metaspace.string("replacement"));
  if (character != kMetaspace) {
    return unknown_part(metaspace.place("replacement"), "\"▁\"", "\"" + character + "\"");
  }
  TILEWISE_ASSIGN_OR_RETURN(spec.split_metaspace, metaspace.boolean_or("split", true));
  return read_prepend(metaspace, spec);
}

/// Metaspace, alone or after WhitespaceSplit.
Status read_pre_tokenizer(const JsonObject& root, UnigramSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string type, type_of(root, "pre_tokenizer"));
  const auto refuse = [&](const std::string& found) {
    return unknown_part(root.place("pre_tokenizer"), "Metaspace, or WhitespaceSplit and Metaspace",
                        found);
  };
  if (type == "nothing") return refuse(type);
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject pre_tokenizer, root.object("pre_tokenizer"));
  if (type == "Metaspace") return read_metaspace(pre_tokenizer, spec);
  if (type != "Sequence") return refuse(type);
  TILEWISE_ASSIGN_OR_RETURN(const auto parts, pre_tokenizer.objects("pretokenizers"));
  if (parts.empty() || parts.size() > 2) {
    return refuse("a sequence of " + std::to_string(parts.size()));
  }
  if (parts.size() == 2) {
    TILEWISE_ASSIGN_OR_RETURN(const std::string first, parts[0].string("type"));
    if (first != "WhitespaceSplit") return refuse("a sequence that begins with " + first);
    spec.split_whitespace = true;
  }
  return read_metaspace(parts.back(), spec);
}

/// "First" is what comes from the first character of the file's text, which only the whole text is
/// sure to begin with: white space before a word may come from it too ("´" is a blank and an
/// accent).
Status check_first(const JsonObject& root, const UnigramSpec& spec) {
  if (spec.prepend != model::Prepend::first || (!spec.split_whitespace && !spec.strip_left))
    return {};
  return unknown_part(root.place("pre_tokenizer"),
                      "prepend_scheme always or never where white space is split at or stripped",
                      "first");
}

Status bad_piece(const JsonObject& model, size_t index, simdjson::dom::element found) {
  return invalid_input({.what = "A piece of the vocabulary is none",
                        .where = model.place("vocab") + "[" + std::to_string(index) + "]",
                        .expected = "a text and its score",
                        .found = simdjson::minify(found).substr(0, 100),
                        .remedy = {}});
}

/// [["<s>", 0.0], ["▁the", -3.1], ...] by id.
Status read_pieces(const JsonObject& model, UnigramSpec& spec, Vocabulary& vocabulary) {
  TILEWISE_ASSIGN_OR_RETURN(const auto pieces, model.array("vocab"));
  const std::string where = model.place("vocab");
  double least = std::numeric_limits<double>::infinity();
  for (const simdjson::dom::element element : pieces) {
    simdjson::dom::array piece;
    std::string_view text;
    double score = 0;
    if (element.get(piece) != simdjson::SUCCESS || piece.size() != 2 ||
        piece.at(0).get(text) != simdjson::SUCCESS || piece.at(1).get(score) != simdjson::SUCCESS) {
      return bad_piece(model, spec.scores.size(), element);
    }
    TILEWISE_RETURN_IF_ERROR(vocabulary.add(text, static_cast<int64_t>(spec.scores.size()), where));
    spec.scores.push_back(score);
    least = std::min(least, score);
  }
  spec.unknown_score = least - kUnknownPenalty;
  return {};
}

Status read_model(const JsonObject& root, TokenizerSpec& spec, Vocabulary& vocabulary) {
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject model, root.object("model"));
  TILEWISE_ASSIGN_OR_RETURN(spec.unigram.byte_fallback, model.boolean_or("byte_fallback", false));
  TILEWISE_RETURN_IF_ERROR(read_pieces(model, spec.unigram, vocabulary));
  if (!model.has("unk_id")) return unknown_part(model.place("unk_id"), "a piece's id", "nothing");
  TILEWISE_ASSIGN_OR_RETURN(const int64_t unknown, model.integer("unk_id"));
  if (unknown < 0 || unknown >= static_cast<int64_t>(spec.unigram.scores.size())) {
    return invalid_input({.what = "The unknown piece is not in the vocabulary",
                          .where = model.place("unk_id"),
                          .expected = "below " + std::to_string(spec.unigram.scores.size()),
                          .found = std::to_string(unknown),
                          .remedy = {}});
  }
  spec.unknown_id = static_cast<int32_t>(unknown);
  return {};
}

}  // namespace

Status check_unigram_tokens(const TokenizerSpec& spec, const std::string& where) {
  if (spec.model != model::TokenizerModel::unigram ||
      std::ranges::none_of(spec.added_tokens, &model::AddedToken::normalized)) {
    return {};
  }
  const TextNormalizer normalized = unigram_normalizer(spec.unigram);
  for (const model::AddedToken& token : spec.added_tokens) {
    if (!token.normalized || !normalized(token.content).empty()) continue;
    return unsupported({.what = "An added token vanishes when it is normalised",
                        .where = where + ", added token \"" + token.content + "\"",
                        .expected = "at least one character that the normalizer keeps",
                        .found = {},
                        .remedy = {}});
  }
  return {};
}

Status read_unigram(const JsonObject& root, TokenizerSpec& spec, Vocabulary& vocabulary) {
  spec.model = model::TokenizerModel::unigram;
  TILEWISE_RETURN_IF_ERROR(read_normalizer(root, spec.unigram));
  TILEWISE_RETURN_IF_ERROR(read_pre_tokenizer(root, spec.unigram));
  TILEWISE_RETURN_IF_ERROR(check_first(root, spec.unigram));
  return read_model(root, spec, vocabulary);
}

}  // namespace tilewise::text
