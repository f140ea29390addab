#include "server/tei/call.h"

#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "server/tei/any.h"

namespace tilewise::server::tei {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

/// "text" | "left|right"; a record as {name=value,...}.
std::string shown(const model::Content& content) {
  if (const auto* text = std::get_if<std::string>(&content)) return *text;
  std::string out = "{";
  for (const auto& field : std::get<model::Record>(content).fields) {
    out += field.name + "=" + field.value + ",";
  }
  return out + "}";
}

std::string shown(const model::Input& input) {
  if (const auto* text = std::get_if<model::TextInput>(&input)) return shown(text->text);
  const auto& pair = std::get<model::PairInput>(input);
  return shown(pair.left) + "|" + shown(pair.right);
}

template <class Call>
Call parsed(const std::string& body) {
  JsonReader reader;
  Call call;
  const Status status = parse(body, reader, call);
  EXPECT_TRUE(status.ok()) << body << ": " << status.message();
  return call;
}

template <class Call>
std::string refused(const std::string& body) {
  JsonReader reader;
  Call call;
  const Status status = parse(body, reader, call);
  EXPECT_EQ(status.code(), StatusCode::invalid_argument) << body;
  return status.message();
}

std::vector<std::string> inputs_of(const std::string& inputs) {
  std::vector<std::string> out;
  for (const model::Input& input : parsed<PredictCall>("{\"inputs\":" + inputs + "}").inputs) {
    out.push_back(shown(input));
  }
  return out;
}

TEST(PredictCall, TakesTheFormsOfInputs) {
  EXPECT_THAT(inputs_of(R"("s")"), ElementsAre("s"));
  EXPECT_THAT(inputs_of(R"(["s"])"), ElementsAre("s"));
  EXPECT_THAT(inputs_of(R"(["s","pair"])"), ElementsAre("s|pair"));
  EXPECT_THAT(inputs_of(R"([["s"],["a","b"]])"), ElementsAre("s", "a|b"));
  EXPECT_THAT(inputs_of(R"({"title":"x","price":1.50})"), ElementsAre("{title=x,price=1.50,}"));
  EXPECT_THAT(inputs_of(R"([{"title":"x"},{"title":"y"}])"), ElementsAre("{title=x,}|{title=y,}"));
  EXPECT_THAT(inputs_of(R"([[{"title":"x"}],[{"title":"y"}]])"),
              ElementsAre("{title=x,}", "{title=y,}"));
  EXPECT_THAT(inputs_of(R"(["a\ud800b"])"), ElementsAre("a\xEF\xBF\xBD"
                                                        "b"));
  EXPECT_THAT(inputs_of("[]"), ElementsAre());
  EXPECT_FALSE(parsed<PredictCall>(R"({"inputs":["a","b"]})").is_batch);
  EXPECT_TRUE(parsed<PredictCall>(R"({"inputs":[["a","b"]]})").is_batch);
}

TEST(PredictCall, ReadsOptionsInAnyOrderAndPlace) {
  const auto call = parsed<PredictCall>(
      R"({"truncate":true,"unknown":{"deep":[1,{"a":null}]},"truncation_direction":"LEFT","raw_scores":true,
          "task":"intent","inputs":"s","parameters":{"top_k":3,"both_orders":true,"full_depth":true},"prompt_name":null})");
  EXPECT_EQ(call.options.task, "intent");
  EXPECT_EQ(call.options.truncate, true);
  EXPECT_TRUE(call.options.cut_left);
  EXPECT_TRUE(call.options.both_orders);
  EXPECT_EQ(call.options.full_depth, true);
  EXPECT_TRUE(call.raw_scores);
  EXPECT_EQ(call.top, 3);
  const auto plain = parsed<PredictCall>(R"({"inputs":"s","truncate":null,"full_depth":null})");
  EXPECT_EQ(plain.options.truncate, std::nullopt);
  EXPECT_EQ(plain.options.full_depth, std::nullopt);
  EXPECT_FALSE(plain.options.cut_left);
  EXPECT_EQ(plain.top, 0);
}

