#include "runtime/sharing.h"

#include <algorithm>
#include <cstring>

namespace tilewise::runtime {
namespace {

/// The checksum of an artifact that nobody verified may lie, and two tensors of one checksum may
/// differ: in the end the bytes decide.
bool same_tensor(const artifact::TensorView& a, const artifact::TensorView& b) {
  return a.type == b.type && a.layout == b.layout && a.shape == b.shape &&
         a.checksum == b.checksum && a.data.size() == b.data.size() &&
         std::memcmp(a.data.data(), b.data.data(), a.data.size()) == 0;
}

}  // namespace

std::span<const std::byte> TensorSource::data(const artifact::TensorView& own) {
  if (own.data.empty()) return own.data;
  for (const Artifact& lender : lenders_) {
    const artifact::TensorView* other = lender->find(own.name);
    if (other == nullptr || !same_tensor(own, *other)) continue;
    if (std::find(used_.begin(), used_.end(), lender) == used_.end()) used_.push_back(lender);
    shared_bytes_ += static_cast<int64_t>(own.data.size());
    unused_.push_back(own.data);
    return other->data;
  }
  return own.data;
}

}  // namespace tilewise::runtime
