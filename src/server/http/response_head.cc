#include "server/http/response_head.h"

#include <array>
#include <charconv>

namespace tilewise::server {
namespace {

std::string_view reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 422:
      return "Unprocessable Content";
    case 424:
      return "Failed Dependency";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 499:
      return "Client Closed Request";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

void append_number(uint64_t number, std::string& out) {
  std::array<char, 20> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  out.append(digits.data(), end);
}

void append_header(std::string_view name, std::string_view value, std::string& out) {
  if (value.empty()) return;
  out.append(name).append(": ").append(value).append("\r\n");
}

}  // namespace

void write_head(const HttpResponse& response, const ResponseFrame& frame, std::string& head) {
  head = "HTTP/1.1 ";
  append_number(static_cast<uint64_t>(response.status), head);
  head.append(" ").append(reason(response.status)).append("\r\n");
  if (!response.body.empty()) append_header("Content-Type", response.content_type, head);
  if (response.status != 204) {
    head += "Content-Length: ";
    append_number(response.body.size(), head);
    head += "\r\n";
  }
  append_header("Date", frame.date, head);
  append_header("x-request-id", frame.request_id, head);
  append_header("traceparent", frame.traceparent, head);
  for (const auto& [name, value] : response.headers) append_header(name, value, head);
  if (frame.close) {
    head += "Connection: close\r\n";
  } else if (frame.says_keep_alive) {
    head += "Connection: keep-alive\r\n";
  }
  head += "\r\n";
}

}  // namespace tilewise::server
