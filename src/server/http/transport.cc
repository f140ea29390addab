#include "server/http/transport.h"

#include <array>

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/write.hpp>
#include <netinet/tcp.h>
#include <sys/socket.h>

namespace tilewise::server {
namespace {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;
using Owner = std::shared_ptr<TransportUser>;

/// A response that is larger goes to TLS in two pieces rather than being copied.
constexpr size_t kLargestCopy = 64 << 10;

tcp::socket adopt(asio::io_context& context, int descriptor) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(descriptor, reinterpret_cast<sockaddr*>(&address), &size);
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  tcp::socket socket(context);
  error_code ignored;
  socket.assign(address.ss_family == AF_INET6 ? tcp::v6() : tcp::v4(), descriptor, ignored);
  socket.non_blocking(true, ignored);
  return socket;
}

void reset_and_close(tcp::socket& socket) {
  error_code ignored;
  socket.set_option(asio::socket_base::linger(true, 0), ignored);
  socket.close(ignored);
}

class PlainTransport final : public Transport {
 public:
  PlainTransport(asio::io_context& context, int descriptor) : socket_(adopt(context, descriptor)) {}

  bool start(Owner) override { return false; }

  void read(std::span<char> buffer, Owner owner) override {
    TransportUser& user = *owner;
    socket_.async_read_some(asio::buffer(buffer.data(), buffer.size()),
                            [&user, owner = std::move(owner)](error_code ec, size_t size) {
                              user.on_read(ec ? 0 : size);
                            });
  }

  Written write(std::string_view head, std::string_view body, Owner owner) override {
    std::array<asio::const_buffer, 2> parts = {asio::buffer(head.data(), head.size()),
                                               asio::buffer(body.data(), body.size())};
    error_code ec;
    size_t sent = socket_.write_some(parts, ec);  // nearly always all of it
    if (ec == asio::error::would_block || ec == asio::error::try_again) {
      sent = 0;
    } else if (ec) {
      return Written::failed;
    }
    if (sent == head.size() + body.size()) return Written::done;
    const size_t of_head = std::min(sent, head.size());
    parts[0] += of_head;
    parts[1] += sent - of_head;
    TransportUser& user = *owner;
    asio::async_write(socket_, parts, [&user, owner = std::move(owner)](error_code error, size_t) {
      user.on_written(!error);
    });
    return Written::later;
  }

  void end_writing(Owner) override {
    error_code ignored;
    socket_.shutdown(tcp::socket::shutdown_send, ignored);
  }

  void close() override {
    error_code ignored;
    socket_.close(ignored);
  }

  void reset() override { reset_and_close(socket_); }

 private:
  tcp::socket socket_;
};

class TlsTransport final : public Transport {
 public:
  TlsTransport(asio::io_context& context, int descriptor, asio::ssl::context& tls)
      : stream_(adopt(context, descriptor), tls) {}

  bool start(Owner owner) override {
    TransportUser& user = *owner;
    stream_.async_handshake(
        asio::ssl::stream_base::server,
        [&user, owner = std::move(owner)](error_code ec) { user.on_ready(!ec); });
    return true;
  }

  void read(std::span<char> buffer, Owner owner) override {
    TransportUser& user = *owner;
    stream_.async_read_some(asio::buffer(buffer.data(), buffer.size()),
                            [&user, owner = std::move(owner)](error_code ec, size_t size) {
                              user.on_read(ec ? 0 : size);
                            });
  }

  Written write(std::string_view head, std::string_view body, Owner owner) override {
    TransportUser& user = *owner;
    auto told = [&user, owner = std::move(owner)](error_code ec, size_t) { user.on_written(!ec); };
    if (body.size() > kLargestCopy) {
      const std::array<asio::const_buffer, 2> parts = {asio::buffer(head.data(), head.size()),
                                                       asio::buffer(body.data(), body.size())};
      asio::async_write(stream_, parts, std::move(told));
    } else {  // one record
      record_.assign(head).append(body);
      asio::async_write(stream_, asio::buffer(record_), std::move(told));
    }
    return Written::later;
  }

  void end_writing(Owner owner) override {
    stream_.async_shutdown([owner = std::move(owner)](error_code) {});
  }

  void close() override {
    error_code ignored;
    stream_.lowest_layer().close(ignored);
  }

  void reset() override { reset_and_close(stream_.next_layer()); }

 private:
  asio::ssl::stream<tcp::socket> stream_;
  std::string record_;
};

/// HTTP/1.1, for clients that ask what is spoken (ALPN); others need no answer.
int choose_protocol(SSL*, const unsigned char** chosen, unsigned char* chosen_size,
                    const unsigned char* offered, unsigned int offered_size, void*) {
  static constexpr unsigned char kOurs[] = "\x08http/1.1";
  unsigned char* found = nullptr;
  if (SSL_select_next_proto(&found, chosen_size, kOurs, sizeof kOurs - 1, offered, offered_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_NOACK;
  }
  *chosen = found;
  return SSL_TLSEXT_ERR_OK;
}

Status tls_error(const char* what, const std::string& file, const error_code& ec) {
  return invalid_input({.what = what,
                        .where = file,
                        .expected = "PEM: a certificate (chain) and its private key",
                        .found = ec.message()});
}

}  // namespace

struct TlsContext::State {
  asio::ssl::context context{asio::ssl::context::tls_server};
};

TlsContext::TlsContext(std::unique_ptr<State> state) : state_(std::move(state)) {}
TlsContext::~TlsContext() = default;

Result<std::unique_ptr<TlsContext>> TlsContext::open(const TlsFiles& files) {
  auto state = std::make_unique<State>();
  asio::ssl::context& context = state->context;
  SSL_CTX* const native = context.native_handle();
  SSL_CTX_set_min_proto_version(native, TLS1_2_VERSION);
  SSL_CTX_set_options(native, SSL_OP_NO_RENEGOTIATION | SSL_OP_CIPHER_SERVER_PREFERENCE);
  SSL_CTX_set_mode(native, SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_alpn_select_cb(native, choose_protocol, nullptr);
  error_code ec;
  context.use_certificate_chain_file(files.certificate, ec);
  if (ec) return tls_error("the TLS certificate cannot be used", files.certificate, ec);
  context.use_private_key_file(files.key, asio::ssl::context::pem, ec);
  if (ec) return tls_error("the TLS key cannot be used", files.key, ec);
  return std::unique_ptr<TlsContext>(new TlsContext(std::move(state)));
}

std::unique_ptr<Transport> make_transport(asio::io_context& context, int descriptor,
                                          TlsContext* tls) {
  if (tls == nullptr) return std::make_unique<PlainTransport>(context, descriptor);
  return std::make_unique<TlsTransport>(context, descriptor, tls->state_->context);
}

}  // namespace tilewise::server
