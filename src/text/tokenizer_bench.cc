// Text to token ids, one core, as a task needs them: special tokens and types included, cut at
// max_tokens.
//
//   tokenizer_bench FOLDER QUERIES PAIRS [Google Benchmark's flags]
//
// FOLDER holds the tokenizer; QUERIES has a text a line, PAIRS two texts a line with a tab between
// them. bench/tokenizer/compare.py makes such files and runs this beside Hugging Face `tokenizers`.
#include <cstring>
#include <fstream>
#include <iostream>
#include <span>
#include <string>
#include <variant>
#include <vector>

#include <benchmark/benchmark.h>

#include "base/aligned_buffer.h"
#include "model/tokenizer_spec.h"
#include "text/input.h"
#include "text/tokenizer.h"

namespace {

using namespace tilewise;

/// Packed into one batch of this many, like the runtime does.
constexpr size_t kBatch = 64;

/// Of the plain texts that read_inputs() makes.
int64_t bytes_of(const model::Input& input) {
  const auto size = [](const model::Content& content) {
    return static_cast<int64_t>(std::get<std::string>(content).size());
  };
  if (const auto* pair = std::get_if<model::PairInput>(&input)) {
    return size(pair->left) + size(pair->right);
  }
  return size(std::get<model::TextInput>(input).text);
}

void encode_all(benchmark::State& state, const text::Tokenizer& tokenizer, const model::Task& task,
                const std::vector<model::Input>& inputs) {
  text::InputEncoder encoder(tokenizer);
  text::PackedTokens tokens;
  int64_t total = 0;
  for (auto _ : state) {
    for (size_t i = 0; i < inputs.size(); ++i) {
      if (i % kBatch == 0) tokens.clear();
      if (!encoder.append(task, inputs[i], tokens).ok()) state.SkipWithError("an input is refused");
      total += tokens.offsets.back() - tokens.offsets[tokens.offsets.size() - 2];
    }
    benchmark::DoNotOptimize(tokens.ids.data());
  }
  int64_t bytes = 0;
  for (const model::Input& input : inputs) bytes += bytes_of(input);
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations()) * bytes);
  const auto texts = static_cast<double>(state.iterations()) * static_cast<double>(inputs.size());
  state.counters["texts/s"] = benchmark::Counter(texts, benchmark::Counter::kIsRate);
  state.counters["s/text"] =
      benchmark::Counter(texts, benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["tokens/text"] = static_cast<double>(total) / texts;
}

void open_tables(benchmark::State& state, std::span<const std::byte> tables) {
  for (auto _ : state) benchmark::DoNotOptimize(text::Tokenizer::open(tables).ok());
}

void build(benchmark::State& state, const model::TokenizerSpec& spec) {
  for (auto _ : state) benchmark::DoNotOptimize(text::build_tables(spec).data());
}

std::vector<model::Input> read_inputs(const char* path, bool pairs) {
  std::vector<model::Input> inputs;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    const size_t tab = line.find('\t');
    if (!pairs) {
      inputs.push_back(model::TextInput{line});
    } else if (tab != std::string::npos) {
      inputs.push_back(model::PairInput{line.substr(0, tab), line.substr(tab + 1)});
    }
  }
  return inputs;
}

int fail(const std::string& message) {
  std::cerr << message << "\n";
  return 3;
}

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (argc != 4) return fail("usage: tokenizer_bench FOLDER QUERIES PAIRS [--benchmark_...]");
  const auto spec = text::read_tokenizer(argv[1]);
  if (!spec.ok()) return fail(spec.status().message());
  const std::vector<std::byte> bytes = text::build_tables(*spec);
  const auto memory = AlignedBuffer::allocate(bytes.size());
  if (!memory.ok()) return fail(memory.status().message());
  std::memcpy(memory->data(), bytes.data(), bytes.size());
  const std::span<const std::byte> tables(memory->data(), bytes.size());
  const auto tokenizer = text::Tokenizer::open(tables);
  if (!tokenizer.ok()) return fail(tokenizer.status().message());

  const auto queries = read_inputs(argv[2], false);
  const auto pairs = read_inputs(argv[3], true);
  if (queries.empty() || pairs.empty()) return fail("QUERIES or PAIRS holds no text");
  model::Task query_task, pair_task;
  query_task.max_tokens = 64;
  pair_task.input = model::InputKind::pair;
  pair_task.max_tokens = 128;
  benchmark::RegisterBenchmark("queries", [&](benchmark::State& state) {
    encode_all(state, *tokenizer, query_task, queries);
  });
  benchmark::RegisterBenchmark(
      "pairs", [&](benchmark::State& state) { encode_all(state, *tokenizer, pair_task, pairs); });
  benchmark::RegisterBenchmark("open",
                               [&](benchmark::State& state) { open_tables(state, tables); });
  benchmark::RegisterBenchmark("build", [&](benchmark::State& state) { build(state, *spec); });
  benchmark::RunSpecifiedBenchmarks();
  return 0;
}
