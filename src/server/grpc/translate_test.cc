// Messages become calls and answers become messages; what each field means is written out here by
// hand, from the protocol's definition.
#include "server/grpc/translate.h"

#include <cmath>
#include <cstring>
#include <limits>
#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::server {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class TranslateTest : public testing::Test {
 protected:
  inference::ModelInferRequest::InferInputTensor& add_input(const std::string& name,
                                                            const std::string& datatype,
                                                            const std::vector<int64_t>& shape) {
    auto& input = *message_.add_inputs();
    input.set_name(name);
    input.set_datatype(datatype);
    for (const int64_t dimension : shape) input.add_shape(dimension);
    return input;
  }

  void expect_call() {
    const Status status = decode(message_, call_);
    EXPECT_TRUE(status.ok()) << status.message();
  }

  void expect_error(StatusCode code, const std::string& where) {
    const Status status = decode(message_, call_);
    EXPECT_EQ(status.code(), code) << status.message();
    EXPECT_THAT(status.message(), HasSubstr(where));
  }

  inference::InferParameter& parameter(const std::string& name) {
    return (*message_.mutable_parameters())[name];
  }

  inference::ModelInferRequest message_;
  kserve::InferCall call_;
};

TEST_F(TranslateTest, NamesAndTypedTexts) {
  message_.set_model_name("shop.intent");
  message_.set_model_version("3");
  message_.set_id("a7");
  auto& input = add_input("text", "BYTES", {2, 1});
  input.mutable_contents()->add_bytes_contents("red shoes");
  input.mutable_contents()->add_bytes_contents(std::string("\xff\0x", 3));
  expect_call();
  EXPECT_EQ(call_.model, "shop.intent");
  EXPECT_EQ(call_.version, "3");
  EXPECT_EQ(call_.id, "a7");
  ASSERT_EQ(call_.inputs.size(), 1u);
  EXPECT_EQ(call_.inputs[0].name, "text");
  EXPECT_EQ(call_.inputs[0].datatype, "BYTES");
  EXPECT_THAT(call_.inputs[0].shape, ElementsAre(2, 1));
  EXPECT_THAT(call_.inputs[0].texts, ElementsAre("red shoes", std::string_view("\xff\0x", 3)));
  EXPECT_THAT(call_.outputs, IsEmpty());
}

TEST_F(TranslateTest, RawContents) {
  add_input("text", "BYTES", {2});
  message_.add_raw_input_contents(std::string("\x02\0\0\0ab\0\0\0\0", 10));
  add_input("input_ids", "INT32", {1, 2});
  message_.add_raw_input_contents(std::string("\x05\0\0\0\xff\xff\xff\xff", 8));
  expect_call();
  EXPECT_THAT(call_.inputs[0].texts, ElementsAre("ab", ""));
  EXPECT_THAT(call_.inputs[1].integers, ElementsAre(5, -1));
}

TEST_F(TranslateTest, EveryIntegerTypeHasItsField) {
  for (const char* type : {"INT8", "INT16", "INT32"}) {
    add_input(type, type, {1}).mutable_contents()->add_int_contents(-3);
  }
  for (const char* type : {"UINT8", "UINT16", "UINT32"}) {
    add_input(type, type, {1}).mutable_contents()->add_uint_contents(7);
  }
  add_input("INT64", "INT64", {1}).mutable_contents()->add_int64_contents(int64_t{1} << 40);
  add_input("UINT64", "UINT64", {1}).mutable_contents()->add_uint64_contents(9);
  add_input("BOOL", "BOOL", {2}).mutable_contents()->add_bool_contents(true);
  expect_call();
  for (size_t i = 0; i < 3; ++i) EXPECT_THAT(call_.inputs[i].integers, ElementsAre(-3));
  for (size_t i = 3; i < 6; ++i) EXPECT_THAT(call_.inputs[i].integers, ElementsAre(7));
  EXPECT_THAT(call_.inputs[6].integers, ElementsAre(int64_t{1} << 40));
  EXPECT_THAT(call_.inputs[7].integers, ElementsAre(9));
  EXPECT_THAT(call_.inputs[8].integers, ElementsAre(1));  // prepare() counts
}

