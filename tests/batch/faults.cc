// For LD_PRELOAD: counts the file operations of a program below one directory, and at a chosen one
// kills the program or lets the operation fail. Only system calls stand below it, so it goes with
// any sanitizer.
//
//   FAULTS_DIRECTORY  absolute path; without it nothing is counted
//   FAULTS_OF         "writes" (the default): what changes files; "reads": what reads them
//   FAULTS_LOG        a file that gets one line an operation: number, name, path (a second one for
//                     a new name), flushed before the operation, so that it survives a kill
//   FAULTS_AT         the number, from 1, of the operation that meets with
//   FAULTS_DO           kill          SIGKILL before it
//                       kill_halfway  half of the bytes go out, then SIGKILL; after it if it has
//                                     no bytes
//                       short         half of the bytes, then all goes on
//                       ENOSPC, EIO, EINTR
//                       full          ENOSPC for it and for all later ones that need space
#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <utility>

#include <dlfcn.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace {

enum class Fault { none, kill, kill_halfway, half, error, full };

struct Plan {
  std::string_view directory;
  const char* log = nullptr;
  bool reads = false;
  long at = 0;
  Fault fault = Fault::none;
  int error = 0;
};

constinit Plan plan;
constinit std::atomic<long> operations = 0;

std::string_view variable(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? std::string_view() : value;
}

// Whatever opens a file before this does so uncounted.
__attribute__((constructor)) void read_environment() {
  plan.log = std::getenv("FAULTS_LOG");
  plan.reads = variable("FAULTS_OF") == "reads";
  plan.at = std::atol(std::string(variable("FAULTS_AT")).c_str());
  const std::string_view fault = variable("FAULTS_DO");
  if (fault == "kill") plan.fault = Fault::kill;
  if (fault == "kill_halfway") plan.fault = Fault::kill_halfway;
  if (fault == "short") plan.fault = Fault::half;
  if (fault == "full") plan.fault = Fault::full;
  for (const auto& [name, error] : {std::pair("ENOSPC", ENOSPC), {"EIO", EIO}, {"EINTR", EINTR}}) {
    if (fault != name) continue;
    plan.fault = Fault::error;
    plan.error = error;
  }
  plan.directory = variable("FAULTS_DIRECTORY");  // last: from here on it counts
}

void die() {
  syscall(SYS_kill, getpid(), SIGKILL);
  for (;;) pause();
}

struct Operation {
  const char* name;
  bool reads = false;
  bool needs_space = false;
};

enum class Turn { go_on, fail, half, then_die };

void log_operation(long number, const char* name, const char* path, const char* new_path) {
  char line[2 * PATH_MAX + 64];
  const int size =
      std::snprintf(line, sizeof line, "%ld\t%s\t%s\t%s\n", number, name, path, new_path);
  const auto log = static_cast<int>(
      syscall(SYS_openat, AT_FDCWD, plan.log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666));
  syscall(SYS_write, log, line, static_cast<size_t>(size));
  syscall(SYS_close, log);
}

// Counts it if it concerns us; `fail` leaves errno set.
Turn take_turn(const Operation& operation, const char* path, const char* new_path = "") {
  const auto below = [](std::string_view name) {
    const size_t size = plan.directory.size();
    return name.substr(0, size) == plan.directory && (name.size() == size || name[size] == '/');
  };
  if (plan.directory.empty() || operation.reads != plan.reads || path == nullptr || !below(path))
    return Turn::go_on;
  const long number = ++operations;
  if (plan.log != nullptr) log_operation(number, operation.name, path, new_path);
  if (plan.fault == Fault::full && number >= plan.at && operation.needs_space) {
    errno = ENOSPC;
    return Turn::fail;
  }
  if (number != plan.at) return Turn::go_on;
  if (plan.fault == Fault::kill) die();
  if (plan.fault == Fault::error) {
    errno = plan.error;
    return Turn::fail;
  }
  if (plan.fault == Fault::half) return Turn::half;
  return plan.fault == Fault::kill_halfway ? Turn::then_die : Turn::go_on;
}

// The path of an open file; a file without a name is " (deleted)" behind the one that it had.
struct PathOf {
  explicit PathOf(int descriptor) {
    if (plan.directory.empty() || descriptor < 0) return;
    char link[32];
    std::snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    const int before = errno;
    const long size = syscall(SYS_readlinkat, AT_FDCWD, link, text, sizeof text - 1);
    errno = before;
    text[std::max(size, 0L)] = '\0';
  }
  char text[PATH_MAX] = "";
};

