// How the weights and activations of the linear layers are stored.
#pragma once

namespace tilewise::model {

enum class Precision { fp32, bf16, int8 };

/// "fp32", "bf16", "int8"; parse_name<Precision> of task.h is the inverse.
const char* name_of(Precision precision);

}  // namespace tilewise::model
