// What the tests of this folder share: golden files and tokenizers in memory.
#pragma once

#include <algorithm>
#include <fstream>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "base/aligned_buffer.h"
#include "base/mapped_file.h"
#include "text/tokenizer.h"

namespace tilewise::text {

inline std::string golden_path(const std::string& name) {
  return std::string(TILEWISE_SOURCE_DIR) + "/tests/data/text/" + name;
}

/// The lines of a golden file, without those that begin with #.
inline std::vector<std::string> golden_lines(const std::string& name) {
  std::ifstream file(golden_path(name));
  EXPECT_TRUE(file.is_open()) << name;
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) {
    if (!line.starts_with('#')) lines.push_back(line);
  }
  return lines;
}

/// Bytes at a 64-byte aligned address.
inline AlignedBuffer aligned_copy(std::span<const std::byte> bytes) {
  AlignedBuffer memory = AlignedBuffer::allocate(bytes.size()).value();
  std::ranges::copy(bytes, memory.data());
  return memory;
}

/// A tokenizer with the tables that it needs.
class OwnedTokenizer {
 public:
  explicit OwnedTokenizer(const model::TokenizerSpec& spec) : OwnedTokenizer(build_tables(spec)) {}

  const Tokenizer& operator*() const { return tokenizer_; }
  const Tokenizer* operator->() const { return &tokenizer_; }

  std::vector<int32_t> encode(std::string_view text) const {
    std::vector<int32_t> ids;
    tokenizer_.encode(text, ids);
    return ids;
  }
  std::vector<std::string> tokens(std::string_view text) const {
    std::vector<std::string> out;
    for (const int32_t id : encode(text)) out.emplace_back(tokenizer_.token(id));
    return out;
  }

 private:
  explicit OwnedTokenizer(const std::vector<std::byte>& tables)
      : memory_(aligned_copy(tables)),
        tokenizer_(Tokenizer::open({memory_.data(), tables.size()}).value()) {}

  AlignedBuffer memory_;
  Tokenizer tokenizer_;
};

/// One of the small tokenizers of tests/data/text.
inline model::TokenizerSpec golden_spec(const std::string& name) {
  auto spec = read_tokenizer(golden_path(name));
  EXPECT_TRUE(spec.ok()) << spec.status().message();
  return std::move(spec).value();
}

/// Five special tokens, then `words`.
inline model::TokenizerSpec small_spec(std::vector<std::string> words) {
  model::TokenizerSpec spec;
  spec.vocabulary = {"[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"};
  for (int32_t id = 0; id < 5; ++id) {
    model::AddedToken token;
    token.id = id;
    token.content = spec.vocabulary[static_cast<size_t>(id)];
    token.special = true;
    spec.added_tokens.push_back(std::move(token));
  }
  spec.pad_id = 0;
  spec.unknown_id = 1;
  spec.cls_id = 2;
  spec.sep_id = 3;
  spec.vocabulary.insert(spec.vocabulary.end(), words.begin(), words.end());
  return spec;
}

}  // namespace tilewise::text
