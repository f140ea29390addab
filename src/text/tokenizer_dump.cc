// Prints token ids, for the comparison with Hugging Face `tokenizers`
// (tests/text/tokenizer_torch.py).
//
//   tokenizer_dump FOLDER < TEXTS
//   tokenizer_dump FOLDER --pairs STRATEGY MAX_TOKENS < TEXTS      two texts after each other are a
//   pair
//
// Each text is its length in bytes, a line feed and the bytes, so that it may hold any of them.
// One line a text: its ids. A pair: the ids, " | ", the types. An input that is refused: "error".
#include <cstdio>
#include <cstring>
#include <iostream>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/aligned_buffer.h"
#include "model/tokenizer_spec.h"
#include "text/input.h"
#include "text/tokenizer.h"

namespace {

using namespace tilewise;

std::vector<std::string> read_texts() {
  std::vector<std::string> texts;
  for (std::string length; std::getline(std::cin, length);) {
    std::string text(std::stoul(length), '\0');
    std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
    texts.push_back(std::move(text));
  }
  return texts;
}

void append(std::span<const int32_t> ids, std::string& line) {
  for (const int32_t id : ids) line += (line.empty() ? "" : " ") + std::to_string(id);
}

void print(const std::string& line) {
  std::fwrite(line.data(), 1, line.size(), stdout);
  std::fputc('\n', stdout);
}

void print_texts(const text::Tokenizer& tokenizer) {
  std::vector<int32_t> ids;
  for (const std::string& text : read_texts()) {
    ids.clear();
    tokenizer.encode(text, ids);
    std::string line;
    append(ids, line);
    print(line);
  }
}

void print_pairs(const text::Tokenizer& tokenizer, model::Truncation truncation, int max_tokens) {
  model::Task task;
  task.input = model::InputKind::pair;
  task.max_tokens = max_tokens;
  task.truncation = truncation;
  text::InputEncoder encoder(tokenizer);
  text::PackedTokens tokens;
  const std::vector<std::string> texts = read_texts();
  for (size_t i = 0; i + 1 < texts.size(); i += 2) {
    tokens.clear();
    if (!encoder.append(task, model::PairInput{texts[i], texts[i + 1]}, tokens).ok()) {
      print("error");
      continue;
    }
    std::string line, types;
    append(tokens.ids, line);
    append(tokens.types, types);
    print(line + " | " + types);
  }
}

}  // namespace

int main(int argc, char** argv) {
  std::ios::sync_with_stdio(false);
  const auto truncation = argc == 5 ? model::parse_name<model::Truncation>(argv[3]) : std::nullopt;
  if (argc != 2 && !truncation) {
    std::cerr << "usage: tokenizer_dump FOLDER [--pairs STRATEGY MAX_TOKENS] < TEXTS\n";
    return 2;
  }
  const auto spec = text::read_tokenizer(argv[1]);
  if (!spec.ok()) {
    std::cerr << spec.status().message() << "\n";
    return 3;
  }
  const std::vector<std::byte> tables = text::build_tables(*spec);
  const auto memory = AlignedBuffer::allocate(tables.size());
  if (!memory.ok()) return 4;
  std::memcpy(memory->data(), tables.data(), tables.size());
  const auto tokenizer = text::Tokenizer::open({memory->data(), tables.size()});
  if (!tokenizer.ok()) {
    std::cerr << tokenizer.status().message() << "\n";
    return 3;
  }
  if (truncation) {
    print_pairs(*tokenizer, *truncation, std::stoi(argv[4]));
  } else {
    print_texts(*tokenizer);
  }
  return 0;
}
