#include "cli/child_server.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <fstream>

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "cli/cpu_list.h"

namespace tilewise::cli {
namespace {

constexpr std::chrono::seconds kReadyTime{60};
constexpr std::chrono::seconds kStopTime{45};
constexpr size_t kKeptLines = 8;

/// In the child, between fork and exec: nothing but system calls.
[[noreturn]] void become_server(char* const* arguments, int log, pid_t parent) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const int null = ::open("/dev/null", O_RDWR);
  if (getppid() == parent && null >= 0 && dup2(null, STDIN_FILENO) >= 0 &&
      dup2(null, STDOUT_FILENO) >= 0 && dup2(log, STDERR_FILENO) >= 0) {
    execv("/proc/self/exe", arguments);
  }
  _exit(127);
}

/// A line "Name:  123 kB" of /proc/PID/status, in MB.
double status_mb(pid_t process, const std::string& name) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  for (std::string line; std::getline(status, line);) {
    if (line.starts_with(name + ":")) return std::stod(line.substr(name.size() + 1)) * 1024e-6;
  }
  return 0;
}

}  // namespace

std::string address_in(std::string_view line) {
  constexpr std::string_view kBefore = "listening on ";
  const size_t at = line.find(kBefore);
  if (at == std::string_view::npos) return {};
  const std::string_view rest = line.substr(at + kBefore.size());
  if (!rest.starts_with("http")) return {};
  return std::string(rest.substr(0, rest.find_first_of(" ,;")));
}

std::string describe_end(int wait_status) {
  if (WIFEXITED(wait_status)) return "exit code " + std::to_string(WEXITSTATUS(wait_status));
  const int number = WTERMSIG(wait_status);
  return "signal " + std::to_string(number) + " (" + strsignal(number) + ")";
}

Result<std::unique_ptr<ChildServer>> ChildServer::start(const std::vector<std::string>& arguments,
                                                        const std::vector<int32_t>& cpus) {
  std::vector<std::string> words = {"tilewise", "serve"};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> pointers;
  for (std::string& word : words) pointers.push_back(word.data());
  pointers.push_back(nullptr);

  int log[2];
  if (pipe2(log, O_CLOEXEC) != 0) {
    return internal_error({.what = "cannot open a pipe", .found = errno_text(errno)});
  }
  std::unique_ptr<ChildServer> server(new ChildServer);
  const SteadyClock clock;
  const Time begin = clock.now();
  const pid_t parent = getpid();
  {
    const OnCpus there(cpus);  // the child keeps what it inherits
    server->process_ = fork();
    if (server->process_ == 0) become_server(pointers.data(), log[1], parent);
  }
  ::close(log[1]);
  if (server->process_ < 0) {
    ::close(log[0]);
    return internal_error({.what = "cannot start a process", .found = errno_text(errno)});
  }
  server->reader_ = std::thread([&it = *server, descriptor = log[0]] { it.read_log(descriptor); });
  TILEWISE_RETURN_IF_ERROR(server->wait_until_ready());
  server->seconds_to_ready_ = seconds_between(begin, clock.now());
  return server;
}

void ChildServer::read_log(int descriptor) {
  std::string text;
  char bytes[4096];
  for (;;) {
    const ssize_t count = ::read(descriptor, bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count <= 0) break;
    text.append(bytes, static_cast<size_t>(count));
    for (size_t end; (end = text.find('\n')) != std::string::npos; text.erase(0, end + 1)) {
      std::string line = text.substr(0, end);
      log_debug("server: " + line);
      const std::lock_guard lock(mutex_);
      if (address_.empty()) address_ = address_in(line);
      last_lines_.push_back(std::move(line));
      if (last_lines_.size() > kKeptLines) last_lines_.pop_front();
      changed_.notify_all();
    }
  }
  ::close(descriptor);
  const std::lock_guard lock(mutex_);
  log_has_ended_ = true;
  changed_.notify_all();
}

Status ChildServer::wait_until_ready() {
  std::unique_lock lock(mutex_);
  changed_.wait_for(lock, kReadyTime, [this] { return log_has_ended_ || !address_.empty(); });
  if (!address_.empty()) {
    TILEWISE_ASSIGN_OR_RETURN(url_, client::parse_url(address_));
    if (url_.host == "0.0.0.0") url_.host = "127.0.0.1";
    return {};
  }
  std::string words;
  for (const std::string& line : last_lines_) words += (words.empty() ? "" : " | ") + line;
  return io_error({.what = "the server that was to be measured did not become ready",
                   .where = "tilewise serve",
                   .found = words.empty() ? "nothing in its log" : words});
}

double ChildServer::cpu_seconds() const {
  clockid_t clock{};
  timespec time{};
  if (clock_getcpuclockid(process_, &clock) != 0 || clock_gettime(clock, &time) != 0) return 0;
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double ChildServer::memory_mb() const { return status_mb(process_, "VmRSS"); }

double ChildServer::peak_memory_mb() const { return status_mb(process_, "VmHWM"); }

Result<int> ChildServer::stop() {
  if (process_ < 0) return 0;
  kill(process_, SIGTERM);
  bool was_killed = false;
  {
    // Its log ends when it does.
    std::unique_lock lock(mutex_);
    was_killed = !changed_.wait_for(lock, kStopTime, [this] { return log_has_ended_; });
  }
  if (was_killed) kill(process_, SIGKILL);
  int status = 0;
  while (waitpid(process_, &status, 0) < 0 && errno == EINTR) {
  }
  process_ = -1;
  reader_.join();
  if (!was_killed) return status;
  return io_error({.what = "the server did not stop when it was asked to",
                   .where = "tilewise serve",
                   .expected = "its end within 45 seconds of SIGTERM"});
}

ChildServer::~ChildServer() { static_cast<void>(stop()); }

}  // namespace tilewise::cli