TEST_F(TranslateTest, TooLargeForAnInt64IsNoId) {
  add_input("input_ids", "UINT64", {1, 1})
      .mutable_contents()
      ->add_uint64_contents(std::numeric_limits<uint64_t>::max());
  expect_call();
  EXPECT_LT(call_.inputs[0].integers[0], 0);
}

TEST_F(TranslateTest, ElementsOfAnotherFieldAreNotTaken) {
  add_input("input_ids", "INT64", {1, 1}).mutable_contents()->add_int_contents(4);
  add_input("scores", "FP32", {1}).mutable_contents()->add_fp32_contents(0.5f);
  expect_call();
  EXPECT_THAT(call_.inputs[0].integers, IsEmpty());
  EXPECT_THAT(call_.inputs[1].integers, IsEmpty());
  EXPECT_THAT(call_.inputs[1].texts, IsEmpty());
}

TEST_F(TranslateTest, Parameters) {
  parameter("tasks").set_string_param("intent,topic");
  parameter("timeout").set_int64_param(2500);
  parameter("priority").set_string_param("bulk");
  parameter("truncate").set_bool_param(true);
  parameter("truncation_direction").set_string_param("left");
  parameter("both_orders").set_bool_param(true);
  parameter("full_depth").set_bool_param(false);
  parameter("of_somebody_else").set_double_param(0.5);
  expect_call();
  EXPECT_EQ(call_.parameters.tasks, "intent,topic");
  EXPECT_EQ(call_.parameters.timeout_us, 2500);
  EXPECT_EQ(call_.parameters.priority, runtime::Priority::bulk);
  EXPECT_EQ(call_.parameters.truncate, true);
  EXPECT_TRUE(call_.parameters.truncate_left);
  EXPECT_TRUE(call_.parameters.both_orders);
  EXPECT_EQ(call_.parameters.full_depth, false);
}

TEST_F(TranslateTest, PriorityAsTritonsNumber) {
  for (const uint64_t number : {0, 1, 2}) {
    parameter("priority").set_uint64_param(number);
    expect_call();
    EXPECT_EQ(call_.parameters.priority,
              number <= 1 ? runtime::Priority::interactive : runtime::Priority::bulk);
  }
}

TEST_F(TranslateTest, NothingIsLeftOfTheCallBefore) {
  message_.set_id("first");
  parameter("tasks").set_string_param("intent");
  add_input("text", "BYTES", {1}).mutable_contents()->add_bytes_contents("a");
  add_input("more", "INT64", {1}).mutable_contents()->add_int64_contents(1);
  message_.add_outputs()->set_name("logits");
  expect_call();
  message_.Clear();
  add_input("input_ids", "INT64", {1}).mutable_contents()->add_int64_contents(2);
  expect_call();
  EXPECT_EQ(call_.id, "");
  EXPECT_EQ(call_.parameters.tasks, "");
  EXPECT_THAT(call_.outputs, IsEmpty());
  ASSERT_EQ(call_.inputs.size(), 1u);
  EXPECT_THAT(call_.inputs[0].texts, IsEmpty());
  EXPECT_THAT(call_.inputs[0].integers, ElementsAre(2));
}

TEST_F(TranslateTest, BadParametersAreNamed) {
  parameter("timeout").set_string_param("soon");
  expect_error(StatusCode::invalid_argument, "parameters.timeout");
  message_.Clear();
  parameter("truncate").set_int64_param(1);
  expect_error(StatusCode::invalid_argument, "parameters.truncate");
  message_.Clear();
  parameter("truncation_direction").set_string_param("up");
  expect_error(StatusCode::invalid_argument, "parameters.truncation_direction");
  message_.Clear();
  parameter("priority").set_string_param("urgent");
  expect_error(StatusCode::invalid_argument, "parameters.priority");
  message_.Clear();
  parameter("priority").set_int64_param(-1);
  expect_error(StatusCode::invalid_argument, "parameters.priority");
  message_.Clear();
  parameter("tasks").set_bool_param(true);
  expect_error(StatusCode::invalid_argument, "parameters.tasks");
}

