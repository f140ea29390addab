// Tensors as bytes: row-major, little-endian; each BYTES element is its length in 4 bytes and then
// itself. The binary tensor extension of HTTP and gRPC's raw contents have the same form.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"
#include "server/kserve/infer.h"

namespace tilewise::server::kserve {

/// Fills the elements of `tensor`, whose datatype and shape are known; texts are views into
/// `bytes`. Errors: invalid_argument where the bytes are not exactly those of the shape, or for a
/// datatype that no input has.
Status read_binary(std::string_view bytes, InputTensor& tensor);

size_t binary_size(const OutputTensor& tensor);
void append_binary(const OutputTensor& tensor, std::string& out);

}  // namespace tilewise::server::kserve
