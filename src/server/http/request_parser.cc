#include "server/http/request_parser.h"

#include <algorithm>
#include <cstring>
#include <vector>

#include <boost/beast/http/basic_parser.hpp>

namespace tilewise::server {
namespace {

namespace http = boost::beast::http;
using boost::beast::error_code;
using boost::beast::iequals;

/// A part of the text that was copied.
struct Slice {
  uint32_t begin = 0;
  uint32_t size = 0;
};

struct Head {
  Slice method;
  Slice target;
  int version = 11;
  std::vector<std::pair<Slice, Slice>> fields;
  std::string text;  // what the slices are parts of
  int hosts = 0;
  bool has_length = false;
  bool expects_continue = false;
  bool expects_other = false;

  void clear() {
    method = target = {};
    version = 11;
    fields.clear();
    text.clear();
    hosts = 0;
    has_length = expects_continue = expects_other = false;
  }
  Slice add(std::string_view part) {
    const Slice slice{static_cast<uint32_t>(text.size()), static_cast<uint32_t>(part.size())};
    text += part;
    return slice;
  }
  std::string_view view(Slice slice) const {
    return std::string_view(text).substr(slice.begin, slice.size);
  }
};

std::string_view to_view(boost::beast::string_view text) { return {text.data(), text.size()}; }

/// Beast calls this for every part; each goes into the memory of the connection.
class Reader final : public http::basic_parser<true> {
 public:
  Reader(Head& head, std::string& body, std::optional<ParseError>& error)
      : head_(head), body_(body), error_(error) {}

  /// Bytes of the current chunk that are still to come.
  uint64_t chunk_left() const { return chunk_left_; }

 private:
  void fail(const char* what, error_code& ec) {
    error_ = {400, what};
    ec = http::make_error_code(http::error::bad_value);
  }

  void on_request_impl(http::verb, boost::beast::string_view method,
                       boost::beast::string_view target, int version, error_code&) override {
    head_.method = head_.add(to_view(method));
    head_.target = head_.add(to_view(target));
    head_.version = version;
  }
  void on_response_impl(int, boost::beast::string_view, int, error_code&) override {}

  void on_field_impl(http::field name, boost::beast::string_view name_text,
                     boost::beast::string_view value, error_code& ec) override {
    if (name == http::field::transfer_encoding && !iequals(value, "chunked")) {
      return fail("a Transfer-Encoding other than chunked is not understood", ec);
    }
    const bool is_length =
        name == http::field::content_length || name == http::field::transfer_encoding;
    if (is_header_done()) {  // a trailer
      if (is_length || name == http::field::host) fail("a trailer must not frame the body", ec);
      return;
    }
    if (is_length && head_.has_length) return fail("the length of the body is given twice", ec);
    if (name == http::field::content_length && !is_number(value)) {
      return fail("Content-Length is no number", ec);
    }
    head_.has_length |= is_length;
    head_.hosts += name == http::field::host ? 1 : 0;
    if (name == http::field::expect) {
      (iequals(value, "100-continue") ? head_.expects_continue : head_.expects_other) = true;
    }
    head_.fields.emplace_back(head_.add(to_view(name_text)), head_.add(to_view(value)));
  }

  static bool is_number(boost::beast::string_view text) {
    return !text.empty() &&
           std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
  }

  void on_header_impl(error_code& ec) override {
    if (head_.version < 10 || head_.version > 19) {
      error_ = {505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
      ec = http::make_error_code(http::error::bad_version);
    } else if (head_.hosts > 1 || (head_.hosts == 0 && head_.version > 10)) {
      fail("exactly one Host header is needed", ec);
    } else if (head_.version == 10 && chunked()) {
      fail("HTTP/1.0 has no Transfer-Encoding", ec);
    }
  }

  void on_body_init_impl(const boost::optional<uint64_t>& length, error_code&) override {
    if (length) body_.reserve(static_cast<size_t>(*length) + kBodyPadding);
  }
  size_t on_body_impl(boost::beast::string_view part, error_code&) override {
    body_.append(part.data(), part.size());
    return part.size();
  }
  void on_chunk_header_impl(uint64_t size, boost::beast::string_view, error_code&) override {
    chunk_left_ = size;
  }
  size_t on_chunk_body_impl(uint64_t, boost::beast::string_view part, error_code&) override {
    body_.append(part.data(), part.size());
    chunk_left_ -= part.size();
    return part.size();
  }
  void on_finish_impl(error_code&) override {}

  uint64_t chunk_left_ = 0;
  Head& head_;
  std::string& body_;
  std::optional<ParseError>& error_;
};

/// Checks the lines of a head before Beast sees them: each ends with CR LF, none goes on in the
/// next. Looks at each byte once.
class LineCheck {
 public:
  void start() { *this = {}; }

