#include "server/access_log.h"

#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstdio>
#include <iterator>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <fcntl.h>
#include <fmt/format.h>
#include <simdjson.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/log.h"
#include "rows/writer.h"

namespace tilewise::server {
namespace {

// Some 20,000 lines: a disk may stand still for a second at full rate.
constexpr size_t kMostWaiting = size_t{8} << 20;
// Lines that come while the writer sleeps go out together.
constexpr std::chrono::milliseconds kGather(20);

// Of a signal, which belongs to the process: how often a reopening was asked for.
std::atomic<uint32_t> reopenings = 0;
static_assert(std::atomic<uint32_t>::is_always_lock_free, "a signal handler may touch it");

/// "2026-01-31T12:34:56.789Z"
void append_time(std::chrono::system_clock::time_point time, std::string& out) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::milliseconds>(time - day));
  fmt::format_to(std::back_inserter(out), "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
                 static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                 static_cast<unsigned>(date.day()), clock.hours().count(), clock.minutes().count(),
                 clock.seconds().count(), clock.subseconds().count());
}

/// What a client sends need not be UTF-8, but the log must stay JSON: then byte for byte, as
/// Latin-1.
void append_text(std::string_view name, std::string_view text, std::string& out) {
  fmt::format_to(std::back_inserter(out), ",\"{}\":", name);
  if (simdjson::validate_utf8(text.data(), text.size())) {
    return rows::append_json_string(text, out);
  }
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte >= 0x7f || c == '"' || c == '\\') {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += c;
    }
  }
  out += '"';
}

void append_entry(const AccessEntry& entry, std::string& out) {
  out += "{\"time\":\"";
  append_time(entry.time, out);
  out += '"';
  append_text("request_id", entry.request_id, out);
  append_text("trace_id", entry.trace_id, out);
  append_text("peer", entry.peer, out);
  append_text("method", entry.method, out);
  append_text("path", entry.path, out);
  append_text("protocol", entry.protocol, out);
  append_text("model", entry.model, out);
  append_text("task", entry.task, out);
  fmt::format_to(
      std::back_inserter(out),
      ",\"status\":{},\"bytes_in\":{},\"bytes_out\":{},\"inputs\":{},\"tokens\":{},"
      "\"tokenize_ms\":{:.3f},\"queue_ms\":{:.3f},\"compute_ms\":{:.3f},\"total_ms\":{:.3f}}}\n",
      entry.status, entry.bytes_in, entry.bytes_out, entry.inputs, entry.tokens,
      1e3 * entry.times.tokenize, 1e3 * entry.times.queue, 1e3 * entry.times.compute,
      1e3 * entry.total_seconds);
}

/// Where the lines go. Only the writer's thread touches it once it runs.
class File {
 public:
  explicit File(std::string path) : path_(std::move(path)), seen_(reopenings.load()) {}
  ~File() { close(); }
  File(const File&) = delete;
  File& operator=(const File&) = delete;

  Status open() {
    if (path_ == "-") {
      descriptor_ = STDERR_FILENO;
      return {};
    }
    descriptor_ = ::open(path_.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
    if (descriptor_ >= 0) return {};
    return io_error({.what = "the access log cannot be opened for writing",
                     .where = path_,
                     .found = errno_text(errno)});
  }

  /// Another file has our name, or none has.
  bool was_moved() {
    if (path_ == "-") return false;
    const uint32_t asked = reopenings.load(std::memory_order_relaxed);
    if (std::exchange(seen_, asked) != asked || descriptor_ < 0) return true;
    struct stat ours{}, named{};
    if (fstat(descriptor_, &ours) != 0) return true;
    return stat(path_.c_str(), &named) != 0 || ours.st_ino != named.st_ino ||
           ours.st_dev != named.st_dev;
  }

  Status reopen() {
    close();
    return open();
  }

  Status write(std::string_view text) const {
    while (!text.empty()) {
      const ssize_t written = ::write(descriptor_, text.data(), text.size());
      if (written < 0 && errno == EINTR) continue;
      if (written < 0) {
        return io_error({.what = "the access log cannot be written",
                         .where = path_,
                         .found = errno_text(errno)});
      }
      text.remove_prefix(static_cast<size_t>(written));
    }
    return {};
  }

 private:
  void close() {
    if (descriptor_ > STDERR_FILENO) ::close(descriptor_);
    descriptor_ = -1;
  }

  std::string path_;
  int descriptor_ = -1;
  uint32_t seen_;
};

}  // namespace

