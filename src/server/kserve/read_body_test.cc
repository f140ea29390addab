// Bodies as the protocol's definition has them, and as it has them not.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/kserve/infer_body.h"
#include "server/kserve/padded_body.h"

namespace tilewise::server::kserve {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

/// A body that was read, with all that its call points to.
struct Read {
  explicit Read(std::string_view text, std::optional<size_t> json_bytes = std::nullopt)
      : body(text), status(reader.read(body.view(), json_bytes, call)) {}

  PaddedBody body;
  BodyReader reader;
  InferCall call;
  Status status;
};

/// A body whose one input has these members.
std::string with_input(const std::string& members) { return R"({"inputs":[{)" + members + "}]}"; }

std::string refusal(std::string_view text, std::optional<size_t> json_bytes = std::nullopt) {
  const Read read(text, json_bytes);
  EXPECT_EQ(read.status.code(), StatusCode::invalid_argument) << text;
  return read.status.message();
}

std::string le32(uint32_t value) {
  std::string bytes;
  for (int i = 0; i < 4; ++i) bytes += static_cast<char>(value >> (8 * i));
  return bytes;
}

TEST(ReadBody, AllThatACallMaySay) {
  const Read read(R"({
    "id": "a\u00e9\"7",
    "parameters": {"tasks": "intent,tags", "timeout": 5000, "priority": "bulk", "truncate": true,
                   "truncation_direction": "left", "both_orders": true, "full_depth": true, "else": {"a": [1]}},
    "inputs": [{"name": "text", "shape": [2], "datatype": "BYTES", "data": ["one", "zw\u00f6lf"]}],
    "outputs": [{"name": "label"},
                {"name": "logits", "parameters": {"classification": 3, "binary_data": true}}]})");
  ASSERT_TRUE(read.status.ok()) << read.status.message();
  const InferCall& call = read.call;
  EXPECT_EQ(call.id, "aé\"7");
  EXPECT_EQ(call.parameters.tasks, "intent,tags");
  EXPECT_EQ(call.parameters.timeout_us, 5000);
  EXPECT_EQ(call.parameters.priority, runtime::Priority::bulk);
  EXPECT_EQ(call.parameters.truncate, true);
  EXPECT_TRUE(call.parameters.truncate_left);
  EXPECT_TRUE(call.parameters.both_orders);
  EXPECT_EQ(call.parameters.full_depth, true);
  ASSERT_EQ(call.inputs.size(), 1u);
  EXPECT_EQ(call.inputs[0].name, "text");
  EXPECT_EQ(call.inputs[0].datatype, "BYTES");
  EXPECT_THAT(call.inputs[0].shape, ElementsAre(2));
  EXPECT_THAT(call.inputs[0].texts, ElementsAre("one", "zwölf"));
  ASSERT_EQ(call.outputs.size(), 2u);
  EXPECT_EQ(call.outputs[0].name, "label");
  EXPECT_EQ(call.outputs[0].classification, 0);
  EXPECT_FALSE(call.outputs[0].is_binary);
  EXPECT_EQ(call.outputs[1].classification, 3);
  EXPECT_TRUE(call.outputs[1].is_binary);
}

TEST(ReadBody, TasksMayBeAList) {
  const Read read(R"({"parameters": {"tasks": ["intent", "tags"]}, "inputs": []})");
  ASSERT_TRUE(read.status.ok()) << read.status.message();
  EXPECT_EQ(read.call.parameters.tasks, "intent,tags");
}

TEST(ReadBody, PriorityMayBeTritonsNumber) {
  for (const auto& [number, priority] : {std::pair("0", runtime::Priority::interactive),
                                         {"1", runtime::Priority::interactive},
                                         {"2", runtime::Priority::bulk}}) {
    const Read read(R"({"inputs": [], "parameters": {"priority": )" + std::string(number) + "}}");
    ASSERT_TRUE(read.status.ok());
    EXPECT_EQ(read.call.parameters.priority, priority) << number;
  }
}

