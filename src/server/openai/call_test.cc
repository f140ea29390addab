#include "server/openai/call.h"

#include <cmath>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/openai/error.h"

namespace tilewise::server::openai {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

EmbeddingsCall parsed(const std::string& body) {
  JsonReader reader;
  EmbeddingsCall call;
  const Status status = parse(body, reader, call);
  EXPECT_TRUE(status.ok()) << body << ": " << status.message();
  return call;
}

Status refused(const std::string& body) {
  JsonReader reader;
  EmbeddingsCall call;
  Status status = parse(body, reader, call);
  EXPECT_EQ(status.code(), StatusCode::invalid_argument) << body;
  return status;
}

TEST(EmbeddingsCall, TakesTheFormsOfInput) {
  EXPECT_EQ(parsed(R"({"input":"s","model":"m"})").inputs.size(), 1U);
  EXPECT_EQ(parsed(R"({"input":["s","t"],"model":"m"})").inputs.size(), 2U);
  EXPECT_THAT(parsed(R"({"input":[1,2],"model":"m"})").token_inputs.at(0).ids, ElementsAre(1, 2));
  EXPECT_EQ(parsed(R"({"input":[[1],[2]],"model":"m"})").token_inputs.size(), 2U);
  const EmbeddingsCall call =
      parsed(R"({"input":"s","model":"m.v","encoding_format":"base64","dimensions":8,"user":"u"})");
  EXPECT_EQ(call.model, "m.v");
  EXPECT_TRUE(call.base64);
  EXPECT_EQ(call.dimensions, 8);
}

TEST(EmbeddingsCall, RefusesAndNamesTheMember) {
  EXPECT_EQ(refused("{}").problem().where, "input");
  EXPECT_EQ(refused(R"({"input":[]})").problem().where, "input");
  EXPECT_EQ(refused(R"({"input":true})").problem().where, "input");
  EXPECT_EQ(refused(R"({"input":["a",1]})").problem().where, "input[1]");
  EXPECT_EQ(refused(R"({"input":"a","model":1})").problem().where, "model");
  EXPECT_EQ(refused(R"({"input":"a","encoding_format":"hex"})").problem().where, "encoding_format");
  EXPECT_EQ(refused(R"({"input":"a","dimensions":0})").problem().where, "dimensions");
  EXPECT_THAT(refused("{").message(), HasSubstr("JSON"));
}

TEST(Base64, IsThatOfPython) {
  const auto encoded = [](std::vector<float> values) {
    std::string out;
    append_base64(values, out);
    return out;
  };
  // base64.b64encode(numpy.array([...], "<f4"))
  EXPECT_EQ(encoded({}), R"("")");
  EXPECT_EQ(encoded({1}), R"("AACAPw==")");
  EXPECT_EQ(encoded({1, -2.5}), R"("AACAPwAAIMA=")");
  EXPECT_EQ(encoded({1, -2.5, 3.14159F}), R"("AACAPwAAIMDQD0lA")");
}

TEST(WriteError, HasTheFormOfOpenai) {
  HttpResponse response;
  write_error(invalid_argument({.what = "bad", .where = "inputs[3]"}), 0, response);
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(
      response.body,
      R"({"error":{"message":"bad (at inputs[3]).","type":"invalid_request_error","param":"input","code":null}})");
  write_error(not_found({.what = "no such model"}), 0, response);
  EXPECT_EQ(response.status, 404);
  EXPECT_THAT(response.body, HasSubstr(R"("param":"model","code":"model_not_found")"));
  write_error(overloaded({.what = "full"}), 2, response);
  EXPECT_EQ(response.status, 429);
  EXPECT_THAT(response.body, HasSubstr(R"("type":"rate_limit_error")"));
  ASSERT_EQ(response.headers.size(), 1U);
  write_error(unauthenticated({.what = "who"}), 0, response);
  EXPECT_EQ(response.status, 401);
  EXPECT_THAT(response.body, HasSubstr("invalid_api_key"));
  EXPECT_TRUE(response.headers.empty());
}

TEST(AppendModel, HasTheFieldsOfOpenai) {
  std::string out;
  append_model("m", 7, out);
  EXPECT_EQ(out, R"({"id":"m","object":"model","created":7,"owned_by":"tilewise"})");
}

}  // namespace
}  // namespace tilewise::server::openai
