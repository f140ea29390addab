// How the weights and activations of the linear layers are stored.
#pragma once

namespace tilewise::model {

enum class Precision { fp32, bf16, int8 };

inline const char* name_of(Precision precision) {
  switch (precision) {
    case Precision::fp32:
      return "fp32";
    case Precision::bf16:
      return "bf16";
    case Precision::int8:
      return "int8";
  }
  return "?";
}

}  // namespace tilewise::model