// An operation that is done or not.
template <typename Call>
auto perform(const Operation& operation, const char* path, const char* new_path, Call call) {
  using Value = decltype(call());
  const Turn turn = take_turn(operation, path, new_path);
  if (turn == Turn::fail) return static_cast<Value>(-1);
  const Value result = call();
  if (turn == Turn::then_die) die();
  return result;
}

// An operation that may be done in part: `call` is given the number of bytes.
template <typename Call>
ssize_t transfer(const Operation& operation, int descriptor, size_t size, Call call) {
  const Turn turn = take_turn(operation, PathOf(descriptor).text);
  if (turn == Turn::fail) return -1;
  const bool half = (turn == Turn::half || turn == Turn::then_die) && size > 1;
  const ssize_t result = call(half ? size / 2 : size);
  if (turn == Turn::then_die) die();
  return result;
}

bool is_written(int descriptor) {
  const long flags = plan.directory.empty() ? -1 : syscall(SYS_fcntl, descriptor, F_GETFL);
  return flags >= 0 && (flags & O_ACCMODE) != O_RDONLY;
}

int open_file(int directory, const char* path, int flags, mode_t mode) {
  const bool reads = (flags & (O_ACCMODE | O_CREAT | O_TRUNC)) == 0;
  const auto call = [&] {
    return static_cast<int>(syscall(SYS_openat, directory, path, flags, mode));
  };
  if ((flags & O_DIRECTORY) == O_DIRECTORY && reads) return call();
  return perform({.name = "open", .reads = reads, .needs_space = (flags & O_CREAT) != 0}, path, "",
                 call);
}

mode_t mode_of(int flags, va_list arguments) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? va_arg(arguments, mode_t) : 0;
}

// Functions that do more than one system call are the C library's.
template <typename Function>
Function* next(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

int make_temporary(const char* name, char* path, int flags) {
  return perform({.name = "open", .needs_space = true}, path, "",
                 [&] { return next<int(char*, int)>(name)(path, flags); });
}

int allocate(const char* name, int descriptor, off_t offset, off_t size) {
  // Returns the error instead of setting errno.
  const int before = errno;
  const Turn turn =
      take_turn({.name = "posix_fallocate", .needs_space = true}, PathOf(descriptor).text);
  const int error =
      turn == Turn::fail ? errno : next<int(int, off_t, off_t)>(name)(descriptor, offset, size);
  if (turn == Turn::then_die) die();
  errno = before;
  return error;
}

int resize(int descriptor, off_t size) {
  return perform({.name = "ftruncate", .needs_space = true}, PathOf(descriptor).text, "",
                 [&] { return static_cast<int>(syscall(SYS_ftruncate, descriptor, size)); });
}

void* map(void* address, size_t size, int protection, int flags, int descriptor, off_t offset) {
  const auto call = [&] {
    return syscall(SYS_mmap, address, size, protection, flags, descriptor, offset);
  };
  const bool reads = (protection & PROT_WRITE) == 0;
  if (descriptor < 0) return reinterpret_cast<void*>(call());
  return reinterpret_cast<void*>(
      perform({.name = "mmap", .reads = reads}, PathOf(descriptor).text, "", call));
}

ssize_t write_at(int descriptor, const void* data, size_t size, off_t offset) {
  return transfer({.name = "write", .needs_space = true}, descriptor, size, [&](size_t part) {
    return syscall(SYS_pwrite64, descriptor, data, part, offset);
  });
}

ssize_t read_at(int descriptor, void* data, size_t size, off_t offset) {
  return transfer({.name = "read", .reads = true}, descriptor, size, [&](size_t part) {
    return syscall(SYS_pread64, descriptor, data, part, offset);
  });
}

}  // namespace

