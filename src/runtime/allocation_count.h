// Counts the allocations of a test program that is linked with allocation_count.cc.
#pragma once

#include <cstdint>
#include <optional>

namespace tilewise::runtime {

/// Calls of operator new so far, by all threads. Nothing under sanitizers, which have an
/// operator new of their own.
std::optional<int64_t> allocations();

}  // namespace tilewise::runtime
