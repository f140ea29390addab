// Content in memory of the caller to token ids.
#include <algorithm>

#include "text/input.h"

namespace tilewise::text {

Result<int64_t> InputEncoder::encode_side(const model::Task& task,
                                          const model::ContentView& content,
                                          std::vector<int32_t>& ids) {
  const auto* plain = std::get_if<std::string_view>(&content);
  if (plain == nullptr) {
    rendered_.clear();
    TILEWISE_RETURN_IF_ERROR(render(task.record_template, content, rendered_));
  }
  const size_t before = ids.size();
  tokenizer_.encode(plain != nullptr ? *plain : std::string_view(rendered_), ids);
  const size_t tokens = ids.size() - before;
  ids.resize(before + std::min(tokens, static_cast<size_t>(std::max(task.max_tokens, 0))));
  return static_cast<int64_t>(tokens);
}

}  // namespace tilewise::text