  /// `data` begins with what Beast has not taken. Returns what is wrong.
  const char* check(std::string_view data) {
    while (!is_done_ && position_ < data.size()) {
      const char first = data[position_];
      if (line_size_ == 0 && lines_ > 0 && (first == ' ' || first == '\t')) {
        return "a header goes on in the next line";
      }
      const size_t end = std::min(data.find('\n', position_), data.size());
      line_size_ += end - position_;
      if (end > position_) last_ = data[end - 1];
      position_ = end;
      if (end == data.size()) return nullptr;
      if (line_size_ == 0 || last_ != '\r') return "a line ends with LF alone";
      is_done_ = lines_ > 0 && line_size_ == 1;
      ++lines_;
      line_size_ = 0;
      ++position_;
    }
    return nullptr;
  }

  /// Beast has taken so many bytes.
  void take(size_t size) { position_ -= std::min(position_, size); }

  bool has_request_line() const { return lines_ > 0; }

 private:
  size_t position_ = 0;   // of the first byte that was not looked at
  size_t line_size_ = 0;  // of the current line, so far
  size_t lines_ = 0;      // before it
  char last_ = '\0';      // of the current line
  bool is_done_ = false;
};

/// Whether a line that Beast cannot end yet, and waits for CR LF, ends with LF alone.
bool has_bare_feed(std::string_view data) {
  for (size_t feed = data.find('\n'); feed != std::string_view::npos;
       feed = data.find('\n', feed + 1)) {
    if (feed == 0 || data[feed - 1] != '\r') return true;
  }
  return false;
}

ParseError explain(const error_code& ec, bool has_request_line) {
  if (ec == http::error::header_limit || ec == http::error::buffer_overflow) {
    return has_request_line ? ParseError{431, "the headers are too large"}
                            : ParseError{414, "the request line is too long"};
  }
  if (ec == http::error::body_limit) return {413, "the body is too large"};
  if (ec == http::error::bad_method) return {400, "the method is malformed"};
  if (ec == http::error::bad_target) return {400, "the target is malformed"};
  if (ec == http::error::bad_version) return {505, "only HTTP/1.0 and HTTP/1.1 are spoken here"};
  if (ec == http::error::bad_field) return {400, "a header's name is malformed"};
  if (ec == http::error::bad_value) return {400, "a header's value is malformed"};
  if (ec == http::error::bad_line_ending) return {400, "a line does not end with CR LF"};
  if (ec == http::error::bad_content_length || ec == http::error::multiple_content_length) {
    return {400, "Content-Length is wrong, or not the only length"};
  }
  if (ec == http::error::bad_transfer_encoding) {
    return {400, "Transfer-Encoding is wrong, or not the only length"};
  }
  if (ec == http::error::bad_chunk || ec == http::error::bad_chunk_extension) {
    return {400, "a chunk is malformed"};
  }
  return {400, "the request is malformed"};
}

/// Beyond this a body's memory is given back after its request.
constexpr size_t kKeptBody = 64 << 10;
/// The longest line between two chunks, and all trailers.
constexpr size_t kLongestChunkLine = 4096;

}  // namespace

struct RequestParser::State {
  explicit State(const Limits& the_limits) : limits(the_limits) {}

