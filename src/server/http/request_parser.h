// Bytes -> one HTTP/1.x request after the other: Beast's parser, and what it lets pass that two
// programs could read differently (RFC 9112, sections 2.2, 5 to 7 and 11.2).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "server/message.h"
#include "server/settings.h"

namespace tilewise::server {

/// What is wrong with a request as HTTP. `http` is the status of the answer: 400, 413, 414, 431...
struct ParseError {
  int http = 400;
  const char* what = "";  ///< a literal
};

/// Keeps its memory from one request to the next. Not thread-safe.
class RequestParser {
 public:
  explicit RequestParser(const Limits& limits);
  ~RequestParser();

  /// Ready for the next request; views of the last one are not valid any more.
  void start();

  /// Takes bytes off the front of `data`, which the next call must begin with what was left. Stops
  /// after the head, and after the body.
  size_t feed(std::string_view data);

  bool is_started() const;  ///< something of the request was there
  bool has_head() const;
  bool is_complete() const;
  const std::optional<ParseError>& error() const;  ///< nothing more can be read then

  /// Method, path, query and headers from has_head() on, the body when it is complete. After an
  /// error: as far as it was read.
  void fill(HttpRequest& request) const;

  bool keep_alive() const;  ///< what the client wants
  bool is_http_1_0() const;
  bool has_length() const;        ///< says how long its body is, or that it comes in chunks
  bool expects_continue() const;  ///< waits for "100 Continue"
  bool expects_other() const;     ///< something that nobody here can do
  /// As the client says; none for chunks, of which nobody knows.
  std::optional<uint64_t> body_length() const;

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace tilewise::server
