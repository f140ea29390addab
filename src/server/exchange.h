// One HTTP request and its answer, as an endpoint sees it.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <string_view>

#include <boost/asio/awaitable.hpp>

#include "base/status.h"
#include "engine/request.h"
#include "server/app.h"
#include "server/message.h"

namespace tilewise::server {

/// What an endpoint keeps from one request of a connection to the next: parsers and the like.
struct EndpointMemory {
  virtual ~EndpointMemory() = default;
};

/// Belongs to a connection, which reuses it. An endpoint reads `request`, fills `query`, waits for
/// answer() and writes `response`. An error it leaves in query.status: it is written in the form of
/// its protocol, unless the endpoint has set another status of the response itself.
struct Exchange {
  App& app;
  HttpRequest request;
  HttpResponse response;
  engine::Request query;  ///< arrival, deadline and priority are set from the headers already
  std::string request_id;
  std::vector<std::string_view>
      captures;  ///< what stands for {...} in the endpoint's path, decoded

  /// What was asked, for the metrics and the access log; an endpoint sets it as soon as it knows.
  std::string model;
  std::string task;

  /// Of the last endpoint that wanted one; another kind of endpoint replaces it.
  std::unique_ptr<EndpointMemory> memory;

  virtual ~Exchange() = default;

  /// Submits `query` and resumes when it was answered, refused, or cancelled because the client has
  /// gone. Its status says which. Calls nothing where query.status is an error already.
  virtual boost::asio::awaitable<void> answer() = 0;

 protected:
  explicit Exchange(App& the_app) : app(the_app) {}
};

/// Writes a Status into a response in the form of a protocol. Adds Retry-After where it applies.
using ErrorWriter = void (*)(const Status& status, double retry_after_seconds,
                             HttpResponse& response);

using Handler = boost::asio::awaitable<void> (*)(Exchange& exchange);

/// "POST", "/v2/models/{model}/infer". A {name} stands for one segment of the path.
struct Endpoint {
  std::string_view method;
  std::string_view path;
  Handler handler;
  ErrorWriter write_error;
  bool is_open = false;  ///< needs no API key: health
  /// Reading the body is not worth it while the queue is full: refused before, if it can be.
  bool is_inference = false;
};

/// The endpoints of each protocol; all of them together are in router.cc.
std::span<const Endpoint> kserve_endpoints();
std::span<const Endpoint> tei_endpoints();
std::span<const Endpoint> openai_endpoints();
std::span<const Endpoint> sagemaker_endpoints();
std::span<const Endpoint> operation_endpoints();  ///< "/", "/metrics", "/openapi.json", ...

/// Retry-After, in whole seconds, where `seconds` is more than 0.
void add_retry_after(double seconds, HttpResponse& response);

/// {"error": "..."}: KServe's form, and that of errors that belong to no protocol.
void write_plain_error(const Status& status, double retry_after_seconds, HttpResponse& response);

}  // namespace tilewise::server
