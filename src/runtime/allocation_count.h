// Counts the allocations of a test program that is linked with allocation_count.cc.
#pragma once

#include <cstdint>

namespace tilewise::runtime {

/// Calls of operator new so far, by all threads.
int64_t allocations();

}  // namespace tilewise::runtime
