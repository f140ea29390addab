#include "server/http/connection.h"

#include <algorithm>
#include <cstring>
#include <exception>

#include <boost/asio/use_awaitable.hpp>
#include <fmt/format.h>

#include "base/log.h"
#include "server/access_log.h"
#include "server/http/response_head.h"

namespace tilewise::server {
namespace {

namespace asio = boost::asio;

constexpr size_t kFirstBuffer = 4096;

/// A body that nobody wants is read up to this size, so that the connection can be used again.
constexpr uint64_t kLargestUnwanted = 64 << 10;

/// How long a client that is being refused may go on sending: closing at once would take the
/// refusal away from it.
constexpr std::chrono::milliseconds kLinger{1000};

/// While the server drains, a client that has just got an answer may be about to ask again.
constexpr std::chrono::milliseconds kDrainIdle{300};

constexpr std::string_view kContinue = "HTTP/1.1 100 Continue\r\n\r\n";

/// Of a request id that comes from outside: what is safe in headers, logs and shells.
bool is_sane_id(std::string_view id) {
  return !id.empty() && id.size() <= 128 && std::all_of(id.begin(), id.end(), [](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           std::string_view("-_.:/+=@").find(c) != std::string_view::npos;
  });
}

}  // namespace

Connection::Connection(HttpParts& parts, IoThread& thread, int descriptor,
                       const asio::ip::tcp::endpoint& peer, bool is_surplus)
    : Exchange(parts.app),
      parts_(parts),
      thread_(thread),
      peer_(peer),
      is_surplus_(is_surplus),
      transport_(make_transport(thread.context(), descriptor, parts.tls)),
      buffer_(kFirstBuffer),
      last_read_(parts.app.clock.now()),
      parser_(parts.app.settings.limits) {}

Connection::~Connection() = default;

// ---- waiting ----

/// Until wake(): whatever has happened, who waits looks for itself.
auto Connection::wait() {
  return asio::async_initiate<const asio::use_awaitable_t<>, void()>(
      [this](auto handler) { waiter_.emplace(std::move(handler)); }, asio::use_awaitable);
}

void Connection::wake() {
  if (!waiter_) return;
  auto waiter = std::move(*waiter_);
  waiter_.reset();
  waiter();
}

void Connection::enter(Stage stage, Duration at_most) {
  stage_ = stage;
  due_ = app.clock.now() + at_most;
}

void Connection::expire() {
  due_ = Time::max();
  if (stage_ == Stage::receiving) {
    has_expired_ = true;
  } else {
    is_over_ = true;
    stage_ == Stage::writing ? transport_->reset() : transport_->close();
  }
  wake();
}

void Connection::drain() {
  if (stage_ == Stage::idle) due_ = std::min(due_, last_read_ + kDrainIdle);
}

void Connection::abort() {
  is_over_ = true;
  transport_->close();
  wake();
}

void Connection::leave() {
  has_left_ = true;
  transport_->close();
  if (is_answered_) thread_.remove(*this);
}

// ---- bytes ----

void Connection::on_ready(bool ok) {
  is_ready_ = true;
  is_over_ |= !ok;
  wake();
}

void Connection::on_read(size_t size) {
  is_reading_ = false;
  if (size == 0) {
    client_ended_ = true;
  } else {
    end_ += size;
    last_read_ = app.clock.now();
  }
  wake();
  if (!has_left_) ensure_reading(false);
}

void Connection::on_written(bool ok) {
  is_written_ = true;
  is_over_ |= !ok;
  wake();
}

void Connection::ensure_reading(bool may_grow) {
  if (is_reading_ || client_ended_ || is_over_) return;
  if (begin_ == end_) {
    begin_ = end_ = 0;
  } else if (end_ == buffer_.size() && begin_ > 0) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= begin_;
    begin_ = 0;
  }
  if (end_ == buffer_.size()) {
    if (!may_grow) return;
    buffer_.resize(buffer_.size() * 2);  // what is there is less than a head, which has a limit
  }
  is_reading_ = true;
  transport_->read(std::span(buffer_).subspan(end_), shared_from_this());
}

/// Gives the parser what has arrived. True: the head (or all) of the request is there, or will
/// never be.
bool Connection::receive(bool is_head) {
  for (;;) {
    if (parser_.error() || (is_head ? parser_.has_head() : parser_.is_complete())) return true;
    if (begin_ < end_) {
      const size_t taken = parser_.feed({buffer_.data() + begin_, end_ - begin_});
      begin_ += taken;
      if (stage_ == Stage::idle && parser_.is_started()) {
        stage_ = Stage::receiving;
        due_ = last_read_ + app.settings.limits.header_time;
      }
      if (taken > 0 || parser_.error()) continue;
    }
    if (client_ended_ || has_expired_ || is_over_) return true;
    ensure_reading(true);
    return false;
  }
}