extern "C" {

int open(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(AT_FDCWD, path, flags, mode);
}

int open64(const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(AT_FDCWD, path, flags, mode);
}

int openat(int directory, const char* path, int flags, ...) {
  va_list arguments;
  va_start(arguments, flags);
  const mode_t mode = mode_of(flags, arguments);
  va_end(arguments);
  return open_file(directory, path, flags, mode);
}

int mkostemp(char* path, int flags) { return make_temporary("mkostemp", path, flags); }
int mkstemp(char* path) { return make_temporary("mkostemp", path, 0); }
int mkstemp64(char* path) { return make_temporary("mkostemp", path, 0); }

ssize_t write(int descriptor, const void* data, size_t size) {
  return transfer({.name = "write", .needs_space = true}, descriptor, size,
                  [&](size_t part) { return syscall(SYS_write, descriptor, data, part); });
}

ssize_t pwrite(int descriptor, const void* data, size_t size, off_t offset) {
  return write_at(descriptor, data, size, offset);
}

ssize_t pwrite64(int descriptor, const void* data, size_t size, off64_t offset) {
  return write_at(descriptor, data, size, offset);
}

ssize_t read(int descriptor, void* data, size_t size) {
  return transfer({.name = "read", .reads = true}, descriptor, size,
                  [&](size_t part) { return syscall(SYS_read, descriptor, data, part); });
}

ssize_t pread(int descriptor, void* data, size_t size, off_t offset) {
  return read_at(descriptor, data, size, offset);
}

ssize_t pread64(int descriptor, void* data, size_t size, off64_t offset) {
  return read_at(descriptor, data, size, offset);
}

void* mmap(void* address, size_t size, int protection, int flags, int descriptor,
           off_t offset) noexcept {
  return map(address, size, protection, flags, descriptor, offset);
}

void* mmap64(void* address, size_t size, int protection, int flags, int descriptor,
             off64_t offset) noexcept {
  return map(address, size, protection, flags, descriptor, offset);
}

int fsync(int descriptor) {
  return perform({.name = "fsync"}, PathOf(descriptor).text, "",
                 [&] { return static_cast<int>(syscall(SYS_fsync, descriptor)); });
}

int fdatasync(int descriptor) {
  return perform({.name = "fsync"}, PathOf(descriptor).text, "",
                 [&] { return static_cast<int>(syscall(SYS_fdatasync, descriptor)); });
}

int ftruncate(int descriptor, off_t size) noexcept { return resize(descriptor, size); }
int ftruncate64(int descriptor, off64_t size) noexcept { return resize(descriptor, size); }

int posix_fallocate(int descriptor, off_t offset, off_t size) {
  return allocate("posix_fallocate", descriptor, offset, size);
}

int posix_fallocate64(int descriptor, off64_t offset, off64_t size) {
  return allocate("posix_fallocate", descriptor, offset, size);
}

// A descriptor is closed whatever close() says.
int close(int descriptor) {
  const auto call = [&] { return static_cast<int>(syscall(SYS_close, descriptor)); };
  if (!is_written(descriptor)) return call();
  const Turn turn = take_turn({.name = "close"}, PathOf(descriptor).text);
  const int error = errno;
  const int result = call();
  if (turn == Turn::then_die) die();
  if (turn != Turn::fail) return result;
  errno = error;
  return -1;
}

int rename(const char* path, const char* new_path) noexcept {
  return perform({.name = "rename", .needs_space = true}, path, new_path, [&] {
    return static_cast<int>(syscall(SYS_renameat2, AT_FDCWD, path, AT_FDCWD, new_path, 0));
  });
}

int mkdir(const char* path, mode_t mode) noexcept {
  return perform({.name = "mkdir", .needs_space = true}, path, "",
                 [&] { return static_cast<int>(syscall(SYS_mkdirat, AT_FDCWD, path, mode)); });
}

int unlink(const char* path) noexcept {
  return perform({.name = "unlink"}, path, "",
                 [&] { return static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, 0)); });
}

int rmdir(const char* path) noexcept {
  return perform({.name = "unlink"}, path, "", [&] {
    return static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
  });
}

// std::filesystem::remove.
int remove(const char* path) noexcept {
  return perform({.name = "unlink"}, path, "", [&] {
    const long done = syscall(SYS_unlinkat, AT_FDCWD, path, 0);
    if (done == 0 || errno != EISDIR) return static_cast<int>(done);
    return static_cast<int>(syscall(SYS_unlinkat, AT_FDCWD, path, AT_REMOVEDIR));
  });
}

// std::filesystem::remove_all: `path` is below a directory that is open.
int unlinkat(int directory, const char* path, int flags) noexcept {
  const auto call = [&] { return static_cast<int>(syscall(SYS_unlinkat, directory, path, flags)); };
  return directory == AT_FDCWD ? perform({.name = "unlink"}, path, "", call)
                               : perform({.name = "unlink"}, PathOf(directory).text, path, call);
}

}  // extern "C"
