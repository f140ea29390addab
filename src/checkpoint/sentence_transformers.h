// What sentence-transformers leaves beside a Hugging Face checkpoint: modules.json, pooling,
// prompts, cross-encoder settings.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "checkpoint/folder.h"
#include "checkpoint/report.h"
#include "model/encoder_spec.h"
#include "model/task.h"

namespace tilewise::checkpoint {

/// The embedding task of a bare encoder, named "embedding": mean pooling unless
/// 1_Pooling/config.json says CLS, normalised when modules.json has a Normalize module, max_tokens
/// from sentence_bert_config.json or else `longest`. Modules, pooling modes and a default prompt
/// that the task cannot express are problems in the report.
model::Task read_embedding_task(const Folder& folder, const model::EncoderSpec& spec,
                                int32_t longest, Report& report);

/// How sentence-transformers turns the logits of a cross-encoder into scores: nullopt where nothing
/// says that the checkpoint is a cross-encoder; "Sigmoid", "Identity", or the name of another
/// activation.
std::optional<std::string> cross_encoder_activation(const Folder& folder, const JsonObject& config,
                                                    Report& report);

/// The longest sequence that the checkpoint is made for: config.json's positions, or less where
/// tokenizer_config.json has a smaller model_max_length.
int32_t longest_sequence(const Folder& folder, const model::EncoderSpec& spec);

}  // namespace tilewise::checkpoint