  const Limits limits;
  Head head;
  std::string body;
  std::optional<ParseError> error;
  std::optional<Reader> reader;
  LineCheck lines;
  size_t head_size = 0;  // what Beast has taken of it: its own limit is one of what it is given
  bool is_started = false;
};

RequestParser::RequestParser(const Limits& limits) : state_(std::make_unique<State>(limits)) {
  start();
}
RequestParser::~RequestParser() = default;

void RequestParser::start() {
  State& s = *state_;
  s.head.clear();
  s.body.clear();
  if (s.body.capacity() > kKeptBody) s.body = {};
  s.error.reset();
  s.lines.start();
  s.head_size = 0;
  s.is_started = false;
  s.reader.emplace(s.head, s.body, s.error);
  s.reader->header_limit(static_cast<uint32_t>(s.limits.header_bytes));
  s.reader->body_limit(static_cast<uint64_t>(s.limits.body_bytes));
}

size_t RequestParser::feed(std::string_view data) {
  State& s = *state_;
  size_t taken = 0;
  // Empty lines before a request are left over from the one before (RFC 9112, 2.2).
  if (!s.is_started) {
    while (data.substr(taken).starts_with("\r\n")) taken += 2;
    if (data.substr(taken) == "\r") return taken;  // its end may be on the way
  }
  const bool in_head = !s.reader->is_header_done();
  const auto limit = static_cast<size_t>(s.limits.header_bytes);
  while (taken < data.size() && !s.error && !s.reader->is_done()) {
    const std::string_view rest = data.substr(taken);
    s.is_started = true;
    if (in_head) {
      if (const char* wrong = s.lines.check(rest)) {
        s.error = ParseError{400, wrong};
        break;
      }
    }
    error_code ec = http::make_error_code(http::error::need_more);
    size_t used = 0;
    // Beast asserts that no less than this comes after the last chunk, and no body ends with less.
    constexpr size_t kLastChunk = std::string_view("0\r\n\r\n").size();
    const size_t in_chunk = in_head ? 0 : std::min<size_t>(s.reader->chunk_left(), rest.size());
    if (in_head || in_chunk > 0 || !s.reader->chunked() || rest.size() >= kLastChunk) {
      used = s.reader->put({rest.data(), in_chunk > 0 ? in_chunk : rest.size()}, ec);
    }
    taken += used;
    if (in_head) {
      s.lines.take(used);
      s.head_size += used;
    }
    const bool is_head_over = s.reader->is_header_done();
    if (in_head && s.head_size + (is_head_over ? 0 : rest.size() - used) > limit) {
      s.error =
          explain(http::make_error_code(http::error::header_limit), s.lines.has_request_line());
      break;
    }
    if (ec == http::error::need_more) {
      const std::string_view line = data.substr(taken);
      if (!in_head && (has_bare_feed(line) || line.size() > kLongestChunkLine)) {
        s.error = ParseError{400, "a chunk is malformed"};
      }
      break;
    }
    if (ec && !s.error) s.error = explain(ec, s.lines.has_request_line());
    if (in_head && is_head_over) break;
  }
  if (s.reader->is_done()) {
    s.body.reserve(s.body.size() + kBodyPadding);
  }
  return taken;
}

bool RequestParser::is_started() const { return state_->is_started; }
bool RequestParser::has_head() const { return state_->reader->is_header_done(); }
bool RequestParser::is_complete() const { return state_->reader->is_done(); }
const std::optional<ParseError>& RequestParser::error() const { return state_->error; }

void RequestParser::fill(HttpRequest& request) const {
  const Head& head = state_->head;
  request.method = head.view(head.method);
  std::string_view target = head.view(head.target);
  for (const std::string_view scheme : {"http://", "https://"}) {  // as proxies get it
    if (!target.starts_with(scheme)) continue;
    const size_t path = target.find('/', scheme.size());
    target = path == std::string_view::npos ? "/" : target.substr(path);
    break;
  }
  const size_t mark = target.find('?');
  request.path = target.substr(0, mark);
  request.query = mark == std::string_view::npos ? "" : target.substr(mark + 1);
  request.headers.clear();
  for (const auto& [name, value] : head.fields) {
    request.headers.emplace_back(head.view(name), head.view(value));
  }
  request.body = state_->body;
}

bool RequestParser::keep_alive() const { return state_->reader->keep_alive(); }
bool RequestParser::is_http_1_0() const { return state_->head.version == 10; }
bool RequestParser::has_length() const { return state_->head.has_length; }
bool RequestParser::expects_continue() const { return state_->head.expects_continue; }
bool RequestParser::expects_other() const { return state_->head.expects_other; }

std::optional<uint64_t> RequestParser::body_length() const {
  if (!state_->head.has_length) return 0;
  const auto length = state_->reader->content_length();
  if (!length) return std::nullopt;
  return *length;
}

}  // namespace tilewise::server
