// The HTTP side of inference: what of a call must live while it is answered.
#pragma once

#include <string_view>
#include <vector>

#include "server/exchange.h"
#include "server/kserve/infer_body.h"

namespace tilewise::server::kserve {

/// Belongs to a connection, whose requests use it one after the other.
class InferExchange : public EndpointMemory {
 public:
  /// HTTP request -> exchange.query, which is ready for answer() if this is ok.
  Status begin(std::string_view model, std::string_view version, Exchange& exchange);

  /// exchange.query -> HTTP response. Also to be called when it has failed.
  void finish(Exchange& exchange);

 private:
  Status write(Exchange& exchange);

  BodyReader reader_;
  InferCall call_;
  engine::Target target_;
  std::vector<OutputTensor> outputs_;
};

/// The one of the exchange's connection, made for its first call.
InferExchange& infer_exchange_of(Exchange& exchange);

}  // namespace tilewise::server::kserve
