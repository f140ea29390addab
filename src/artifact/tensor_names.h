// How the tensors of an artifact are named. Which there are, in what type, layout and shape, is the
// table "Tensors" of FORMAT.md; schema.h has it as code.
#pragma once

#include <string>

namespace tilewise::artifact {

inline std::string layer_tensor(int layer, const char* part) {
  return "layers." + std::to_string(layer) + "." + part;
}

inline std::string head_tensor(const std::string& task, const char* part) {
  return "heads." + task + "." + part;
}

/// An exit's weights: this and ".weight", ".bias".
inline std::string exit_tensor(const std::string& task, int after_layer) {
  return "heads." + task + ".exit" + std::to_string(after_layer);
}

}  // namespace tilewise::artifact
