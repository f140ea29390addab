// The post-processor of a tokenizer.json: what it puts around a text and between the two of a pair.
#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "text/tokenizer_json.h"

namespace tilewise::text {
namespace {

using model::TokenizerModel;
using model::TokenizerSpec;

/// One piece of a template in short: "[CLS]:0" or "A:0". Empty for what is neither.
std::string short_form(simdjson::dom::element piece) {
  for (const char* kind : {"SpecialToken", "Sequence"}) {
    simdjson::dom::object object;
    std::string_view id;
    int64_t type = 0;
    if (piece[kind].get(object) != simdjson::SUCCESS) continue;
    if (object["id"].get(id) != simdjson::SUCCESS) return {};
    if (object["type_id"].get(type) != simdjson::SUCCESS) return {};
    return std::string(id) + ":" + std::to_string(type);
  }
  return {};
}

Result<std::vector<std::string>> read_template(const JsonObject& processor, std::string_view name) {
  TILEWISE_ASSIGN_OR_RETURN(const auto pieces, processor.array(name));
  std::vector<std::string> out;
  for (const simdjson::dom::element piece : pieces) out.push_back(short_form(piece));
  return out;
}

std::string joined(const std::vector<std::string>& parts) {
  std::string text;
  for (const std::string& part : parts) text += (text.empty() ? "" : " ") + part;
  return text;
}

Result<int32_t> only_id_of(const JsonObject& processor, const std::string& token) {
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject tokens, processor.object("special_tokens"));
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject entry, tokens.object(token));
  TILEWISE_ASSIGN_OR_RETURN(const auto ids, entry.array("ids"));
  int64_t id = -1;
  if (ids.size() != 1 || ids.at(0).get(id) != simdjson::SUCCESS || id < 0 ||
      id >= Vocabulary::kMaxTokens) {
    return invalid_input({.what = "A special token does not stand for one id",
                          .where = entry.place("ids"),
                          .expected = "a list of one id",
                          .found = {},
                          .remedy = {}});
  }
  return static_cast<int32_t>(id);
}

/// ["[SEP]", 102]
Result<int32_t> read_token_and_id(const JsonObject& processor, std::string_view name) {
  TILEWISE_ASSIGN_OR_RETURN(const auto pair, processor.array(name));
  int64_t id = -1;
  if (pair.size() != 2 || pair.at(1).get(id) != simdjson::SUCCESS || id < 0 ||
      id >= Vocabulary::kMaxTokens) {
    return invalid_input({.what = "A special token has no id",
                          .where = processor.place(name),
                          .expected = "a token and its id",
                          .found = {},
                          .remedy = {}});
  }
  return static_cast<int32_t>(id);
}

/// BertProcessing and RobertaProcessing name the two tokens; the rest goes without saying.
Status read_named_tokens(const JsonObject& processor, int32_t pair_separators, int32_t second_type,
                         TokenizerSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(spec.cls_id, read_token_and_id(processor, "cls"));
  TILEWISE_ASSIGN_OR_RETURN(spec.sep_id, read_token_and_id(processor, "sep"));
  spec.pair_separators = pair_separators;
  spec.second_type = second_type;
  return {};
}

/// How the templates of a pair look that the frame of a sequence can express.
struct PairFrame {
  int32_t separators;
  int32_t second_type;
};
constexpr PairFrame kPairFrames[] = {{1, 1}, {1, 0}, {2, 1}, {2, 0}};

std::vector<std::string> pair_template(const std::string& cls, const std::string& sep,
                                       const PairFrame& frame) {
  const std::string type = ":" + std::to_string(frame.second_type);
  std::vector<std::string> pieces = {cls + ":0", "A:0"};
  pieces.insert(pieces.end(), static_cast<size_t>(frame.separators), sep + ":0");
  pieces.insert(pieces.end(), {"B" + type, sep + type});
  return pieces;
}

