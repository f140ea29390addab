// The passes of the compiler. Each changes the draft and says in a few words what it did. Private
// to this folder.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"
#include "compile/draft.h"

namespace tilewise::compile {

/// W + scale * B A for each update of the adapter (LoRA, Hu et al. 2021): sums in fp64, one
/// rounding to fp32.
Result<std::string> merge_adapter(Draft& draft);

/// log2(e) / sqrt(head_dim) into the query weights and biases, so that attention needs no scaling
/// and a base-2 exponential.
Result<std::string> fold_scales(Draft& draft);

/// Query, key and value into one [3 S, H] layer whose sections start at whole panels; the columns
/// of attention_output follow.
Result<std::string> fuse_qkv(Draft& draft);

/// Relative biases by distance, times log2(e), and the cosines and sines of rotary positions.
Result<std::string> tabulate_positions(Draft& draft);

/// Runs the calibration rows through the model and decides how each linear layer quantises, and
/// which stay in bf16: see calibrate.cc. Without rows: nothing.
Result<std::string> calibrate(Draft& draft);

/// The linear layers that are int8 (metadata.linears) into int8, by draft.inputs.
Result<std::string> quantize_weights(Draft& draft);

/// The weights that the precision stores in less than fp32 are rounded to it, to nearest even. The
/// only pass that loses digits on purpose: packing afterwards moves bits.
Result<std::string> cast_weights(Draft& draft);

/// The tokenizer's tables, as the first tensor of the file.
Result<std::string> build_tokenizer(Draft& draft);

/// Every weight into the layout of the artifact; the fp32 copies are given back as they are packed.
Result<std::string> pack_weights(Draft& draft);

/// What pack_weights would make of the draft in fp32, which keeps its weights.
std::vector<artifact::OutputTensor> fp32_tensors(Draft& draft);

}  // namespace tilewise::compile
