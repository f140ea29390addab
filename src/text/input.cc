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

Status cannot_cut(model::Truncation truncation, size_t left, size_t right, int64_t budget) {
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

Status wrong_shape(const char* expected, const char* found) {
  return invalid_input({.what = "The input does not have the shape of the task's",
                        .where = {},
                        .expected = expected,
                        .found = found,
                        .remedy = {}});
}

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

Status InputEncoder::encode(const model::Task& task, const model::Content& content,
                            std::vector<int32_t>& ids) {
  ids.clear();
  if (const auto* text = std::get_if<std::string>(&content)) {
    tokenizer_.encode(*text, ids);
    return {};
  }
  rendered_.clear();
  TILEWISE_RETURN_IF_ERROR(render(task.record_template, content, rendered_));
  tokenizer_.encode(rendered_, ids);
  return {};
}

Status InputEncoder::append(const model::Task& task, const model::Input& input, PackedTokens& out,
                            const EncodeOptions& options) {
  const auto* text = std::get_if<model::TextInput>(&input);
  const auto* pair = std::get_if<model::PairInput>(&input);
  if (task.input == model::InputKind::text && !text) return wrong_shape("one text", "a pair");
  if (task.input == model::InputKind::pair && !pair) return wrong_shape("a pair", "one text");

  const int64_t special = pair ? 3 : 2;
  const int64_t budget = task.max_tokens - special;
  if (budget < 0) {
    return invalid_input({.what = "The task leaves no room for the special tokens",
                          .where = "max_tokens of task " + task.name,
                          .expected = pair ? "at least 3" : "at least 2",
                          .found = std::to_string(task.max_tokens),
                          .remedy = "raise max_tokens in tasks.json"});
  }
  right_.clear();
  if (pair) {
    TILEWISE_RETURN_IF_ERROR(encode(task, options.swap ? pair->right : pair->left, left_));
    TILEWISE_RETURN_IF_ERROR(encode(task, options.swap ? pair->left : pair->right, right_));
  } else {
    TILEWISE_RETURN_IF_ERROR(encode(task, text->text, left_));
  }

  const auto left = static_cast<int64_t>(left_.size());
  const auto right = static_cast<int64_t>(right_.size());
  if (options.overlong == Overlong::refuse && left + right > budget) {
    return too_long(task, left + right + special);
  }
  const std::optional<Kept> kept = truncate(left, right, budget, task.truncation);
  if (!kept) return cannot_cut(task.truncation, left_.size(), right_.size(), budget);

  const auto append_kept = [&](const std::vector<int32_t>& ids, int64_t count) {
    const auto begin = options.overlong == Overlong::cut_left ? ids.end() - count : ids.begin();
    out.ids.insert(out.ids.end(), begin, begin + count);
    out.ids.push_back(tokenizer_.sep_id());
  };
  out.ids.push_back(tokenizer_.cls_id());
  append_kept(left_, kept->left);
  out.types.resize(out.ids.size(), 0);
  if (pair) {
    append_kept(right_, kept->right);
    out.types.resize(out.ids.size(), 1);
  }
  out.offsets.push_back(static_cast<int32_t>(out.ids.size()));
  out.truncated.push_back(kept->left < left || kept->right < right);
  return {};
}

}  // namespace tilewise::text
