// The description that clients get names what there is.
#include <set>
#include <string>

#include <gtest/gtest.h>
#include <simdjson.h>

#include "server/exchange.h"
#include "server/operation/page.h"

namespace tilewise::server {
namespace {

std::set<std::string> served() {
  std::set<std::string> calls;
  for (const auto endpoints : {kserve_endpoints(), tei_endpoints(), openai_endpoints(),
                               sagemaker_endpoints(), operation_endpoints()}) {
    for (const Endpoint& endpoint : endpoints) {
      calls.insert(std::string(endpoint.method) + " " + std::string(endpoint.path));
    }
  }
  return calls;
}

/// Beside its methods a path may have "parameters" and the like.
std::set<std::string> described() {
  std::set<std::string> calls;
  simdjson::dom::parser parser;
  simdjson::dom::object paths;
  EXPECT_EQ(parser.parse(operation::kOpenApi)["paths"].get(paths), simdjson::SUCCESS);
  for (const auto& [path, item] : paths) {
    for (const auto& [method, name] : {std::pair("get", "GET "), std::pair("post", "POST ")}) {
      if (!item[method].error()) calls.insert(name + std::string(path));
    }
  }
  return calls;
}

TEST(OpenApi, DescribesEveryEndpointAndNoOther) { EXPECT_EQ(described(), served()); }

TEST(OpenApi, NoEndpointHasAnotherMethod) {
  for (const std::string& call : served()) {
    EXPECT_TRUE(call.starts_with("GET ") || call.starts_with("POST ")) << call;
  }
}

}  // namespace
}  // namespace tilewise::server
