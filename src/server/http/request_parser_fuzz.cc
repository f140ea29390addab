// Any bytes as a connection's: no crash, no endless loop, and the same requests however the bytes
// are cut.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "server/http/request_parser.h"

namespace {

using namespace tilewise::server;

/// The requests that were complete, as text.
std::string read_all(std::string_view bytes, size_t piece) {
  Limits limits;
  limits.body_bytes = 4096;
  limits.header_bytes = 1024;
  RequestParser parser(limits);
  std::string log, waiting;
  while (true) {
    const size_t taken = parser.feed(waiting);
    waiting.erase(0, taken);
    if (parser.error()) return log;
    if (parser.is_complete()) {
      HttpRequest request;
      parser.fill(request);
      log.append(request.method).append(" ").append(request.path).append("?");
      log.append(request.query).append(request.query_value("a"));
      for (const auto& [name, value] : request.headers) {
        log.append("\n").append(name).append(": ").append(value);
      }
      log.append("\n").append(request.body).append("\n");
      parser.start();
      continue;
    }
    if (taken > 0 && !waiting.empty()) continue;
    if (bytes.empty()) return log;
    waiting += bytes.substr(0, piece);
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const std::string whole = read_all(bytes, size + 1);
  const size_t piece = size == 0 ? 1 : 1 + data[size - 1] % 16;
  const std::string cut = read_all(bytes, piece);
  // What is wrong may be found sooner or later, but never read as a request.
  if (cut != whole) std::abort();
  return 0;
}