asio::awaitable<void> Connection::send(std::string_view head, std::string_view body) {
  is_written_ = false;
  switch (transport_->write(head, body, shared_from_this())) {
    case Transport::Written::done:
      break;
    case Transport::Written::failed:
      is_over_ = true;
      break;
    case Transport::Written::later:
      enter(Stage::writing, app.settings.limits.write_time);
      // What is written must stay until the transport has let go of it, also after abort().
      while (!is_written_) co_await wait();
      break;
  }
}

/// Reads and drops what is still coming, until the client has seen the end or the time is over.
asio::awaitable<void> Connection::linger() {
  transport_->end_writing(shared_from_this());
  enter(Stage::lingering, kLinger);
  while (!client_ended_ && !is_over_) {
    begin_ = end_;
    ensure_reading(false);
    co_await wait();
  }
}

// ---- requests ----

asio::awaitable<void> Connection::run() {
  const auto self = shared_from_this();
  enter(Stage::handshake, app.settings.limits.header_time);
  if (transport_->start(self)) {
    while (!is_ready_) co_await wait();
  }
  while (!is_over_) {
    begin_request();
    co_await receive_request();
    if (is_over_) break;
    if (!refusal_) co_await call_endpoint();
    co_await respond();
    if (must_close_ && !is_over_) {
      if (parser_.error() || !parser_.is_complete() || begin_ < end_) co_await linger();
      break;
    }
  }
}

void Connection::begin_request() {
  parser_.start();
  request.method = request.path = request.query = request.body = {};
  request.headers.clear();
  request_id.clear();
  query.clear();
  response.clear();
  model.clear();
  task.clear();
  captures.clear();
  route_ = {};
  refusal_.reset();
  trace_.reset();
  has_expired_ = false;
  must_close_ = false;
  Duration idle = app.settings.limits.idle_time;
  if (thread_.is_draining()) idle = std::min<Duration>(idle, kDrainIdle);
  enter(Stage::idle, idle);
}

/// Afterwards the request is there, or `refusal_`, or the connection is over.
asio::awaitable<void> Connection::receive_request() {
  if (is_surplus_) {
    refusal_ = too_many_connections(app.settings.limits.connections);
    arrived_ = last_read_;
    must_close_ = true;
    co_return;
  }
  while (!receive(true)) co_await wait();
  if (is_over_ || !parser_.is_started()) {  // the usual end
    is_over_ = true;
    co_return;
  }
  parser_.fill(request);
  if (parser_.has_head() && !parser_.error()) {
    route_ = find_route(request.method, request.path, captures, decoded_);
    refusal_ = check_head(app.settings, request, parser_, route_);
  } else {
    route_ = find_route(request.method, request.path, captures, decoded_);
    route_.allowed.clear();
  }
  if (refusal_ && !parser_.is_complete()) {
    const auto length = parser_.body_length();
    if (parser_.expects_continue() || !length || *length > kLargestUnwanted) {
      must_close_ = true;
      arrived_ = last_read_;
      co_return;
    }
  }
  if (parser_.expects_continue() && !parser_.is_complete() && !parser_.is_http_1_0() &&
      begin_ == end_) {
    co_await send(kContinue, {});
    enter(Stage::receiving, app.settings.limits.header_time);
  }
  while (!receive(false)) co_await wait();
  arrived_ = last_read_;
  if (parser_.error()) {
    refusal_ = refusal_of(*parser_.error());
  } else if (!parser_.is_complete()) {
    if (client_ended_) is_over_ = true;  // half a request
    if (!is_over_) refusal_ = too_slow();
  }
  if (refusal_ && refusal_->close) must_close_ = true;
}

asio::awaitable<void> Connection::call_endpoint() {
  stage_ = Stage::answering;
  due_ = Time::max();
  parser_.fill(request);
  choose_request_id();
  const Status timing = read_timing(app.settings, request, arrived_, query);
  if (!timing.ok()) {
    refusal_ = Refusal{.status = timing};
    co_return;
  }
  if (route_.endpoint->is_inference) {
    refusal_ = check_load(app, query);
    if (refusal_) co_return;
  }
  Status failure;
  try {
    co_await route_.endpoint->handler(*this);
    if (!query.status.ok() && response.status == 200) {
      route_.write_error(query.status, query.retry_after_seconds, response);
    }
  } catch (const std::bad_alloc&) {
    failure = internal_error({.what = "there is not enough memory for this request"});
  } catch (const std::exception& error) {
    failure = internal_error({.what = "unexpected failure", .found = error.what()});
  }
  if (failure.ok()) co_return;
  log_error(failure.message());
  refusal_ = Refusal{.status = failure};
}

