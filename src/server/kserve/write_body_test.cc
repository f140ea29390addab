// Responses by the protocol's definition.
#include <cmath>
#include <cstring>
#include <limits>

#include <gtest/gtest.h>

#include "server/kserve/infer_body.h"

namespace tilewise::server::kserve {
namespace {

OutputTensor floats(std::string name, std::vector<int64_t> shape, std::vector<float> values) {
  OutputTensor tensor;
  tensor.name = std::move(name);
  tensor.shape = std::move(shape);
  tensor.floats = std::move(values);
  return tensor;
}

OutputTensor texts(std::string name, std::vector<int64_t> shape, std::vector<std::string> values) {
  OutputTensor tensor;
  tensor.name = std::move(name);
  tensor.is_text = true;
  tensor.shape = std::move(shape);
  tensor.texts = std::move(values);
  return tensor;
}

TEST(WriteBody, Json) {
  std::string body = "before";
  const auto json_bytes =
      append_body({"m", "3", "", ""},
                  {floats("logits", {1, 2}, {0.1f, -2}), texts("label", {1}, {"a \"b\"\n"})}, body);
  EXPECT_EQ(json_bytes, std::nullopt);
  EXPECT_EQ(body, R"(before{"model_name":"m","model_version":"3","outputs":[)"
                  R"({"name":"logits","datatype":"FP32","shape":[1,2],"data":[0.1,-2]},)"
                  R"({"name":"label","datatype":"BYTES","shape":[1],"data":["a \"b\"\n"]}]})");
}

TEST(WriteBody, IdAndTruncatedInputs) {
  std::string body;
  append_body({"m", "1", "a\"7", "0,3"}, {}, body);
  EXPECT_EQ(body, R"({"model_name":"m","model_version":"1","id":"a\"7",)"
                  R"("parameters":{"truncated":true,"truncated_inputs":"0,3"},"outputs":[]})");
}

TEST(WriteBody, WhatJsonCannotExpressIsNull) {
  std::string body;
  append_body({"m", "1", "", ""},
              {floats("logits", {3}, {std::nanf(""), std::numeric_limits<float>::infinity(), 1})},
              body);
  EXPECT_TRUE(body.find("\"data\":[null,null,1]") != std::string::npos) << body;
}

TEST(WriteBody, BinaryTensorsFollowInOrder) {
  OutputTensor logits = floats("logits", {1, 2}, {1.5f, std::nanf("")});
  OutputTensor label = texts("label", {2}, {"xyz", ""});
  logits.is_binary = label.is_binary = true;
  std::string body = "before";
  const auto json_bytes =
      append_body({"m", "1", "", ""}, {logits, floats("scores", {1}, {2}), label}, body);
  const std::string json =
      R"({"model_name":"m","model_version":"1","outputs":[)"
      R"({"name":"logits","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}},)"
      R"({"name":"scores","datatype":"FP32","shape":[1],"data":[2]},)"
      R"({"name":"label","datatype":"BYTES","shape":[2],"parameters":{"binary_data_size":11}}]})";
  EXPECT_EQ(json_bytes, json.size());
  std::string expected = "before" + json;
  expected.append("\x00\x00\xC0\x3F", 4);  // 1.5
  expected.append(reinterpret_cast<const char*>(&logits.floats[1]), 4);
  expected.append("\x03\x00\x00\x00xyz\x00\x00\x00\x00", 11);
  EXPECT_EQ(body, expected);
}

}  // namespace
}  // namespace tilewise::server::kserve