TEST(PredictCall, TheLastOfEqualMembersCounts) {
  const auto call = parsed<PredictCall>(R"({"inputs":[["a"],["b"]],"inputs":"c"})");
  ASSERT_EQ(call.inputs.size(), 1U);
  EXPECT_EQ(shown(call.inputs[0]), "c");
  EXPECT_FALSE(call.is_batch);
}

TEST(PredictCall, RefusesAndNamesThePlace) {
  EXPECT_THAT(refused<PredictCall>("{}"), HasSubstr("\"inputs\""));
  EXPECT_THAT(refused<PredictCall>(""), HasSubstr("JSON"));
  EXPECT_THAT(refused<PredictCall>("[]"), HasSubstr("not a JSON object"));
  EXPECT_THAT(refused<PredictCall>("{\"inputs\":\"\xff\"}"), HasSubstr("UTF-8"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":"s"} x)"), HasSubstr("JSON"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":"s")"), HasSubstr("JSON"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":"s","x":[1,}]})"), HasSubstr("JSON"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":7})"), HasSubstr("inputs"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":[["a"],"b"]})"), HasSubstr("inputs[1]"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":["a",["b"]]})"), HasSubstr("inputs[1]"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":["a","b","c"]})"), HasSubstr("one or two"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":[["a"],[]]})"), HasSubstr("inputs[1]"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":[[null]]})"), HasSubstr("null"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":{"a":[1]}})"), HasSubstr("inputs.a"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":{"a":tru}})"), HasSubstr("JSON"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":"s","truncate":"yes"})"), HasSubstr("truncate"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":"s","truncation_direction":"up"})"),
              HasSubstr("\"up\""));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":"s","top_k":0})"), HasSubstr("top_k"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":"s","top_k":1.5})"), HasSubstr("1.5"));
  EXPECT_THAT(refused<PredictCall>(R"({"inputs":"s","prompt_name":"query"})"),
              HasSubstr("prompt_name"));
  EXPECT_THAT(refused<PredictCall>(std::string(5000, '[')), HasSubstr("JSON"));
  EXPECT_THAT(refused<PredictCall>("{\"x\":" + std::string(500, '[') + std::string(500, ']') + "}"),
              HasSubstr("JSON"));
}

TEST(RerankCall, IsAPairForEachText) {
  const auto call =
      parsed<RerankCall>(R"({"texts":["a",{"t":"b"}],"query":"q","return_text":true})");
  ASSERT_EQ(call.inputs.size(), 2U);
  EXPECT_EQ(shown(call.inputs[0]), "q|a");
  EXPECT_EQ(shown(call.inputs[1]), "q|{t=b,}");
  EXPECT_TRUE(call.return_text);
  EXPECT_THAT(refused<RerankCall>(R"({"texts":["a"]})"), HasSubstr("query"));
  EXPECT_THAT(refused<RerankCall>(R"({"query":"q"})"), HasSubstr("texts"));
  EXPECT_THAT(refused<RerankCall>(R"({"query":"q","texts":["a",7]})"), HasSubstr("texts[1]"));
}

