#include "cli/session.h"

#include <cerrno>
#include <string>

#include <fcntl.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace tilewise::cli {
namespace {

// A signal handler can reach nothing else.
volatile sig_atomic_t stop_mark = 0;

void mark_stop(int) { stop_mark = 1; }

/// All of `text`, or the errno that stopped it.
int write_all(int descriptor, std::string_view text) {
  while (!text.empty()) {
    const ssize_t written = ::write(descriptor, text.data(), text.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return errno;
    text.remove_prefix(static_cast<size_t>(written));
  }
  return 0;
}

}  // namespace

Status StandardOutput::write(std::string_view text) {
  const int error = reader_is_gone_ ? EPIPE : write_all(STDOUT_FILENO, text);
  if (error == 0) return {};
  reader_is_gone_ = error == EPIPE;
  Problem problem{.what = "cannot write to standard output", .found = errno_text(error)};
  return reader_is_gone_ ? interrupted(std::move(problem)) : io_error(std::move(problem));
}

void print_error(const Status& status) {
  write_all(STDERR_FILENO, "tilewise: error: " + status.message() + "\n");
}

int finish(const Session& session, const Result<int>& result) {
  if (result.ok()) return *result;
  if (session.out.reader_is_gone()) return 0;
  print_error(result.status());
  return exit_code(result.status());
}

void catch_stop_signals() {
  struct sigaction action{};
  action.sa_handler = mark_stop;
  action.sa_flags = static_cast<int>(SA_RESETHAND);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

bool stop_requested() { return stop_mark != 0; }

// System calls and nothing else: no library is ready when this runs.
void reserve_standard_streams() {
  for (const int descriptor : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO}) {
    if (syscall(SYS_fcntl, descriptor, F_GETFD) >= 0) continue;
    // The lowest free number is this one. Opened the wrong way round, so that using it fails as
    // before.
    syscall(SYS_openat, AT_FDCWD, "/dev/null", descriptor == STDIN_FILENO ? O_WRONLY : O_RDONLY);
  }
}

void ignore_write_signals() {
  signal(SIGPIPE, SIG_IGN);
  signal(SIGXFSZ, SIG_IGN);
}

}  // namespace tilewise::cli
