// Everything about a server that a flag can set. Plain data.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/repository.h"
#include "engine/service.h"

namespace tilewise::server {

/// Certificate and key in PEM files. Empty: no TLS.
struct TlsFiles {
  std::string certificate;
  std::string key;
};

/// What a client may ask for; beyond it the answer is 413, 431 or 408, or the connection is closed.
struct Limits {
  int64_t body_bytes = int64_t{2} << 20;
  int32_t batch_inputs = 256;  ///< of one request
  int32_t header_bytes = 16 << 10;
  int32_t connections = 4096;                    ///< HTTP, open at once
  std::chrono::milliseconds header_time{10000};  ///< from the first byte of a request to its end
  std::chrono::milliseconds idle_time{75000};    ///< of a connection between requests
  std::chrono::milliseconds write_time{10000};   ///< until a client has taken its response
};

struct Settings {
  std::string models;  ///< MODEL.tw, or a directory DIR/NAME/VERSION.tw
  std::string address = "0.0.0.0";
  int32_t port = 8080;       ///< 0: any free one
  int32_t grpc_port = 8081;  ///< 0: any free one; negative: no gRPC
  int32_t io_threads = 1;
  std::chrono::milliseconds deadline{10};  ///< of interactive requests that name none
  std::chrono::milliseconds bulk_deadline{30000};
  std::chrono::milliseconds drain_time{30000};  ///< for what was accepted when a stop is asked for
  std::string default_task;    ///< TEI, OpenAI, SageMaker, where the request names none
  bool auto_truncate = false;  ///< cut overlong text where the request does not say
  bool full_depth = false;     ///< exits are not used where the request does not say
  Limits limits;
  TlsFiles tls;
  std::vector<std::string> api_keys;  ///< none: everybody may ask
  std::string access_log;             ///< file, "-" for standard error, empty for none
  engine::ServiceOptions service;
  engine::RepositoryOptions repository;
};

}  // namespace tilewise::server
