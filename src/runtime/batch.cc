#include "runtime/batch.h"

#include <algorithm>
#include <string>
#include <utility>

namespace tilewise::runtime {

Status check_batch(const model::EncoderSpec& spec, const Batch& batch) {
  const auto wrong = [](std::string what, std::string expected, std::string found,
                        std::string where = "token batch") {
    return invalid_argument({.what = std::move(what),
                             .where = std::move(where),
                             .expected = std::move(expected),
                             .found = std::move(found),
                             .remedy = "Use the tokenizer that the model was compiled with"});
  };
  const auto& offsets = batch.offsets;
  if (offsets.empty() || offsets.front() != 0 ||
      static_cast<size_t>(offsets.back()) != batch.ids.size()) {
    return wrong("offsets do not cover the token ids", "0 to " + std::to_string(batch.ids.size()),
                 offsets.empty() ? "no offsets" : std::to_string(offsets.back()));
  }
  for (size_t s = 0; s + 1 < offsets.size(); ++s) {
    const int64_t length = int64_t{offsets[s + 1]} - offsets[s];
    if (length < 1 || length > spec.max_positions) {
      return wrong("sequence " + std::to_string(s) + " has a wrong length",
                   "1 to " + std::to_string(spec.max_positions) + " tokens",
                   std::to_string(length));
    }
  }
  const auto place = [&](size_t token) {
    const auto next = std::upper_bound(offsets.begin(), offsets.end(), static_cast<int32_t>(token));
    const auto sequence = next - offsets.begin() - 1;
    return "sequence " + std::to_string(sequence) + ", token " +
           std::to_string(token - static_cast<size_t>(offsets[sequence]));
  };
  for (size_t i = 0; i < batch.ids.size(); ++i) {
    const int32_t id = batch.ids[i];
    if (id < 0 || id >= spec.vocab_size) {
      return wrong("token id outside the vocabulary", "0 to " + std::to_string(spec.vocab_size - 1),
                   std::to_string(id), place(i));
    }
  }
  if (spec.token_types == 0) return {};
  if (batch.types.size() != batch.ids.size()) {
    return wrong("token types do not match the token ids", std::to_string(batch.ids.size()),
                 std::to_string(batch.types.size()));
  }
  for (size_t i = 0; i < batch.types.size(); ++i) {
    const int32_t type = batch.types[i];
    if (type < 0 || type >= spec.token_types) {
      return wrong("token type out of range", "0 to " + std::to_string(spec.token_types - 1),
                   std::to_string(type), place(i));
    }
  }
  return {};
}

Block next_block(const Batch& batch, int32_t first, int32_t most_tokens, int32_t most_sequences) {
  const int32_t start = batch.offsets[first];
  const int32_t left = batch.offsets.back() - start;
  const int32_t blocks = (left + most_tokens - 1) / most_tokens;
  const int32_t goal = (left + blocks - 1) / blocks;
  Block block = {first, first + 1};
  while (block.last < batch.sequences() && block.sequences() < most_sequences &&
         batch.offsets[block.last] - start < goal &&
         batch.offsets[block.last + 1] - start <= most_tokens) {
    ++block.last;
  }
  return block;
}

}  // namespace tilewise::runtime