struct AccessLog::State {
  explicit State(const std::string& path) : file(path) {}

  void run();
  Status put(std::string& lines, int64_t lost);

  File file;

  std::mutex mutex;
  std::condition_variable work;     // lines wait, or it is over
  std::condition_variable written;  // for flush()
  std::string waiting;
  int64_t waiting_lines = 0;
  int64_t dropped = 0;
  uint64_t taken = 0, finished = 0;  // rounds of the writer
  bool hurry = false;
  bool closing = false;

  std::thread writer;
};

/// Writes a round of lines, into a new file if the old one was moved away.
Status AccessLog::State::put(std::string& lines, int64_t lost) {
  if (file.was_moved()) TILEWISE_RETURN_IF_ERROR(file.reopen());
  if (lost > 0) {
    lines += "{\"time\":\"";
    append_time(std::chrono::system_clock::now(), lines);
    fmt::format_to(std::back_inserter(lines), "\",\"dropped\":{}}}\n", lost);
  }
  return file.write(lines);
}

void AccessLog::State::run() {
  std::string lines;
  int64_t unsaid = 0;  // lines that were lost and of which the log does not tell yet
  bool failing = false;
  std::unique_lock lock(mutex);
  while (true) {
    work.wait(lock, [&] { return !waiting.empty() || hurry || closing; });
    if (!hurry && !closing) work.wait_for(lock, kGather, [&] { return hurry || closing; });
    if (closing && waiting.empty()) return;
    lines.swap(waiting);
    const int64_t count = std::exchange(waiting_lines, 0);
    unsaid += std::exchange(dropped, 0);
    hurry = false;
    const uint64_t round = ++taken;
    lock.unlock();

    const Status status = lines.empty() ? Status() : put(lines, unsaid);
    if (!status.ok()) {
      unsaid += count;
      if (!failing) log_error(status.message());
    } else if (unsaid > 0) {
      log_warn(fmt::format("{} lines of the access log were dropped", unsaid));
      unsaid = 0;
    }
    failing = !status.ok();
    lines.clear();

    lock.lock();
    finished = round;
    written.notify_all();
  }
}

Result<std::unique_ptr<AccessLog>> AccessLog::open(const std::string& path) {
  auto state = std::make_unique<State>(path);
  TILEWISE_RETURN_IF_ERROR(state->file.open());
  try {
    state->writer = std::thread([&state = *state] { state.run(); });
  } catch (const std::system_error& error) {
    return unavailable_machine({.what = "the thread of the access log cannot be started",
                                .found = error.code().message(),
                                .remedy = "Raise the limit of processes (ulimit -u)"});
  }
  return std::unique_ptr<AccessLog>(new AccessLog(std::move(state)));
}

AccessLog::AccessLog(std::unique_ptr<State> state) : state_(std::move(state)) {}

AccessLog::~AccessLog() {
  {
    const std::lock_guard lock(state_->mutex);
    state_->closing = true;
  }
  state_->work.notify_one();
  state_->writer.join();
}

void AccessLog::write(const AccessEntry& entry) {
  bool was_empty = false;
  {
    const std::lock_guard lock(state_->mutex);
    if (state_->waiting.size() >= kMostWaiting) {
      ++state_->dropped;
      return;
    }
    was_empty = state_->waiting.empty();
    append_entry(entry, state_->waiting);
    ++state_->waiting_lines;
  }
  if (was_empty) state_->work.notify_one();
}

void AccessLog::flush() {
  std::unique_lock lock(state_->mutex);
  const uint64_t round = state_->taken + 1;
  state_->hurry = true;
  state_->work.notify_one();
  state_->written.wait(lock, [&] { return state_->finished >= round; });
}

void reopen_access_logs() { reopenings.fetch_add(1, std::memory_order_relaxed); }

}  // namespace tilewise::server
