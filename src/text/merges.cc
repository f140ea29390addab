#include "text/merges.h"

#include <utility>

namespace tilewise::text {

Status bad_merge(const std::string& where, std::string expected, std::string found) {
  return invalid_input({.what = "A merge is not one of two tokens",
                        .where = where,
                        .expected = std::move(expected),
                        .found = std::move(found),
                        .remedy = {}});
}

Status add_merge(std::string_view left, std::string_view right, const std::string& where,
                 const Vocabulary& vocabulary, model::TokenizerSpec& spec) {
  const auto left_id = vocabulary.find(left);
  const auto right_id = vocabulary.find(right);
  const auto merged_id = vocabulary.find(std::string(left) + std::string(right));
  if (!left_id || !right_id || !merged_id) {
    return bad_merge(where, "tokens of the vocabulary, alone and together",
                     "\"" + std::string(left) + "\" and \"" + std::string(right) + "\"");
  }
  if (spec.merges.size() >= static_cast<size_t>(Vocabulary::kMaxTokens)) {
    return bad_merge(where, "at most " + std::to_string(Vocabulary::kMaxTokens) + " merges",
                     "more");
  }
  spec.merges.push_back({*left_id, *right_id, *merged_id});
  return {};
}

Status read_merge_line(std::string_view line, const std::string& where,
                       const Vocabulary& vocabulary, model::TokenizerSpec& spec) {
  const size_t blank = line.find(' ');
  if (blank == std::string_view::npos || line.find(' ', blank + 1) != std::string_view::npos) {
    return bad_merge(where, "two tokens with a blank between them",
                     "\"" + std::string(line) + "\"");
  }
  return add_merge(line.substr(0, blank), line.substr(blank + 1), where, vocabulary, spec);
}

}  // namespace tilewise::text