/// With BERT's frame the second text has type 1, or an encoder with two types would see another
/// input than the one it was trained on.
std::optional<PairFrame> frame_of(const std::vector<std::string>& pair, const std::string& cls,
                                  const std::string& sep, TokenizerModel model) {
  for (const PairFrame& frame : kPairFrames) {
    const bool is_known =
        model != TokenizerModel::wordpiece || frame.separators == 2 || frame.second_type == 1;
    if (is_known && pair == pair_template(cls, sep, frame)) return frame;
  }
  return std::nullopt;
}

/// [CLS] text [SEP] and [CLS] left [SEP] right [SEP] or <s> left </s></s> right </s>, whatever the
/// two special tokens are called.
Status read_template_processing(const JsonObject& processor, TokenizerSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const auto single, read_template(processor, "single"));
  TILEWISE_ASSIGN_OR_RETURN(const auto pair, read_template(processor, "pair"));
  const auto name_of = [](const std::string& piece) { return piece.substr(0, piece.rfind(':')); };
  const std::string cls = single.size() == 3 ? name_of(single[0]) : "";
  const std::string sep = single.size() == 3 ? name_of(single[2]) : "";
  const bool is_known = !cls.empty() && !sep.empty() &&
                        single == std::vector<std::string>{cls + ":0", "A:0", sep + ":0"};
  const auto frame = is_known ? frame_of(pair, cls, sep, spec.model) : std::nullopt;
  if (!frame) {
    return unsupported({.what = "The template around the text is not known",
                        .where = processor.where(),
                        .expected = "[CLS]:0 A:0 [SEP]:0 and [CLS]:0 A:0 [SEP]:0 B:1 [SEP]:1, or "
                                    "with two separators before B",
                        .found = joined(single) + " and " + joined(pair),
                        .remedy = {}});
  }
  TILEWISE_ASSIGN_OR_RETURN(spec.cls_id, only_id_of(processor, cls));
  TILEWISE_ASSIGN_OR_RETURN(spec.sep_id, only_id_of(processor, sep));
  spec.pair_separators = frame->separators;
  spec.second_type = frame->second_type;
  return {};
}

Status unknown_processor(const std::string& where, const std::string& found) {
  return unknown_part(where, "TemplateProcessing, BertProcessing or RobertaProcessing", found);
}

Status read_processor(const JsonObject& processor, TokenizerSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const std::string type, processor.string("type"));
  if (type == "BertProcessing") return read_named_tokens(processor, 1, 1, spec);
  if (type == "RobertaProcessing") return read_named_tokens(processor, 2, 0, spec);
  if (type == "TemplateProcessing") return read_template_processing(processor, spec);
  return unknown_processor(processor.where(), type);
}

/// One of the above and any number of ByteLevel, which only moves offsets.
Status read_sequence(const JsonObject& sequence, TokenizerSpec& spec) {
  TILEWISE_ASSIGN_OR_RETURN(const auto processors, sequence.objects("processors"));
  int framing = 0;
  for (const JsonObject& processor : processors) {
    TILEWISE_ASSIGN_OR_RETURN(const std::string type, processor.string("type"));
    if (type == "ByteLevel") continue;
    TILEWISE_RETURN_IF_ERROR(read_processor(processor, spec));
    ++framing;
  }
  if (framing == 1) return {};
  return unknown_processor(sequence.where(),
                           "a sequence of " + std::to_string(framing) + " that put special tokens");
}

}  // namespace

Status read_post_processor(const JsonObject& root, TokenizerSpec& spec) {
  if (!root.has("post_processor"))
    return unknown_processor(root.place("post_processor"), "nothing");
  TILEWISE_ASSIGN_OR_RETURN(const JsonObject processor, root.object("post_processor"));
  TILEWISE_ASSIGN_OR_RETURN(const std::string type, processor.string("type"));
  return type == "Sequence" ? read_sequence(processor, spec) : read_processor(processor, spec);
}

}  // namespace tilewise::text
