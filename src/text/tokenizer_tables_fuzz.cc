// Damaged tables and any text: either they are refused, or no text makes the tokenizer read outside
// of them (which the sanitizers see) or give an id that does not exist.
//
// Input: a byte, the model in its two highest bits and N in the others; N times a position (4
// bytes, little-endian) and the byte to put there; the rest is the text.
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/aligned_buffer.h"
#include "text/tokenizer.h"

namespace {

using namespace tilewise;

model::TokenizerSpec wordpiece_spec() {
  model::TokenizerSpec spec;
  spec.vocabulary = {"[UNK]", "[CLS]",    "[SEP]",        "a", "the", "##s",
                     "##ing", "\xC3\xA9", "\xE4\xB8\xAD", "!", "##e"};
  spec.cls_id = 1;
  spec.sep_id = 2;
  spec.added_tokens = {{.id = 2,
                        .content = "[SEP]",
                        .special = true,
                        .normalized = false,
                        .single_word = false,
                        .left_strip = true,
                        .right_strip = true},
                       {.id = 11,
                        .content = "Norm",
                        .special = false,
                        .normalized = true,
                        .single_word = true,
                        .left_strip = false,
                        .right_strip = false}};
  return spec;
}

/// Has the same added tokens, so that both stages of matching are there.
model::TokenizerSpec byte_bpe_spec() {
  model::TokenizerSpec spec;
  spec.model = model::TokenizerModel::byte_bpe;
  spec.compose = spec.add_prefix_space = true;
  spec.vocabulary = {"a",        "t",         "[SEP]",    "h",        "e",
                     "\xC4\xA0", "\xC4\xA0t", "\xC3\x83", "\xC2\xA9", "\xC3\x83\xC2\xA9",
                     "th",       "aa"};
  spec.merges = {{.left = 1, .right = 3, .merged = 10},
                 {.left = 5, .right = 1, .merged = 6},
                 {.left = 7, .right = 8, .merged = 9},
                 {.left = 0, .right = 0, .merged = 11}};
  spec.unknown_byte_id = 2;
  spec.pair_separators = 2;
  spec.added_tokens = wordpiece_spec().added_tokens;
  spec.added_tokens[1].id = 12;
  return spec;
}

model::TokenizerSpec unigram_spec() {
  model::TokenizerSpec spec;
  spec.model = model::TokenizerModel::unigram;
  spec.vocabulary = {"a", "t", "[SEP]", "\xE2\x96\x81th", "e", "\xE2\x96\x81", "\xC3\xA9"};
  spec.unigram.scores = {-1, -2, -3, -4, -5, -6, -7};
  spec.unigram.unknown_score = -17;
  spec.unigram.replacements = {{.from = "e\xCC\x81", .to = "\xC3\xA9"}, {.from = "T", .to = "t"}};
  spec.unigram.strip_right = true;
  spec.added_tokens = wordpiece_spec().added_tokens;
  spec.added_tokens[1].id = 7;
  return spec;
}

/// A good block, and memory for the damaged one.
struct Block {
  explicit Block(const model::TokenizerSpec& spec)
      : good(text::build_tables(spec)), memory(AlignedBuffer::allocate(good.size()).value()) {}
  const std::vector<std::byte> good;
  const AlignedBuffer memory;
};

const Block& block_of(unsigned model) {
  static const Block wordpiece(wordpiece_spec()), byte_bpe(byte_bpe_spec()),
      unigram(unigram_spec());
  return model == 0 ? wordpiece : model == 1 ? byte_bpe : unigram;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const unsigned first = size > 0 ? data[0] : 0;
  const auto& [good, memory] = block_of(first >> 6);
  std::memcpy(memory.data(), good.data(), good.size());
  size_t used = size > 0 ? 1 : 0;
  for (unsigned patches = first & 0x3F; patches > 0 && size - used >= 5; --patches) {
    uint32_t position = 0;
    std::memcpy(&position, data + used, 4);
    memory.data()[position % good.size()] = std::byte(data[used + 4]);
    used += 5;
  }
  const auto tokenizer = text::Tokenizer::open({memory.data(), good.size()});
  if (!tokenizer.ok()) return 0;
  std::vector<int32_t> ids;
  tokenizer->encode({reinterpret_cast<const char*>(data + used), size - used}, ids);
  for (const int32_t id : ids) {
    if (id < 0 || id >= tokenizer->vocabulary_size()) std::abort();
    tokenizer->token(id);
  }
  return 0;
}