TEST(ReadBody, IntegersFlatAndNested) {
  for (const char* data : {"[1,2,3,4,5,-6]", "[[1,2,3],[4,5,-6]]"}) {
    const Read read(with_input(R"("name":"input_ids","shape":[2,3],"datatype":"INT32","data":)" +
                               std::string(data)));
    ASSERT_TRUE(read.status.ok()) << read.status.message();
    EXPECT_THAT(read.call.inputs[0].integers, ElementsAre(1, 2, 3, 4, 5, -6));
  }
  const Read mask(with_input(
      R"("name":"attention_mask","shape":[1,3],"datatype":"BOOL","data":[[true,1,false]])"));
  ASSERT_TRUE(mask.status.ok()) << mask.status.message();
  EXPECT_THAT(mask.call.inputs[0].integers, ElementsAre(1, 1, 0));
}

TEST(ReadBody, DataComesBeforeItsShape) {
  const Read read(with_input(R"("data":[[7],[8]],"datatype":"UINT8","shape":[2,1],"name":"x")"));
  ASSERT_TRUE(read.status.ok()) << read.status.message();
  EXPECT_THAT(read.call.inputs[0].integers, ElementsAre(7, 8));
}

TEST(ReadBody, AReaderForgetsTheCallBefore) {
  BodyReader reader;
  InferCall call;
  const PaddedBody first(R"({"id": "1", "parameters": {"truncate": true},
    "inputs": [{"name": "a", "shape": [2], "datatype": "BYTES", "data": ["x", "y"]},
               {"name": "b", "shape": [1], "datatype": "INT8", "data": [1]}],
    "outputs": [{"name": "label"}]})");
  const PaddedBody second(with_input(R"("name":"c","shape":[1],"datatype":"BYTES","data":["z"])"));
  ASSERT_TRUE(reader.read(first.view(), std::nullopt, call).ok());
  ASSERT_TRUE(reader.read(second.view(), std::nullopt, call).ok());
  EXPECT_EQ(call.id, "");
  EXPECT_EQ(call.parameters.truncate, std::nullopt);
  EXPECT_THAT(call.outputs, IsEmpty());
  ASSERT_EQ(call.inputs.size(), 1u);
  EXPECT_THAT(call.inputs[0].texts, ElementsAre("z"));
}

TEST(ReadBody, LoneSurrogatesAreReplacedAndOthersStay) {
  const Read read(with_input(
      R"("name":"text","shape":[2],"datatype":"BYTES","data":["\ud800 a","\uD83D\uDE00"])"));
  ASSERT_TRUE(read.status.ok()) << read.status.message();
  EXPECT_THAT(read.call.inputs[0].texts, ElementsAre("\uFFFD a", "\U0001F600"));
}

TEST(ReadBody, BinaryTensorsFollowTheJsonInOrder) {
  const std::string json = R"({"parameters": {"binary_data_output": true}, "inputs": [
    {"name": "text", "shape": [2], "datatype": "BYTES", "parameters": {"binary_data_size": 13}},
    {"name": "ids", "shape": [1, 2], "datatype": "INT16", "parameters": {"binary_data_size": 4}},
    {"name": "more", "shape": [1], "datatype": "BYTES", "data": ["json"]}],
    "outputs": [{"name": "logits"}, {"name": "label", "parameters": {"binary_data": false}}]})";
  const std::string text("a\xFF\0bc", 5);
  const std::string bytes = le32(5) + text + le32(0) + std::string("\x07\x00\xFE\xFF", 4);
  const Read read(json + bytes, json.size());
  ASSERT_TRUE(read.status.ok()) << read.status.message();
  EXPECT_THAT(read.call.inputs[0].texts, ElementsAre(text, ""));  // bytes as they are
  EXPECT_THAT(read.call.inputs[1].integers, ElementsAre(7, -2));
  EXPECT_THAT(read.call.inputs[2].texts, ElementsAre("json"));
  EXPECT_TRUE(read.call.parameters.binary_outputs);
  EXPECT_TRUE(read.call.outputs[0].is_binary);
  EXPECT_FALSE(read.call.outputs[1].is_binary);
}