TEST_F(TranslateTest, BadContentsAreNamed) {
  add_input("text", "BYTES", {1});
  add_input("more", "BYTES", {1});
  message_.add_raw_input_contents(std::string("\0\0\0\0", 4));
  expect_error(StatusCode::invalid_argument, "raw_input_contents");
  message_.Clear();
  add_input("text", "BYTES", {1}).mutable_contents()->add_bytes_contents("a");
  message_.add_raw_input_contents(std::string("\x01\0\0\0a", 5));
  expect_error(StatusCode::invalid_argument, "input text");
  message_.Clear();
  add_input("text", "BYTES", {1});
  message_.add_raw_input_contents(std::string("\xff\xff\xff\xff", 4));
  expect_error(StatusCode::invalid_argument, "input text");
  message_.Clear();
  (*add_input("text", "BYTES", {1}).mutable_parameters())["shared_memory_region"].set_string_param(
      "r");
  expect_error(StatusCode::unsupported, "text");
  message_.Clear();
  auto& output = *message_.add_outputs();
  output.set_name("scores");
  (*output.mutable_parameters())["classification"].set_int64_param(-1);
  expect_error(StatusCode::invalid_argument, "classification");
}

TEST_F(TranslateTest, Outputs) {
  auto& output = *message_.add_outputs();
  output.set_name("scores");
  (*output.mutable_parameters())["classification"].set_int64_param(3);
  message_.add_outputs()->set_name("label");
  expect_call();
  ASSERT_EQ(call_.outputs.size(), 2u);
  EXPECT_EQ(call_.outputs[0].name, "scores");
  EXPECT_EQ(call_.outputs[0].classification, 3);
  EXPECT_EQ(call_.outputs[1].name, "label");
  EXPECT_EQ(call_.outputs[1].classification, 0);
}

std::vector<kserve::OutputTensor> two_outputs() {
  std::vector<kserve::OutputTensor> outputs(2);
  outputs[0].name = "logits";
  outputs[0].shape = {1, 2};
  outputs[0].floats = {0.5f, std::numeric_limits<float>::quiet_NaN()};
  outputs[1].name = "label";
  outputs[1].is_text = true;
  outputs[1].shape = {1};
  outputs[1].texts = {"ab"};
  return outputs;
}

TEST(Encode, Raw) {
  inference::ModelInferResponse message;
  encode({.model = "m", .version = "1", .id = "7", .truncated = "0,3"}, two_outputs(), true,
         message);
  EXPECT_EQ(message.model_name(), "m");
  EXPECT_EQ(message.model_version(), "1");
  EXPECT_EQ(message.id(), "7");
  EXPECT_TRUE(message.parameters().at("truncated").bool_param());
  EXPECT_EQ(message.parameters().at("truncated_inputs").string_param(), "0,3");
  ASSERT_EQ(message.outputs_size(), 2);
  EXPECT_EQ(message.outputs(0).datatype(), "FP32");
  EXPECT_THAT(message.outputs(0).shape(), ElementsAre(1, 2));
  EXPECT_FALSE(message.outputs(0).has_contents());
  ASSERT_EQ(message.raw_output_contents_size(), 2);
  float floats[2];
  ASSERT_EQ(message.raw_output_contents(0).size(), sizeof floats);
  std::memcpy(floats, message.raw_output_contents(0).data(), sizeof floats);
  EXPECT_EQ(floats[0], 0.5f);
  EXPECT_TRUE(std::isnan(floats[1]));
  EXPECT_EQ(message.outputs(1).datatype(), "BYTES");
  EXPECT_EQ(message.raw_output_contents(1), std::string("\x02\0\0\0ab", 6));
}

TEST(Encode, TypedAndIntoMemoryOfBefore) {
  inference::ModelInferResponse message;
  encode({.model = "m", .version = "1", .id = "7", .truncated = "0"}, two_outputs(), true, message);
  message.Clear();
  encode({.model = "n", .version = "2", .id = {}, .truncated = {}}, two_outputs(), false, message);
  EXPECT_EQ(message.model_name(), "n");
  EXPECT_EQ(message.id(), "");
  EXPECT_EQ(message.parameters_size(), 0);
  EXPECT_EQ(message.raw_output_contents_size(), 0);
  ASSERT_EQ(message.outputs_size(), 2);
  ASSERT_EQ(message.outputs(0).contents().fp32_contents_size(), 2);
  EXPECT_EQ(message.outputs(0).contents().fp32_contents(0), 0.5f);
  EXPECT_THAT(message.outputs(1).contents().bytes_contents(), ElementsAre("ab"));
}

}  // namespace
}  // namespace tilewise::server
