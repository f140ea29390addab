#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <utility>

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

Status check_readable(const std::string& path, struct stat& info) {
  if (path == "-") {
    if (fstat(STDIN_FILENO, &info) == 0) return {};
    return io_error({.what = "cannot read standard input", .found = errno_text(errno)});
  }
  if (stat(path.c_str(), &info) == 0 && access(path.c_str(), R_OK) == 0) return {};
  Problem problem{.what = "cannot open the input", .where = path, .found = errno_text(errno)};
  return errno == ENOENT || errno == ENOTDIR ? not_found(std::move(problem))
                                             : io_error(std::move(problem));
}

bool is_blank(std::string_view line) {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

struct LineReader::State {
  std::vector<InputFile> files;
  std::function<bool()> stop;
  Hashing hashing = Hashing::none;
  ReadLimits limits;

  size_t file = 0;  // index of the open one, or of the next to open
  std::optional<ByteSource> source;
  bool at_start = true;  // of the file: a byte order mark may come
  int64_t line = 0;      // number of the last line, and of the one that began the last record
  int64_t number = 0;
  std::deque<CsvHeader> headers;      // lines point to them
  const CsvHeader* header = nullptr;  // of the open file of CSV, once it is read
  std::optional<CsvScanner> scanner;  // for a file of CSV

  std::vector<char> buffer;  // bytes [begin, end) are read and not yet given out
  size_t begin = 0, end = 0;
  size_t scanned = 0;  // no line end in [begin, scanned); of JSON

  std::vector<ReadInput> inputs;  // read to their end
  int64_t total_bytes = 0;        // negative: unknown
  int64_t finished_bytes = 0;     // of `inputs`

  bool at_end() const { return file == files.size(); }
  bool asked_to_stop() const { return stop && stop(); }
  bool is_csv() const { return scanner.has_value(); }
  size_t kept_bytes() const { return limits.line_bytes + 2; }  // with the CR still too long

  Status open_file();
  void finish_file();
  void make_room();
  Status read_block();
  bool pass_over_mark();
  std::optional<size_t> find_line_end();
  bool take_line(std::string_view& text);
  void give_out(std::string_view text, Chunk& chunk);
  Status take_header(std::string_view text);
};

Status LineReader::State::open_file() {
  TILEWISE_ASSIGN_OR_RETURN(source,
                            ByteSource::open(files[file].path, hashing, limits.window_bytes));
  at_start = true;
  line = 0;
  if (files[file].format != Format::json_lines)
    scanner.emplace(delimiter_of(files[file].format), kept_bytes() - 1);
  return {};
}

void LineReader::State::finish_file() {
  inputs.push_back({files[file].path, source->stored_bytes(), source->sha256()});
  finished_bytes += inputs.back().bytes;
  source.reset();
  scanner.reset();
  header = nullptr;
  begin = end = scanned = 0;
  ++file;
}

// Room for a block behind `end`. Of a line that is already too long only its beginning stays.
void LineReader::State::make_room() {
  if (end - begin > kept_bytes()) end = scanned = begin + kept_bytes();
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

// Appends up to a block to the buffer.
Status LineReader::State::read_block() {
  make_room();
  TILEWISE_ASSIGN_OR_RETURN(const size_t count, source->read({buffer.data() + end, kBlockBytes}));
  end += count;
  return {};
}

// False while it cannot be told whether there is one.
bool LineReader::State::pass_over_mark() {
  const std::string_view start(buffer.data() + begin, std::min(end - begin, kByteOrderMark.size()));
  if (start == kByteOrderMark) {
    begin = scanned = begin + start.size();
  } else if (kByteOrderMark.starts_with(start) && !source->at_end()) {
    return false;
  }
  at_start = false;
  return true;
}

// The offset of the line's end from its beginning.
inline std::optional<size_t> LineReader::State::find_line_end() {
  if (is_csv()) return scanner->find_end({buffer.data() + begin, end - begin}, source->at_end());
  const void* found = std::memchr(buffer.data() + scanned, '\n', end - scanned);
  if (found != nullptr) return static_cast<const char*>(found) - (buffer.data() + begin);
  scanned = end;
  if (source->at_end()) return end - begin;
  return std::nullopt;
}

// The next whole line that is not blank, which stays in the buffer until a block is read. False
// when there is none.
bool LineReader::State::take_line(std::string_view& text) {
  if (at_start && !pass_over_mark()) return false;
  const bool csv = is_csv();
  while (begin < end) {
    const std::optional<size_t> length = find_line_end();
    if (!length) return false;
    text = {buffer.data() + begin, *length};
    begin = scanned = std::min(begin + *length + 1, end);  // the last line may lack its line end
    number = line + 1;
    line = number + (csv ? std::count(text.begin(), text.end(), '\n') : 0);
    if (text.ends_with('\r')) text.remove_suffix(1);
    if (!(csv ? text.empty() : is_blank(text))) return true;
  }
  return false;
}

void LineReader::State::give_out(std::string_view text, Chunk& chunk) {
  text = text.substr(0, limits.line_bytes + 1);  // the same however the bytes came
  chunk.bytes += text;
  chunk.lines.push_back({text, {files[file].path, number}, header, limits.line_bytes});
}

Status LineReader::State::take_header(std::string_view text) {
  auto parsed = CsvHeader::parse(text, files[file].format);
  if (parsed.ok()) {
    header = &headers.emplace_back(*std::move(parsed));
    return {};
  }
  Problem problem = parsed.status().problem();
  problem.where = describe(Position{files[file].path, number});
  return {parsed.status().code(), std::move(problem)};
}

LineReader::LineReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
LineReader::LineReader(LineReader&&) noexcept = default;
LineReader& LineReader::operator=(LineReader&&) noexcept = default;
LineReader::~LineReader() = default;

Result<LineReader> LineReader::open(std::vector<InputFile> files, std::function<bool()> stop,
                                    Hashing hashing, const ReadLimits& limits) {
  auto state = std::make_unique<State>();
  for (const InputFile& file : files) {
    struct stat info{};
    TILEWISE_RETURN_IF_ERROR(check_readable(file.path, info));
    if (!S_ISREG(info.st_mode)) state->total_bytes = -1;
    if (state->total_bytes >= 0) state->total_bytes += info.st_size;
  }
  state->files = std::move(files);
  state->stop = std::move(stop);
  state->hashing = hashing;
  state->limits = limits;
  state->limits.line_bytes = std::min(limits.line_bytes, kMaxLineBytes);
  return LineReader(std::move(state));
}

Result<LineReader> LineReader::open(const std::vector<std::string>& names,
                                    std::function<bool()> stop, Hashing hashing) {
  TILEWISE_ASSIGN_OR_RETURN(std::vector<InputFile> files, list_inputs(names));
  return open(std::move(files), std::move(stop), hashing);
}

Status LineReader::next(size_t max_lines, Chunk& chunk, Wait wait) {
  State& state = *state_;
  if (chunk.bytes.capacity() > kKeptBytes) chunk.bytes = {};
  chunk.bytes.clear();
  chunk.lines.clear();
  std::string_view text;
  while (!state.at_end() && chunk.lines.size() < max_lines && chunk.bytes.size() < kChunkBytes) {
    if (!state.source) TILEWISE_RETURN_IF_ERROR(state.open_file());
    if (state.take_line(text)) {
      if (state.is_csv() && state.header == nullptr) {
        TILEWISE_RETURN_IF_ERROR(state.take_header(text));
      } else {
        state.give_out(text, chunk);
      }
      continue;
    }
    if (state.source->at_end()) {
      state.finish_file();
      continue;
    }
    if (state.asked_to_stop())
      return interrupted({.what = "stopped while reading", .where = state.files[state.file].path});
    if (!state.source->is_ready(0)) {
      if (!chunk.lines.empty() || wait == Wait::never) break;
      if (!state.source->is_ready(kStopPollMs)) continue;
    }
    TILEWISE_RETURN_IF_ERROR(state.read_block());
  }
  const char* begin = chunk.bytes.data();  // only now do the bytes stay where they are
  for (Line& line : chunk.lines) {
    line.text = {begin, line.text.size()};
    begin += line.text.size();
  }
  return {};
}

bool LineReader::at_end() const { return state_->at_end(); }

double LineReader::fraction() const {
  const State& state = *state_;
  if (state.total_bytes < 0) return -1;
  if (state.total_bytes == 0) return at_end() ? 1 : 0;
  const int64_t read = state.finished_bytes + (state.source ? state.source->stored_bytes() : 0);
  return std::min(1.0, static_cast<double>(read) / static_cast<double>(state.total_bytes));
}

const std::vector<ReadInput>& LineReader::inputs() const { return state_->inputs; }

}  // namespace tilewise::rows
