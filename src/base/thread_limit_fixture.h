// For tests of what happens where no more threads can be had.
#pragma once

#include <functional>
#include <optional>
#include <system_error>
#include <thread>

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace tilewise {

/// What `body` (0 to 254) returns in a process that can start no thread; nullopt where there cannot
/// be one: the limit does not bind root, who becomes nobody for this.
inline std::optional<int> without_threads(const std::function<int()>& body) {
  constexpr int kCannotTell = 255;
  const auto limit_threads = [] {
    constexpr uid_t kNobody = 65534;
    if (getuid() == 0 && setuid(kNobody) != 0) return false;
    const rlimit none = {0, 0};
    if (setrlimit(RLIMIT_NPROC, &none) != 0) return false;
    try {
      std::thread([] {}).join();
    } catch (const std::system_error&) {
      return true;
    }
    return false;
  };
  const pid_t child = fork();
  if (child == 0) _exit(limit_threads() ? body() : kCannotTell);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return std::nullopt;
  if (!WIFEXITED(status)) return -1;
  const int result = WEXITSTATUS(status);
  return result == kCannotTell ? std::nullopt : std::optional(result);
}

}  // namespace tilewise
