// A PEFT adapter: adapter_config.json and adapter_model.safetensors. Plain LoRA (Hu et al. 2021)
// and rank-stabilised LoRA (Kalajdzievski 2023) on the encoder's linear layers; every other variant
// is refused by name.
#pragma once

#include <vector>

#include "checkpoint/family.h"
#include "checkpoint/folder.h"
#include "checkpoint/tensor_reader.h"
#include "model/model.h"

namespace tilewise::checkpoint {

constexpr const char* kAdapterConfig = "adapter_config.json";
constexpr const char* kAdapterWeights = "adapter_model.safetensors";

/// What adapter_config.json says, once it has been found to be plain LoRA.
struct AdapterSettings {
  int32_t rank = 0;
  float scale = 1;          ///< alpha / rank, or alpha / sqrt(rank) for rank-stabilised LoRA
  bool all_linear = false;  ///< target_modules is "all-linear"
  std::vector<std::string> targets;  ///< module names; empty: whatever the file holds
};

/// Refuses what is not plain LoRA, each setting by its name, in the report.
AdapterSettings read_adapter_settings(const JsonFile& file, Report& report);

/// Every update of the file, in the order of layers and roles. Problems in the report: a target
/// without its tensors, half a pair, a wrong shape, a tensor of anything but the encoder's linear
/// layers. An update of the classifier's dense layer is left aside (it changes nothing) unless
/// `uses_classifier`.
std::vector<model::LoraUpdate> read_adapter(const Family& family, const model::EncoderSpec& spec,
                                            const AdapterSettings& settings, bool uses_classifier,
                                            const WeightFiles& files, Mode mode, Report& report);

}  // namespace tilewise::checkpoint
