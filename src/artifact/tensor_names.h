// The names of the tensors in an artifact: the contract between compile/ (writes) and runtime/
// (binds).
//
//   tokenizer                      bytes            text::build_tables
//   embeddings.word                rows             [V, H] activation type of the precision
//   embeddings.position, .type     rows f32         [P, H], [token_types, H]
//   embeddings.norm.gain, .bias    rows f32         [H]
//   layers.I.qkv.weight            panels           [3 S, H]  S = heads * head_dim rounded up to
//   32; Q scaled by log2(e)/sqrt(d) layers.I.qkv.bias              rows f32         [3 S]
//   layers.I.attention_output.weight / .bias        [H, S] / padded_n(H)
//   layers.I.attention_norm.gain, .bias  rows f32   [H]
//   layers.I.ffn_up.weight / .bias                  [F, H] / padded_n(F)
//   layers.I.ffn_down.weight / .bias                [H, F] / padded_n(H)
//   layers.I.ffn_norm.gain, .bias  rows f32         [H]
//   heads.TASK.dense.weight / .bias   panels f32    [H, H] / padded_n(H)      only where the head
//   has one heads.TASK.output.weight / .bias  panels f32    [outputs, H] / padded_n(outputs)
//
// Panels are of the artifact's precision, heads always fp32. A bias is zero beyond its true length.
#pragma once

#include <string>

namespace tilewise::artifact {

inline std::string layer_tensor(int layer, const char* part) {
  return "layers." + std::to_string(layer) + "." + part;
}

inline std::string head_tensor(const std::string& task, const char* part) {
  return "heads." + task + "." + part;
}

}  // namespace tilewise::artifact