TEST(ReadBody, WhatIsNotJson) {
  for (const std::string_view text : {"", " ", "{", "{\"inputs\":[}", "[1]", "3", "null", "{} {}",
                                      "{\"id\":\"\xFF\"}", "{\"inputs\":[NaN]}", "{\"a\":1e999}"}) {
    EXPECT_THAT(refusal(text), HasSubstr("not valid JSON")) << text;
  }
  std::string deep;
  for (int i = 0; i < 100'000; ++i) deep += '[';
  EXPECT_THAT(refusal("{\"inputs\":" + deep), HasSubstr("not valid JSON"));
}

TEST(ReadBody, FieldsOfTheWrongType) {
  EXPECT_THAT(refusal("{}"), HasSubstr("no inputs"));
  EXPECT_THAT(refusal(R"({"inputs": null})"), HasSubstr("no inputs"));
  EXPECT_THAT(refusal(R"({"inputs": {}})"), HasSubstr("at inputs; expected a list"));
  EXPECT_THAT(refusal(R"({"inputs": [1]})"), HasSubstr("inputs[0]"));
  EXPECT_THAT(refusal(R"({"inputs": [], "id": 7})"), HasSubstr("at id"));
  EXPECT_THAT(refusal(R"({"inputs": [], "outputs": "label"})"), HasSubstr("at outputs"));
  const auto parameter = [](const std::string& member) {
    return refusal(R"({"inputs": [], "parameters": {)" + member + "}}");
  };
  EXPECT_THAT(parameter(R"("timeout": "soon")"), HasSubstr("parameters.timeout"));
  EXPECT_THAT(parameter(R"("timeout": 1.5)"), HasSubstr("parameters.timeout"));
  EXPECT_THAT(parameter(R"("priority": "urgent")"), HasSubstr("parameters.priority"));
  EXPECT_THAT(parameter(R"("priority": -1)"), HasSubstr("parameters.priority"));
  EXPECT_THAT(parameter(R"("truncate": 1)"), HasSubstr("parameters.truncate"));
  EXPECT_THAT(parameter(R"("truncation_direction": "up")"), HasSubstr("left or right"));
  EXPECT_THAT(parameter(R"("tasks": [1])"), HasSubstr("parameters.tasks"));
  EXPECT_THAT(refusal(R"({"inputs": [], "parameters": 3})"), HasSubstr("at parameters"));
  EXPECT_THAT(
      refusal(R"({"inputs": [], "outputs": [{"name": "a", "parameters": {"classification": 0}}]})"),
      HasSubstr("outputs[0].parameters.classification"));
}

TEST(ReadBody, ShapesThatCannotBe) {
  const auto shape = [](const std::string& text) {
    return refusal(with_input(R"("name":"text","datatype":"BYTES","data":["a"],"shape":)" + text));
  };
  EXPECT_THAT(shape("null"), HasSubstr("no shape"));
  EXPECT_THAT(shape("1"), HasSubstr("no shape"));
  EXPECT_THAT(shape("[1.0]"), HasSubstr("inputs[0].shape"));
  EXPECT_THAT(shape("[18446744073709551615]"), HasSubstr("inputs[0].shape"));
  EXPECT_THAT(shape("[1,1,1,1,1,1,1,1,1]"), HasSubstr("at most 8"));
}

TEST(ReadBody, DataThatIsNotAsTheShapeSays) {
  const auto data = [](const std::string& text) {
    return refusal(with_input(R"("name":"ids","datatype":"INT64","shape":[2,2],"data":)" + text));
  };
  EXPECT_THAT(data("[[1,2,3],[4]]"), HasSubstr("not nested as the shape says"));
  EXPECT_THAT(data("[[1,2]]"), HasSubstr("not nested"));
  EXPECT_THAT(data("[[1,2],3]"), HasSubstr("not nested"));
  EXPECT_THAT(data("[[[1,2],[3,4]]]"), HasSubstr("expected integers; found an array"));
  EXPECT_THAT(data("[[[1],[2]],[[3],[4]]]"), HasSubstr("expected integers; found an array"));
  EXPECT_THAT(data("[1,2,3,[4]]"), HasSubstr("expected integers; found an array"));
  EXPECT_THAT(data("[1,2,3,4.5]"), HasSubstr("expected integers"));
  EXPECT_THAT(data("[1,2,3,\"4\"]"), HasSubstr("found a string"));
  EXPECT_THAT(data("[1,2,3,null]"), HasSubstr("found null"));
  EXPECT_THAT(data("[1,2,3,true]"), HasSubstr("found true or false"));
  EXPECT_THAT(data("[1,2,3,9223372036854775808]"), HasSubstr("expected integers"));
  EXPECT_THAT(data("7"), HasSubstr("expected a list"));
  EXPECT_THAT(refusal(with_input(R"("name":"t","datatype":"BYTES","shape":[1],"data":[3])")),
              HasSubstr("expected strings; found a number"));
  // A flat list of the wrong length is prepare()'s to refuse: it knows what the tensor is for.
}

TEST(ReadBody, DatatypesThatNoInputHas) {
  for (const std::string type : {"BF16", "FP16", "FP32", "FP64", "STRING", "int64", ""}) {
    EXPECT_THAT(
        refusal(with_input(R"("name":"x","shape":[1],"data":[1],"datatype":")" + type + "\"")),
        AllOf(HasSubstr("no input has this datatype"), HasSubstr(type)));
  }
}

TEST(ReadBody, ElementsEitherInJsonOrInBinary) {
  EXPECT_THAT(refusal(with_input(R"("name":"text","shape":[1],"datatype":"BYTES")")),
              HasSubstr("found neither"));
  const std::string both = with_input(
      R"("name":"t","shape":[1],"datatype":"BYTES","data":["a"],"parameters":{"binary_data_size":5})");
  EXPECT_THAT(refusal(both + le32(1) + "a", both.size()), HasSubstr("found both"));
}

/// A body with one BYTES tensor of one element in binary, of which the JSON says `size` bytes.
std::string binary_refusal(const std::string& size, const std::string& bytes) {
  const std::string json = with_input(
      R"("name":"text","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":)" + size +
      "}");
  return refusal(json + bytes, json.size());
}

TEST(ReadBody, BinaryPartsThatDoNotFit) {
  EXPECT_THAT(binary_refusal("5", le32(1)), HasSubstr("shorter than its tensors"));
  EXPECT_THAT(binary_refusal("-1", le32(0)), HasSubstr("shorter than its tensors"));
  EXPECT_THAT(binary_refusal("9223372036854775807", le32(0)), HasSubstr("shorter"));
  EXPECT_THAT(binary_refusal("4", le32(0) + "x"), HasSubstr("1 bytes more"));
  EXPECT_THAT(binary_refusal("5", le32(2) + "x"), HasSubstr("an end within element 0"));
  EXPECT_THAT(binary_refusal("5", le32(0xFFFFFFFF) + "x"), HasSubstr("an end within element 0"));
  EXPECT_THAT(binary_refusal("6", le32(1) + "xy"), HasSubstr("1 bytes more"));
  EXPECT_THAT(binary_refusal("3", "abc"), HasSubstr("expected 1 elements"));
  EXPECT_THAT(
      refusal(with_input(
          R"("name":"t","shape":[1],"datatype":"BYTES","parameters":{"binary_data_size":5})")),
      HasSubstr("Inference-Header-Content-Length"));
  EXPECT_THAT(refusal("{}", 3), HasSubstr("longer than the body"));
  EXPECT_THAT(refusal(R"({"inputs":[]}!)", 13), HasSubstr("1 bytes more"));
  EXPECT_THAT(refusal(R"({"inputs":[]})", 0), HasSubstr("not valid JSON"));
}

TEST(ReadBody, HugeBinaryShapesAreRefusedBeforeTheyCostMemory) {
  for (const std::string shape : {"[1000000000]", "[4294967296,4294967296]", "[-1]", "[-2,-2]"}) {
    for (const std::string type : {"BYTES", "INT64"}) {
      const std::string json = with_input(R"("name":"t","shape":)" + shape + R"(,"datatype":")" +
                                          type + R"(","parameters":{"binary_data_size":8})");
      refusal(json + std::string(8, '\0'), json.size());
    }
  }
}

TEST(ReadBody, TheLengthOfTheJsonPart) {
  EXPECT_EQ(*parse_json_bytes(""), std::nullopt);
  EXPECT_EQ(*parse_json_bytes("17"), 17u);
  for (const char* text : {"-1", "x", "1x", "1 ", " 1", "0x1", "99999999999999999999"}) {
    EXPECT_FALSE(parse_json_bytes(text).ok()) << text;
  }
}

}  // namespace
}  // namespace tilewise::server::kserve