TEST(EmbedCall, TakesTextsOrIds) {
  EXPECT_EQ(parsed<EmbedCall>(R"({"inputs":"s"})").inputs.size(), 1U);
  EXPECT_EQ(parsed<EmbedCall>(R"({"inputs":["s","t"]})").inputs.size(), 2U);
  const auto one = parsed<EmbedCall>(R"({"inputs":[101,7,102]})");
  ASSERT_EQ(one.token_inputs.size(), 1U);
  EXPECT_THAT(one.token_inputs[0].ids, ElementsAre(101, 7, 102));
  const auto two =
      parsed<EmbedCall>(R"({"inputs":[[101,102],[101,7,102]],"normalize":false,"dimensions":8})");
  ASSERT_EQ(two.token_inputs.size(), 2U);
  EXPECT_THAT(two.token_inputs[1].ids, ElementsAre(101, 7, 102));
  EXPECT_FALSE(two.normalize);
  EXPECT_EQ(two.dimensions, 8);
  EXPECT_THAT(refused<EmbedCall>(R"({"inputs":["s",[1]]})"), HasSubstr("mixed"));
  EXPECT_THAT(refused<EmbedCall>(R"({"inputs":[1,"s"]})"), HasSubstr("mixed"));
  EXPECT_THAT(refused<EmbedCall>(R"({"inputs":[1,-1]})"), HasSubstr("-1"));
  EXPECT_THAT(refused<EmbedCall>(R"({"inputs":[1,4294967296]})"), HasSubstr("4294967296"));
  EXPECT_THAT(refused<EmbedCall>(R"({"inputs":[1,1.5]})"), HasSubstr("1.5"));
}

TEST(SimilarityCall, IsTheSourceThenTheOthers) {
  const auto call =
      parsed<SimilarityCall>(R"({"inputs":{"sentences":["a","b"],"source_sentence":"s"}})");
  ASSERT_EQ(call.inputs.size(), 3U);
  EXPECT_EQ(shown(call.inputs[0]), "s");
  EXPECT_EQ(shown(call.inputs[2]), "b");
  EXPECT_THAT(refused<SimilarityCall>(R"({"inputs":{"sentences":["a"]}})"),
              HasSubstr("source_sentence"));
}

TEST(TokenizeAndDecodeCalls, Read) {
  EXPECT_THAT(parsed<TokenizeCall>(R"({"inputs":"a b"})").inputs, ElementsAre("a b"));
  const auto tokenize = parsed<TokenizeCall>(R"({"inputs":["a","b"],"add_special_tokens":false})");
  EXPECT_THAT(tokenize.inputs, ElementsAre("a", "b"));
  EXPECT_FALSE(tokenize.add_special_tokens);
  const auto decode = parsed<DecodeCall>(R"({"ids":[1,2],"skip_special_tokens":false})");
  EXPECT_THAT(decode.ids, ElementsAre(ElementsAre(1, 2)));
  EXPECT_FALSE(decode.skip_special_tokens);
  EXPECT_THAT(parsed<DecodeCall>(R"({"ids":[[1],[]]})").ids,
              ElementsAre(ElementsAre(1), ElementsAre()));
  EXPECT_THAT(refused<DecodeCall>(R"({"ids":"1"})"), HasSubstr("ids"));
}

TEST(Shape, SaysWhatIsAsked) {
  const auto shape_of = [](const std::string& body) {
    JsonReader reader;
    Shape shape;
    EXPECT_TRUE(look_at(body, reader, shape).ok()) << body;
    return shape;
  };
  EXPECT_TRUE(shape_of(R"({"query":"q","texts":[]})").has_texts);
  EXPECT_TRUE(shape_of(R"({"inputs":{"source_sentence":"s","sentences":[]}})").has_sentences);
  EXPECT_FALSE(shape_of(R"({"inputs":{"title":"s"}})").has_sentences);
  EXPECT_EQ(shape_of(R"({"inputs":"s","task":"t"})").task, "t");
  EXPECT_EQ(shape_of(R"({"inputs":"s"})").input, model::InputKind::text);
  EXPECT_EQ(shape_of(R"({"inputs":["a","b"]})").input, std::nullopt);
  EXPECT_TRUE(shape_of(R"({"left":"a","right":"b"})").has_row);
}

TEST(CountCharacters, CountsCodePoints) {
  const auto call = parsed<PredictCall>(R"({"inputs":[["é中a"],["x",{"f":"ü","g":"12"}]]})");
  EXPECT_EQ(count_characters(call.inputs), 3 + 1 + 3);
}

}  // namespace
}  // namespace tilewise::server::tei