asio::awaitable<void> Connection::respond() {
  const Time answered = app.clock.now();
  if (refusal_) write_refusal(*refusal_, route_, response);
  if (request_id.empty()) choose_request_id();
  if (thread_.is_draining() || !parser_.has_head() || !parser_.keep_alive()) must_close_ = true;
  const std::string_view traceparent = request.header("traceparent");
  if (!traceparent.empty() || app.access_log != nullptr) {
    trace_ = TraceContext::from(traceparent, thread_.random());
  }
  const std::string trace = traceparent.empty() ? std::string() : trace_->traceparent();
  write_head(response,
             {.date = thread_.date(),
              .request_id = request_id,
              .traceparent = trace,
              .close = must_close_,
              .says_keep_alive = !must_close_ && parser_.is_http_1_0()},
             head_);
  const bool has_body = request.method != "HEAD";
  co_await send(head_, has_body ? std::string_view(response.body) : std::string_view());
  record(answered);
}

asio::awaitable<void> Connection::answer() {
  if (!query.status.ok()) co_return;
  is_answered_ = false;
  query.done = [this](engine::Request& answered) {
    // In this order: another thread must not look at is_in_service_.
    if (thread_.is_current() && is_in_service_) {
      is_answered_ = true;
    } else {
      thread_.complete(*this, answered.wake_later && app.wakes != nullptr);
    }
  };
  is_in_service_ = true;
  app.service.submit(query);
  is_in_service_ = false;
  bool is_cancelled = false;
  while (!is_answered_) {
    if ((client_ended_ || is_over_) && !is_cancelled) {
      is_cancelled = true;
      is_in_service_ = true;
      app.service.cancel(query);
      is_in_service_ = false;
      continue;
    }
    co_await wait();
  }
}

void Connection::on_answered() {
  is_answered_ = true;
  if (has_left_) return thread_.remove(*this);  // memory ran out while it waited
  wake();
}

void Connection::choose_request_id() {
  const std::string_view given = request.header("x-request-id");
  if (is_sane_id(given)) {
    request_id = given;
    return;
  }
  constexpr char kDigits[] = "0123456789abcdef";
  request_id.resize(16);
  uint64_t bits = thread_.random()();
  for (char& c : request_id) {
    c = kDigits[bits & 15];
    bits >>= 4;
  }
}

// ---- what is told of it ----

void Connection::record(Time answered) const {
  if (route_.endpoint != nullptr && route_.endpoint->is_inference) {
    const bool is_answered = !refusal_ && query.status.ok() && query.model != nullptr;
    app.metrics.on_call({.protocol = route_.protocol,
                         .model = model,
                         .task = task,
                         .status = refusal_ ? &refusal_->status : &query.status,
                         .inputs = refusal_ ? 0 : static_cast<int64_t>(query.size()),
                         .tokens = refusal_ ? 0 : query.tokens,
                         .cached_inputs = refusal_ ? 0 : query.cached_inputs,
                         .depth = is_answered ? depth_of(query) : DepthTotals{},
                         .times = refusal_ ? engine::RequestTimes{} : query.times,
                         .total_seconds = seconds_between(arrived_, answered)});
  }
  if (app.access_log != nullptr) log(answered);
}

void Connection::log(Time answered) const {
  const std::string address = peer_.address().to_string();
  const std::string peer = peer_.address().is_v6() ? fmt::format("[{}]:{}", address, peer_.port())
                                                   : fmt::format("{}:{}", address, peer_.port());
  const double total = seconds_between(arrived_, answered);
  app.access_log->write({.time = std::chrono::system_clock::now() -
                                 std::chrono::duration_cast<std::chrono::system_clock::duration>(
                                     app.clock.now() - arrived_),
                         .request_id = request_id,
                         .trace_id = trace_ ? trace_->trace_id() : std::string_view(),
                         .peer = peer,
                         .method = request.method,
                         .path = request.path,
                         .protocol = route_.protocol,
                         .model = model,
                         .task = task,
                         .status = response.status,
                         .bytes_in = static_cast<int64_t>(request.body.size()),
                         .bytes_out = static_cast<int64_t>(response.body.size()),
                         .inputs = refusal_ ? 0 : static_cast<int64_t>(query.size()),
                         .tokens = refusal_ ? 0 : query.tokens,
                         .times = refusal_ ? engine::RequestTimes{} : query.times,
                         .total_seconds = total});
}

}  // namespace tilewise::server
