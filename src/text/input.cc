#include "text/input.h"

#include <algorithm>

namespace tilewise::text {
namespace {

/// Half of the budget for each side, unless one needs less.
Kept cut_longest_first(int64_t left, int64_t right, int64_t budget) {
  int64_t shorter = std::min(left, right);
  int64_t longer = shorter > budget ? shorter : std::max(shorter, budget - shorter);
  if (shorter + longer > budget) {
    shorter = budget / 2;
    longer = shorter + budget % 2;
  }
  return left > right ? Kept{longer, shorter} : Kept{shorter, longer};
}

Status cannot_cut(model::Truncation truncation, int64_t left, int64_t right, int64_t budget) {
  return invalid_input(
      {.what = "The input is too long, and the task's truncation may not cut it enough",
       .where = {},
       .expected = std::to_string(budget) + " tokens besides the special ones",
       .found = std::to_string(left) + " + " + std::to_string(right) + " tokens with " +
                model::name_of(truncation),
       .remedy = "shorten the text, or use longest_first"});
}

Status too_long(const model::Task& task, int64_t tokens) {
  return invalid_input({.what = "The input is longer than the task takes",
                        .where = {},
                        .expected = "at most " + std::to_string(task.max_tokens) + " tokens",
                        .found = std::to_string(tokens) + " tokens",
                        .remedy = "Shorten the text, or ask for it to be cut"});
}

Status no_room(const model::Task& task, int64_t special) {
  return invalid_input({.what = "The task leaves no room for the special tokens",
                        .where = "max_tokens of task " + task.name,
                        .expected = "at least " + std::to_string(special),
                        .found = std::to_string(task.max_tokens),
                        .remedy = "raise max_tokens in tasks.json"});
}

Status wrong_shape(const char* expected, const char* found) {
  return invalid_input({.what = "The input does not have the shape of the task's",
                        .where = {},
                        .expected = expected,
                        .found = found,
                        .remedy = {}});
}

/// What stays of `left` + `right` tokens beside `special` special ones.
Result<Kept> fit(const model::Task& task, int64_t left, int64_t right, int64_t special,
                 Overlong overlong) {
  const int64_t budget = task.max_tokens - special;
  if (budget < 0) return no_room(task, special);
  if (overlong == Overlong::refuse && left + right > budget) {
    return too_long(task, left + right + special);
  }
  const std::optional<Kept> kept = truncate(left, right, budget, task.truncation);
  if (!kept) return cannot_cut(task.truncation, left, right, budget);
  return *kept;
}

Side whole(const std::vector<int32_t>& ids) { return {ids, static_cast<int64_t>(ids.size())}; }

}  // namespace

void PackedTokens::clear() {
  ids.clear();
  types.clear();
  offsets.assign(1, 0);
  truncated.clear();
}

std::optional<Kept> truncate(int64_t left, int64_t right, int64_t budget,
                             model::Truncation truncation) {
  if (budget <= 0) return Kept{0, 0};
  const int64_t excess = left + right - budget;
  if (excess <= 0) return Kept{left, right};
  switch (truncation) {
    case model::Truncation::longest_first:
      return cut_longest_first(left, right, budget);
    case model::Truncation::only_first:
      if (left > excess) return Kept{left - excess, right};
      break;
    case model::Truncation::only_second:
      if (right > excess) return Kept{left, right - excess};
      break;
  }
  return std::nullopt;
}

// Appends all of its tokens.
Status InputEncoder::encode(const model::Task& task, const model::Content& content,
                            std::vector<int32_t>& ids) {
  if (const auto* text = std::get_if<std::string>(&content)) {
    tokenizer_.encode(*text, ids);
    return {};
  }
  rendered_.clear();
  TILEWISE_RETURN_IF_ERROR(render(task.record_template, content, rendered_));
  tokenizer_.encode(rendered_, ids);
  return {};
}

Result<int64_t> InputEncoder::encode_side(const model::Task& task, const model::Content& content,
                                          std::vector<int32_t>& ids) {
  const size_t before = ids.size();
  TILEWISE_RETURN_IF_ERROR(encode(task, content, ids));
  const auto tokens = static_cast<int64_t>(ids.size() - before);
  const int64_t kept = std::min<int64_t>(tokens, std::max(task.max_tokens, 0));
  ids.resize(before + static_cast<size_t>(kept));
  return tokens;
}

Status InputEncoder::append(const model::Task& task, const model::Input& input, PackedTokens& out,
                            const EncodeOptions& options) {
  left_.clear();
  right_.clear();
  if (const auto* pair = std::get_if<model::PairInput>(&input)) {
    if (task.input != model::InputKind::pair) return wrong_shape("one text", "a pair");
    TILEWISE_RETURN_IF_ERROR(encode(task, pair->left, left_));
    TILEWISE_RETURN_IF_ERROR(encode(task, pair->right, right_));
    return append_pair(task, whole(left_), whole(right_), out, options);
  }
  if (task.input != model::InputKind::text) return wrong_shape("a pair", "one text");
  TILEWISE_RETURN_IF_ERROR(encode(task, std::get<model::TextInput>(input).text, left_));
  return append_text(task, whole(left_), out, options);
}

Status InputEncoder::append_text(const model::Task& task, const Side& text, PackedTokens& out,
                                 const EncodeOptions& options) {
  if (task.input != model::InputKind::text) return wrong_shape("a pair", "one text");
  constexpr int64_t kSpecial = 2;
  TILEWISE_ASSIGN_OR_RETURN(const Kept kept, fit(task, text.tokens, 0, kSpecial, options.overlong));
  append_sequence(text, nullptr, kept, options.overlong, out);
  return {};
}

Status InputEncoder::append_pair(const model::Task& task, const Side& left, const Side& right,
                                 PackedTokens& out, const EncodeOptions& options) {
  if (task.input != model::InputKind::pair) return wrong_shape("one text", "a pair");
  const int64_t special = 2 + tokenizer_.pair_separators();
  TILEWISE_ASSIGN_OR_RETURN(const Kept kept,
                            fit(task, left.tokens, right.tokens, special, options.overlong));
  if (!options.both_orders) {
    append_sequence(left, &right, kept, options.overlong, out);
    return {};
  }
  // Both fit before either is appended: a failure appends nothing.
  TILEWISE_ASSIGN_OR_RETURN(const Kept reverse,
                            fit(task, right.tokens, left.tokens, special, options.overlong));
  append_sequence(left, &right, kept, options.overlong, out);
  append_sequence(right, &left, reverse, options.overlong, out);
  return {};
}

void InputEncoder::append_sequence(const Side& left, const Side* right, const Kept& kept,
                                   Overlong overlong, PackedTokens& out) const {
  const auto append_kept = [&](const Side& side, int64_t count) {
    const auto begin = overlong == Overlong::cut_left ? side.ids.end() - count : side.ids.begin();
    out.ids.insert(out.ids.end(), begin, begin + count);
  };
  out.ids.push_back(tokenizer_.cls_id());
  append_kept(left, kept.left);
  const int32_t separators = right != nullptr ? tokenizer_.pair_separators() : 1;
  out.ids.insert(out.ids.end(), static_cast<size_t>(separators), tokenizer_.sep_id());
  out.types.resize(out.ids.size(), 0);
  bool truncated = kept.left < left.tokens;
  if (right != nullptr) {
    append_kept(*right, kept.right);
    out.ids.push_back(tokenizer_.sep_id());
    out.types.resize(out.ids.size(), tokenizer_.second_type());
    truncated |= kept.right < right->tokens;
  }
  out.offsets.push_back(static_cast<int32_t>(out.ids.size()));
  out.truncated.push_back(truncated);
}

}  // namespace tilewise::text
