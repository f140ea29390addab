#include "client/send_once.h"

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/string_body.hpp>

namespace tilewise::client {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;
using boost::system::error_code;

Status failed(const Url& url, const error_code& error) {
  return io_error({.what = "the server gave no answer",
                   .where = url.host + ":" + url.port,
                   .expected = "a response over HTTP/1.1",
                   .found = error.message()});
}

}  // namespace

Result<Response> send_once(const Url& url, const PreparedRequest& request,
                           std::chrono::milliseconds timeout) {
  asio::io_context context;
  error_code error;
  const auto addresses = asio::ip::tcp::resolver(context).resolve(url.host, url.port, error);
  if (error) return failed(url, error);
  beast::tcp_stream stream(context);
  stream.expires_after(timeout);
  beast::flat_buffer buffer;
  http::response_parser<http::string_body> parser;
  parser.body_limit(boost::none);
  stream.async_connect(addresses, [&](error_code connected, const asio::ip::tcp::endpoint&) {
    if ((error = connected)) return;
    asio::async_write(stream, asio::buffer(request.bytes), [&](error_code written, size_t) {
      if ((error = written)) return;
      http::async_read(stream, buffer, parser, [&](error_code read, size_t) { error = read; });
    });
  });
  context.run();
  if (error) return failed(url, error);
  return Response{.status = static_cast<int>(parser.get().result_int()),
                  .body = std::move(parser.get().body())};
}

}  // namespace tilewise::client
