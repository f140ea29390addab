#include "rows/byte_source.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/sha256.h"
#include "rows/decompressor.h"

namespace tilewise::rows {
namespace {

constexpr size_t kStoredBytes = size_t{128} << 10;  // read at once from compressed files

Status input_error(const char* what, const std::string& path, int error) {
  Problem problem{
      .what = what, .where = path == "-" ? "standard input" : path, .found = errno_text(error)};
  return error == ENOENT || error == ENOTDIR ? not_found(std::move(problem))
                                             : io_error(std::move(problem));
}

}  // namespace

struct ByteSource::State {
  std::string path;
  int descriptor = -1;
  bool regular = false;  // reads never wait
  bool ended = false;    // nothing more to read from the system

  size_t window_bytes = kMostWindowBytes;
  std::optional<Sha256> hash;
  std::string sha256;
  int64_t stored_bytes = 0;

  // What is read before it is known whether it is compressed, and compressed data.
  std::vector<char> stored;
  size_t begin = 0, end = 0;

  bool detected = false;
  std::unique_ptr<Decompressor> decompressor;  // null: plain bytes
  bool may_give_more = false;                  // without any more input

  ~State() {
    if (descriptor > STDIN_FILENO) ::close(descriptor);
  }

  std::span<const char> unread() const { return {stored.data() + begin, end - begin}; }

  Status open_file();
  Result<size_t> read_stored(std::span<char> buffer);
  Status fill();
  Status detect();
  size_t take_unread(std::span<char> buffer);
  Result<size_t> decompress(std::span<char> buffer);
  Status broken(const Status& status) const;
};

Status ByteSource::State::open_file() {
  descriptor = path == "-" ? STDIN_FILENO : ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  struct stat info{};
  if (descriptor < 0 || fstat(descriptor, &info) != 0)
    return input_error("cannot open the input", path, errno);
  regular = S_ISREG(info.st_mode);
  return {};
}

// One call of the system.
Result<size_t> ByteSource::State::read_stored(std::span<char> buffer) {
  const ssize_t count = ::read(descriptor, buffer.data(), buffer.size());
  if (count < 0) {
    if (errno == EINTR) return size_t{0};  // the caller asks again, or stops
    return input_error("cannot read the input", path, errno);
  }
  const auto read = static_cast<size_t>(count);
  stored_bytes += count;
  ended = count == 0;
  if (hash && !ended) hash->update(std::as_bytes(buffer.first(read)));
  if (hash && ended) sha256 = hash->hex();
  return read;
}

// Appends to `stored`.
Status ByteSource::State::fill() {
  if (begin == end) begin = end = 0;
  stored.resize(kStoredBytes);
  TILEWISE_ASSIGN_OR_RETURN(const size_t count, read_stored(std::span(stored).subspan(end)));
  end += count;
  return {};
}

Status ByteSource::State::detect() {
  TILEWISE_RETURN_IF_ERROR(fill());
  const std::string_view start(stored.data(), end);
  detected = ended || !may_become_compressed(start);
  const Compression compression = detect_compression(start);
  if (!detected || compression == Compression::none) return {};
  TILEWISE_ASSIGN_OR_RETURN(decompressor, Decompressor::create(compression, window_bytes));
  return {};
}

size_t ByteSource::State::take_unread(std::span<char> buffer) {
  const size_t count = std::min(buffer.size(), end - begin);
  std::memcpy(buffer.data(), stored.data() + begin, count);
  begin += count;
  if (begin == end) stored = {};  // from here on bytes go where they are asked for
  return count;
}

Result<size_t> ByteSource::State::decompress(std::span<char> buffer) {
  if (begin == end && !may_give_more && !ended) TILEWISE_RETURN_IF_ERROR(fill());
  auto step = decompressor->step(unread(), buffer);
  if (!step.ok()) return broken(step.status());
  begin += step->taken;
  may_give_more = step->given == buffer.size();
  if (!ended || begin < end || step->given > 0 || decompressor->is_whole()) return step->given;
  return broken(invalid_input(
      {.what = "the compressed data ends too early", .remedy = "Copy or make the file anew"}));
}

Status ByteSource::State::broken(const Status& status) const {
  Problem problem = status.problem();
  problem.where = (path == "-" ? "standard input" : path) + ", byte " +
                  std::to_string(stored_bytes - static_cast<int64_t>(end - begin));
  return {status.code(), std::move(problem)};
}

ByteSource::ByteSource(std::unique_ptr<State> state) : state_(std::move(state)) {}
ByteSource::ByteSource(ByteSource&&) noexcept = default;
ByteSource& ByteSource::operator=(ByteSource&&) noexcept = default;
ByteSource::~ByteSource() = default;

Result<ByteSource> ByteSource::open(const std::string& path, Hashing hashing, size_t window_bytes) {
  auto state = std::make_unique<State>();
  state->path = path;
  state->window_bytes = window_bytes;
  if (hashing == Hashing::sha256) state->hash.emplace();
  TILEWISE_RETURN_IF_ERROR(state->open_file());
  return ByteSource(std::move(state));
}

bool ByteSource::is_ready(int timeout_ms) const {
  const State& state = *state_;
  const bool has_bytes = state.detected && (state.begin < state.end || state.may_give_more);
  if (state.regular || state.ended || has_bytes) return true;
  pollfd request{.fd = state.descriptor, .events = POLLIN, .revents = 0};
  const int ready = poll(&request, 1, timeout_ms);
  return ready > 0 || (ready < 0 && errno != EINTR);  // other errors: read() names them
}

Result<size_t> ByteSource::read(std::span<char> buffer) {
  State& state = *state_;
  if (!state.detected) {
    TILEWISE_RETURN_IF_ERROR(state.detect());
    if (!state.detected) return size_t{0};
  }
  if (state.decompressor) return state.decompress(buffer);
  if (state.begin < state.end) return state.take_unread(buffer);
  if (state.ended) return size_t{0};
  return state.read_stored(buffer);
}

bool ByteSource::at_end() const {
  const State& state = *state_;
  return state.ended && state.detected && state.begin == state.end && !state.may_give_more;
}

int64_t ByteSource::stored_bytes() const { return state_->stored_bytes; }

std::string ByteSource::sha256() const { return state_->sha256; }

}  // namespace tilewise::rows
