// The multi-task checkpoint of the tests, compiled, and what tests ask it.
#pragma once

#include <cstdint>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "base/temporary_folder.h"
#include "compile/compile.h"
#include "model/row.h"

namespace tilewise::engine {

inline const std::string kCheckpoints =
    std::string(TILEWISE_SOURCE_DIR) + "/tests/data/checkpoint/";

/// Compiles the checkpoint into `path`. `change` may change the model before: other heads, other
/// tasks.
template <class Change>
void compile_to(const std::string& path, Change&& change,
                model::Precision precision = model::Precision::bf16) {
  auto model = compile::load_model({kCheckpoints + "multi_task", kCheckpoints + "bert"});
  ASSERT_TRUE(model.ok()) << model.status().message();
  change(*model);
  compile::Options options;
  options.precision = precision;
  const auto report = compile::compile(*std::move(model), options, path);
  ASSERT_TRUE(report.ok()) << report.status().message();
}

inline void compile_to(const std::string& path) {
  compile_to(path, [](model::Model&) {});
}

/// Another model of the same backbone: the outputs of its heads are scaled.
inline void scale_heads(model::Model& model, float factor) {
  for (model::TaskWithHead& task : model.tasks) {
    if (!task.head) continue;
    for (float& value : task.head->output.weight.values) value *= factor;
    for (float& value : task.head->output.bias.values) value *= factor;
  }
}

inline model::Input text(std::string value) { return model::TextInput{std::move(value)}; }

/// Texts of 0 to `most` - 1 words.
inline std::vector<model::Input> random_texts(int count, uint32_t seed, uint32_t most = 20) {
  const char* words[] = {"where", "is",  "my",    "parcel", "refund",
                         "the",   "red", "shoes", "xyzzy",  "!"};
  std::mt19937 random(seed);
  std::vector<model::Input> inputs;
  for (int i = 0; i < count; ++i) {
    std::string value;
    for (uint32_t n = random() % most; n > 0; --n) value += std::string(words[random() % 10]) + " ";
    inputs.push_back(text(value));
  }
  return inputs;
}

}  // namespace tilewise::engine
