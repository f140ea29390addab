// Damaged tables and any text: either they are refused, or no text makes the tokenizer read outside
// of them (which the sanitizers see) or give an id that does not exist.
//
// Input: a byte N; N times a position (4 bytes, little-endian) and the byte to put there; the rest
// is the text.
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

model::TokenizerSpec small_spec() {
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

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const std::vector<std::byte> good = text::build_tables(small_spec());
  static const AlignedBuffer memory = AlignedBuffer::allocate(good.size()).value();
  std::memcpy(memory.data(), good.data(), good.size());
  size_t used = 0;
  for (uint8_t patches = size > 0 ? data[used++] : uint8_t{0}; patches > 0 && size - used >= 5;
       --patches) {
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
