#include "checkpoint/json_value.h"

#include <string>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace tilewise::checkpoint {
namespace {

using testing::HasSubstr;

JsonValue parse(const std::string& text) {
  auto value = parse_json(text, "f.json");
  EXPECT_TRUE(value.ok()) << text;
  return *std::move(value);
}

TEST(JsonValue, KeepsEveryType) {
  const JsonValue root = parse(
      R"({"s": "é", "b": true, "i": -3, "u": 18446744073709551615, "d": 1.5, "n": null, "a": [1, []], "o": {}})");
  EXPECT_EQ(*root.find("s")->as_string(), "é");
  EXPECT_EQ(*root.find("b")->as_boolean(), true);
  EXPECT_EQ(*root.find("i")->as_integer(), -3);
  EXPECT_EQ(*root.find("u")->as_number(), 18446744073709551616.0);
  EXPECT_EQ(*root.find("d")->as_number(), 1.5);
  EXPECT_EQ(root.find("n"), nullptr);  // null counts as absent
  EXPECT_EQ(root.find("x"), nullptr);
  EXPECT_EQ(root.find("a")->as_array()->size(), 2u);
  EXPECT_TRUE(root.find("o")->keys().empty());
}

TEST(JsonValue, FirstOfTwoEqualKeysCounts) {
  const JsonValue root = parse(R"({"b": 0, "a": 1, "a": 2})");
  EXPECT_EQ(*root.find("a")->as_integer(), 1);
}

TEST(JsonValue, TextIsJsonAndShort) {
  EXPECT_EQ(parse(R"({ "b" : [1, 2.5, "x"], "a" : {"c": false} })").text(),
            R"({"a":{"c":false},"b":[1,2.5,"x"]})");
  std::string umlauts;
  for (int i = 0; i < 100; ++i) umlauts += "ü";  // two bytes each, after one for the quotation mark
  EXPECT_EQ(parse("\"" + umlauts + "\"").text(), "\"" + umlauts.substr(0, 58) + "...");
  EXPECT_LT(parse("[" + std::string(20000, ' ') + "1" +
                  [] {
                    std::string s;
                    for (int i = 0; i < 9999; ++i) s += ",1";
                    return s;
                  }() +
                  "]")
                .text()
                .size(),
            70u);
}

TEST(JsonValue, WhatIsNoJson) {
  for (const char* text : {"", "{", "{\"a\": }", "nul", "\"\xff\"", "{\"a\": 1} x", "[1e999]"}) {
    const auto value = parse_json(text, "f.json");
    ASSERT_FALSE(value.ok()) << text;
    EXPECT_EQ(value.status().code(), StatusCode::invalid_input);
    EXPECT_THAT(value.status().message(), HasSubstr("f.json"));
  }
  EXPECT_FALSE(parse_json(std::string(100000, '['), "f.json").ok());
}

TEST(FindNumber, AlsoBeyondMachineIntegers) {
  const std::string huge =
      R"({"x": "y", "model_max_length": 1000000000000000019884624838656, "z": 1})";
  EXPECT_FALSE(parse_json(huge, "f.json").ok());
  EXPECT_EQ(find_number(huge, "model_max_length"), 1e30);
  EXPECT_EQ(find_number(R"({"n": 512})", "n"), 512);
  EXPECT_EQ(find_number(R"({"n": "512"})", "n"), std::nullopt);
  EXPECT_EQ(find_number(R"({"m": 512})", "n"), std::nullopt);
  EXPECT_EQ(find_number("{", "n"), std::nullopt);
  EXPECT_EQ(find_number("", "n"), std::nullopt);
}

}  // namespace
}  // namespace tilewise::checkpoint
