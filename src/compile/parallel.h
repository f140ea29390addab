// Work on all cores. Private to this folder.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace tilewise::compile {

/// Threads that this process has cores for; 1 where that cannot be told.
int32_t thread_count();

/// Calls work(0) to work(count - 1), each once, on thread_count() threads, or on fewer where no
/// more can be had. Returns when all are done. `work` must not throw.
void for_each_in_parallel(size_t count, const std::function<void(size_t)>& work);

}  // namespace tilewise::compile
