#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "rows/reader.h"

namespace tilewise::rows {
namespace {

constexpr size_t kChunkBytes = size_t{32} << 10;
constexpr size_t kBlockBytes = size_t{128} << 10;
constexpr size_t kKeptBytes = size_t{4} << 20;  // after a long line, more than this is given back
constexpr int kStopPollMs = 100;  // a reader that waits looks so often whether it should stop
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool is_standard_input(const std::string& path) { return path == "-"; }

Status check_readable(const std::string& path, struct stat& info) {
  if (is_standard_input(path)) {
    if (fstat(STDIN_FILENO, &info) == 0) return {};
    return io_error({.what = "cannot read standard input", .found = errno_text(errno)});
  }
  if (stat(path.c_str(), &info) != 0) {
    Problem problem{.what = "cannot open the input", .where = path, .found = errno_text(errno)};
    return errno == ENOENT || errno == ENOTDIR ? not_found(std::move(problem))
                                               : io_error(std::move(problem));
  }
  if (S_ISDIR(info.st_mode)) {
    return invalid_input({.what = "the input is a directory",
                          .where = path,
                          .expected = "a file of JSON lines",
                          .remedy = "Name the files in it, one --input each"});
  }
  if (access(path.c_str(), R_OK) != 0) {
    return io_error({.what = "cannot open the input", .where = path, .found = errno_text(errno)});
  }
  return {};
}

/// The usual mistake is named: these files are refused line by line otherwise.
Status check_start(const std::string& path, std::string_view start) {
  const char* compression = start.starts_with("\x1F\x8B")           ? "gzip"
                            : start.starts_with("\x28\xB5\x2F\xFD") ? "zstd"
                                                                    : nullptr;
  if (compression == nullptr) return {};
  return unsupported({.what = "compressed input is not read yet",
                      .where = path,
                      .expected = "JSON lines",
                      .found = std::string(compression) + " data",
                      .remedy = "Decompress it first, or pipe it into standard input"});
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

struct LineReader::State {
  std::vector<std::string> paths;
  std::function<bool()> stop;

  size_t file = 0;  // index of the open one, or of the next to open
  int descriptor = -1;
  bool regular = false;  // reads never wait
  bool at_start = true;  // of the file: a byte order mark may come
  int64_t line = 0;      // number of the last line

  std::vector<char> buffer;  // bytes [begin, end) are read and not yet given out
  size_t begin = 0, end = 0;
  size_t scanned = 0;  // no line end in [begin, scanned)

  int64_t total_bytes = 0;  // negative: unknown
  int64_t read_bytes = 0;
  std::vector<size_t> starts;  // of the chunk's lines, in its bytes

  ~State() { close_file(); }

  const std::string& path() const { return paths[file]; }
  bool at_end() const { return file == paths.size(); }
  bool asked_to_stop() const { return stop && stop(); }

  void close_file() {
    if (descriptor > STDIN_FILENO) ::close(descriptor);
    descriptor = -1;
  }

  Status open_file();
  bool input_is_ready(int timeout_ms) const;
  Status read_block();
  void finish_file(Chunk& chunk);
  void make_room();
  bool take_line(Chunk& chunk);
  void give_out(std::string_view text, Chunk& chunk);
};

Status LineReader::State::open_file() {
  descriptor =
      is_standard_input(path()) ? STDIN_FILENO : ::open(path().c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info{};
  if (descriptor < 0 || fstat(descriptor, &info) != 0) {
    return io_error({.what = "cannot open the input", .where = path(), .found = errno_text(errno)});
  }
  regular = S_ISREG(info.st_mode);
  at_start = true;
  line = 0;
  return {};
}

bool LineReader::State::input_is_ready(int timeout_ms) const {
  if (regular) return true;
  pollfd request{.fd = descriptor, .events = POLLIN, .revents = 0};
  const int ready = poll(&request, 1, timeout_ms);
  return ready > 0 || (ready < 0 && errno != EINTR);  // other errors: read() names them
}

// Room for a block behind `end`. Of a line that is already too long only its beginning stays.
void LineReader::State::make_room() {
  if (end - begin > kMaxLineBytes) end = scanned = begin + kMaxLineBytes + 1;
  if (begin > 0) {
    std::memmove(buffer.data(), buffer.data() + begin, end - begin);
    scanned -= begin;
    end -= begin;
    begin = 0;
  }
  if (end + kBlockBytes > buffer.size()) buffer.resize(std::max(end + kBlockBytes, 2 * end));
  if (buffer.size() > kKeptBytes && end < kBlockBytes) {
    buffer.resize(2 * kBlockBytes);
    buffer.shrink_to_fit();
  }
}

// Appends a block to the buffer. At the end of the file it closes it.
Status LineReader::State::read_block() {
  make_room();
  const ssize_t count = ::read(descriptor, buffer.data() + end, kBlockBytes);
  if (count < 0) {
    if (errno == EINTR) return {};  // the caller asks again, or stops
    const std::string where = is_standard_input(path()) ? "standard input" : path();
    return io_error({.what = "cannot read the input", .where = where, .found = errno_text(errno)});
  }
  if (count == 0) {
    close_file();
    return {};
  }
  end += static_cast<size_t>(count);
  read_bytes += count;
  if (at_start && end - begin >= kByteOrderMark.size()) {
    at_start = false;
    const std::string_view start(buffer.data() + begin, end - begin);
    TILEWISE_RETURN_IF_ERROR(check_start(path(), start));
    if (start.starts_with(kByteOrderMark)) begin = scanned = begin + kByteOrderMark.size();
  }
  return {};
}

// The last line may lack its line end.
void LineReader::State::finish_file(Chunk& chunk) {
  if (begin < end) {
    ++line;
    give_out({buffer.data() + begin, end - begin}, chunk);
  }
  begin = end = scanned = 0;
  ++file;
}

void LineReader::State::give_out(std::string_view text, Chunk& chunk) {
  if (text.ends_with('\r')) text.remove_suffix(1);
  if (is_blank(text)) return;
  starts.push_back(chunk.bytes.size());
  chunk.bytes += text;
  chunk.lines.push_back({.text = text, .position = {paths[file], line}});
}

// Moves one whole line from the buffer into the chunk; false when there is none.
bool LineReader::State::take_line(Chunk& chunk) {
  const char* found =
      scanned < end
          ? static_cast<const char*>(std::memchr(buffer.data() + scanned, '\n', end - scanned))
          : nullptr;
  if (found == nullptr) {
    scanned = end;
    return false;
  }
  const auto line_end = static_cast<size_t>(found - buffer.data());
  ++line;
  at_start = false;
  give_out({buffer.data() + begin, line_end - begin}, chunk);
  begin = scanned = line_end + 1;
  return true;
}

LineReader::LineReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
LineReader::LineReader(LineReader&&) noexcept = default;
LineReader& LineReader::operator=(LineReader&&) noexcept = default;
LineReader::~LineReader() = default;

Result<LineReader> LineReader::open(const std::vector<std::string>& paths,
                                    std::function<bool()> stop, Hashing) {
  auto state = std::make_unique<State>();
  for (const std::string& path : paths) {
    struct stat info{};
    TILEWISE_RETURN_IF_ERROR(check_readable(path, info));
    if (!S_ISREG(info.st_mode)) state->total_bytes = -1;
    if (state->total_bytes >= 0) state->total_bytes += info.st_size;
  }
  state->paths = paths;
  state->stop = std::move(stop);
  return LineReader(std::move(state));
}

Status LineReader::next(size_t max_lines, Chunk& chunk, Wait wait) {
  State& state = *state_;
  if (chunk.bytes.capacity() > kKeptBytes) chunk.bytes = {};
  chunk.bytes.clear();
  chunk.lines.clear();
  state.starts.clear();
  while (!state.at_end() && chunk.lines.size() < max_lines && chunk.bytes.size() < kChunkBytes) {
    if (state.descriptor < 0) TILEWISE_RETURN_IF_ERROR(state.open_file());
    if (state.take_line(chunk)) continue;
    if (state.asked_to_stop())
      return interrupted({.what = "stopped while reading", .where = state.path()});
    if (!state.input_is_ready(0)) {
      if (!chunk.lines.empty() || wait == Wait::never) break;
      if (!state.input_is_ready(kStopPollMs)) continue;
    }
    TILEWISE_RETURN_IF_ERROR(state.read_block());
    if (state.descriptor < 0) state.finish_file(chunk);
  }
  for (size_t i = 0; i < chunk.lines.size(); ++i) {  // only now do the bytes stay where they are
    chunk.lines[i].text = {chunk.bytes.data() + state.starts[i], chunk.lines[i].text.size()};
  }
  return {};
}

bool LineReader::at_end() const { return state_->at_end(); }

double LineReader::fraction() const {
  if (state_->total_bytes < 0) return -1;
  if (state_->total_bytes == 0) return at_end() ? 1 : 0;
  return std::min(
      1.0, static_cast<double>(state_->read_bytes) / static_cast<double>(state_->total_bytes));
}

}  // namespace tilewise::rows
