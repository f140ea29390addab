#include "artifact/metadata.h"

#include <bit>
#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include <gmock/gmock.h>

#include "artifact/golden.h"

namespace tilewise::artifact {
namespace {

using model::TaskKind;
using ::testing::HasSubstr;

std::string replaced(std::string text, const std::string& from, const std::string& to) {
  const size_t at = text.find(from);
  EXPECT_NE(at, text.npos) << from;
  return text.replace(at, from.size(), to);
}

TEST(MetadataTest, RoundTripOfAllFields) {
  const Metadata metadata = golden_metadata();
  ASSERT_TRUE(validate(metadata).ok()) << validate(metadata).message();
  const auto parsed = parse_metadata(to_json(metadata));
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(*parsed, metadata);
}

TEST(MetadataTest, RoundTripOfEveryName) {
  using namespace model;
  for (const auto kind : {TaskKind::binary, TaskKind::multiclass, TaskKind::multilabel,
                          TaskKind::regression, TaskKind::embedding}) {
    for (const auto truncation :
         {Truncation::longest_first, Truncation::only_first, Truncation::only_second}) {
      for (const auto activation : {Activation::identity, Activation::gelu_erf,
                                    Activation::gelu_tanh, Activation::relu, Activation::tanh}) {
        Metadata metadata = golden_metadata();
        metadata.precision = Precision::fp32;
        metadata.spec.activation = activation;
        TaskEntry entry = metadata.tasks[0];
        entry.task.kind = kind;
        entry.task.truncation = truncation;
        entry.task.threshold.reset();
        const size_t labels = kind == TaskKind::binary ? 1 : kind <= TaskKind::multilabel ? 2 : 0;
        entry.task.labels = std::vector<std::string>(labels, "same name twice is allowed");
        entry.has_dense = kind != TaskKind::embedding;
        entry.dense_activation = entry.has_dense ? activation : Activation::identity;
        metadata.tasks = {entry};
        const auto parsed = parse_metadata(to_json(metadata));
        ASSERT_TRUE(parsed.ok()) << parsed.status().message();
        EXPECT_EQ(*parsed, metadata);
      }
    }
  }
}

TEST(MetadataTest, RoundTripOfInt8) {
  const Metadata metadata = golden_int8_metadata();
  ASSERT_TRUE(validate(metadata).ok()) << validate(metadata).message();
  const std::string json = to_json(metadata);
  const auto parsed = parse_metadata(json);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(*parsed, metadata);

  const auto error = [](const std::string& text) {
    return parse_metadata(text).status().message();
  };
  EXPECT_THAT(error(replaced(json, "\"smoothed\":true", "\"smoothed\":1")),
              HasSubstr("linears[0].smoothed"));
  EXPECT_THAT(error(replaced(json, "\"error\":0.0123", "\"error\":\"\"")),
              HasSubstr("linears[0].error"));
  EXPECT_THAT(error(replaced(json, "\"error\":0.02", "\"error\":null")),
              HasSubstr("calibration[0].error"));
  EXPECT_THAT(error(replaced(json, "\"rows\":2", "\"rows\":2.0")),
              HasSubstr("calibration[0].rows"));
  EXPECT_THAT(error(replaced(json, "\"layers.0.ffn_up\"", "7")), HasSubstr("linears[2].layer"));
  EXPECT_THAT(error(replaced(json, "\"int8\"", "\"bf16\"")), HasSubstr("keys"));
}

TEST(MetadataTest, RoundTripOfExits) {
  const Metadata metadata = golden_exits_metadata();
  ASSERT_TRUE(validate(metadata).ok()) << validate(metadata).message();
  const std::string json = to_json(metadata);
  const auto parsed = parse_metadata(json);
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(*parsed, metadata);
  EXPECT_EQ(to_json(golden_metadata()).find("exits"), std::string::npos);  // older versions' bytes

  const auto error = [](const std::string& text) {
    return parse_metadata(text).status().message();
  };
  EXPECT_THAT(error(replaced(json, "\"after_layer\":2", "\"after_layer\":2.5")),
              HasSubstr("tasks[0].exits[0].after_layer"));
  EXPECT_THAT(error(replaced(json, "\"below\":9.25", "\"below\":\"\"")),
              HasSubstr("tasks[1].exits[0].below"));
  EXPECT_THAT(error(replaced(json, "\"below\":9.25", "\"below\":9.25,\"head\":1")),
              HasSubstr("tasks[1].exits[0]"));
  EXPECT_THAT(error(replaced(json, ",\"dense_norm\":false,\"exits\":[]", "")),
              HasSubstr("keys of its version"));
  EXPECT_THAT(error(replaced(to_json(golden_metadata()), "\"dense\":\"tanh\"",
                             "\"dense\":\"tanh\",\"dense_norm\":false,\"exits\":[]")),
              HasSubstr("keys of its version"));
  EXPECT_THAT(error(replaced(json, "\"exits\":[]", "\"exits\":{}")), HasSubstr("tasks[2].exits"));
}

TEST(MetadataTest, KeysOfTheEncoderThatVersion3Adds) {
  const std::string json = to_json(golden_exits_metadata());
  const auto error = [](const std::string& text) {
    return parse_metadata(text).status().message();
  };
  EXPECT_THAT(error(replaced(json, "\"gated\":true", "\"gated\":1")), HasSubstr("encoder.gated"));
  EXPECT_THAT(error(replaced(json, "\"rotary\"", "\"alibi\"")), HasSubstr("encoder.positions"));
  EXPECT_THAT(error(replaced(json, "\"pre\"", "\"both\"")), HasSubstr("encoder.norm_placement"));
  EXPECT_THAT(error(replaced(json, "\"window\":5", "\"window\":5.5")), HasSubstr("encoder.window"));
  EXPECT_THAT(error(replaced(json, "\"window\":5,", "")), HasSubstr("encoder.window"));

  // A single one of them is enough for the version, and then all are there.
  Metadata metadata = golden_metadata();
  EXPECT_EQ(to_json(metadata).find("window"), std::string::npos);
  metadata.spec.embedding_size = 7;
  const auto parsed = parse_metadata(to_json(metadata));
  ASSERT_TRUE(parsed.ok()) << parsed.status().message();
  EXPECT_EQ(*parsed, metadata);
}

TEST(MetadataTest, FloatsComeBackExactly) {
  Metadata metadata = golden_metadata();
  std::vector<float> values = {
      0.0f, -0.0f, 0.1f, 1e-45f, 1.17549435e-38f, 3.40282347e38f, -1.0f,
      // the only float32 whose shortest text, read as a double, rounds to its neighbour
      7.038531e-26f, -7.038531e-26f};
  for (uint32_t bits = 1; bits < 0x7f800000U; bits += 1234577)
    values.push_back(std::bit_cast<float>(bits));
  for (const float value : values) {
    metadata.tasks[0].task.threshold = value;
    const auto parsed = parse_metadata(to_json(metadata));
    ASSERT_TRUE(parsed.ok()) << value << ": " << parsed.status().message();
    const float found = parsed->tasks[0].task.threshold.value();
    EXPECT_EQ(std::bit_cast<uint32_t>(found), std::bit_cast<uint32_t>(value)) << value;
  }
}

TEST(MetadataTest, TextsComeBackExactly) {
  Metadata metadata = golden_metadata();
  std::string every_ascii;
  for (int c = 0; c < 128; ++c) every_ascii += static_cast<char>(c);
  for (const std::string& text :
       {every_ascii, std::string("\0", 1), std::string("</script>\u2028\u00ad\uffff\U0010ffff")}) {
    metadata.tasks[0].task.labels = {text};
    metadata.tasks[0].task.record_template.fields = {{text, text}};
    metadata.tasks[0].task.record_template.separator = text;
    const auto parsed = parse_metadata(to_json(metadata));
    ASSERT_TRUE(parsed.ok()) << parsed.status().message();
    EXPECT_EQ(*parsed, metadata);
  }
}

TEST(MetadataTest, OnlyTheCanonicalFormIsRead) {
  const std::string json = to_json(golden_metadata());
  const auto error = [](const std::string& text) {
    const auto parsed = parse_metadata(text);
    EXPECT_FALSE(parsed.ok());
    if (parsed.ok()) return std::string();
    EXPECT_EQ(parsed.status().code(), StatusCode::invalid_input);
    return parsed.status().message();
  };
  EXPECT_THAT(error(json + " "), HasSubstr("canonical"));
  EXPECT_THAT(error(replaced(json, "\"layers\":1", "\"layers\": 1")), HasSubstr("canonical"));
  EXPECT_THAT(error(replaced(json, "1e-12", "1.0e-12")), HasSubstr("canonical"));
  EXPECT_THAT(error(replaced(json, "-0.6787", "-0.67870")), HasSubstr("canonical"));
  EXPECT_THAT(error(replaced(json, "-0.6787", "-0.67870001")), HasSubstr("canonical"));
  EXPECT_THAT(error(replaced(json, "title", "\\u0074itle")), HasSubstr("canonical"));
  EXPECT_THAT(error(replaced(json, "\"hidden\":4,\"layers\":1", "\"layers\":1,\"hidden\":4")),
              HasSubstr("canonical"));
  EXPECT_THAT(error(replaced(json, "\"layers\":1", "\"layers\":1,\"depth\":1")),
              HasSubstr("unknown"));
  EXPECT_THAT(error(replaced(json, "\"layers\":1", "\"layers\":1,\"layers\":1")),
              HasSubstr("twice"));
  EXPECT_THAT(error(replaced(json, "\"layers\":1,", "")), HasSubstr("encoder.layers"));
  EXPECT_THAT(error(replaced(json, "\"layers\":1", "\"layers\":1.0")), HasSubstr("encoder.layers"));
  EXPECT_THAT(error(replaced(json, "\"layers\":1", "\"layers\":4294967297")),
              HasSubstr("encoder.layers"));
  EXPECT_THAT(error(replaced(json, "\"layers\":1", "\"layers\":\"1\"")), HasSubstr("found \"1\""));
  EXPECT_THAT(error(replaced(json, "-0.6787", "1e39")), HasSubstr("tasks[0].threshold"));
  EXPECT_THAT(error(replaced(json, "-0.6787", "true")), HasSubstr("tasks[0].threshold"));
  EXPECT_THAT(error(replaced(json, "\"normalize\":false", "\"normalize\":0")),
              HasSubstr("normalize"));
  EXPECT_THAT(error(replaced(json, "\"binary\"", "\"ternary\"")), HasSubstr("tasks[0].kind"));
  EXPECT_THAT(error(replaced(json, "\"bf16\"", "\"int4\"")), HasSubstr("precision"));
  EXPECT_THAT(error(replaced(json, "\"bf16\"", "\"int8\"")), HasSubstr("linears"));
  EXPECT_THAT(error(replaced(json, "logsumexp", "energy")), HasSubstr("out_of_scope.score"));
  EXPECT_THAT(error(replaced(json, "[\"title\",", "[\"title\",\"a\",")),
              HasSubstr("a name and a prefix"));
  EXPECT_THAT(error(replaced(json, "\"tasks\":[", "\"tasks\":[7,")), HasSubstr("tasks[0]"));
  EXPECT_THAT(error(replaced(json, "\"dense\":\"tanh\"", "\"dense\":\"sinh\"")),
              HasSubstr("dense"));
  EXPECT_THAT(error(replaced(json, "title", "\xff")), HasSubstr("JSON"));
  EXPECT_THAT(error(""), HasSubstr("JSON"));
  EXPECT_THAT(error("[]"), HasSubstr("an object"));
  EXPECT_THAT(error(std::string(5000, '[')), HasSubstr("JSON"));
}

// One change each that takes a value out of its range.
struct Wrong {
  const char* field;
  std::function<void(Metadata&)> change;
};

TEST(MetadataTest, EveryRangeIsChecked) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::string bad_utf8 = "\xc3\x28";
  const std::vector<Wrong> cases = {
      {"compiler", [](Metadata& m) { m.compiler.clear(); }},
      {"compiler", [](Metadata& m) { m.compiler = std::string(65, 'a'); }},
      {"linears", [](Metadata& m) { m.precision = model::Precision::int8; }},
      {"linears", [](Metadata& m) { m.linears = golden_int8_metadata().linears; }},
      {"calibration", [](Metadata& m) { m.calibration = golden_int8_metadata().calibration; }},
      {"encoder.family", [](Metadata& m) { m.spec.family = ""; }},
      {"encoder.family", [](Metadata& m) { m.spec.family = "BERT"; }},
      {"encoder.vocab_size", [](Metadata& m) { m.spec.vocab_size = 0; }},
      {"encoder.vocab_size", [](Metadata& m) { m.spec.vocab_size = (1 << 22) + 1; }},
      {"encoder.hidden", [](Metadata& m) { m.spec.hidden = 0; }},
      {"encoder.hidden", [](Metadata& m) { m.spec.hidden = -4; }},
      {"encoder.hidden", [](Metadata& m) { m.spec.hidden = 65538; }},
      {"encoder.hidden", [](Metadata& m) { m.spec.hidden = 5; }},
      {"encoder.hidden / encoder.heads", [](Metadata& m) { m.spec.hidden = 514; }},
      {"encoder.layers", [](Metadata& m) { m.spec.layers = 0; }},
      {"encoder.layers", [](Metadata& m) { m.spec.layers = 1025; }},
      {"encoder.heads", [](Metadata& m) { m.spec.heads = 0; }},
      {"encoder.heads", [](Metadata& m) { m.spec.heads = 4097; }},
      {"encoder.intermediate", [](Metadata& m) { m.spec.intermediate = 0; }},
      {"encoder.intermediate", [](Metadata& m) { m.spec.intermediate = 262145; }},
      {"encoder.max_positions", [](Metadata& m) { m.spec.max_positions = 1; }},
      {"encoder.max_positions", [](Metadata& m) { m.spec.max_positions = (1 << 20) + 1; }},
      {"encoder.token_types", [](Metadata& m) { m.spec.token_types = -1; }},
      {"encoder.token_types", [](Metadata& m) { m.spec.token_types = 1025; }},
      {"encoder.norm_epsilon", [](Metadata& m) { m.spec.norm_epsilon = 0; }},
      {"encoder.norm_epsilon", [](Metadata& m) { m.spec.norm_epsilon = 1.5f; }},
      {"encoder.norm_epsilon", [=](Metadata& m) { m.spec.norm_epsilon = kNan; }},
      {"tasks", [](Metadata& m) { m.tasks.clear(); }},
      {"tasks[0].name", [](Metadata& m) { m.tasks[0].task.name = ""; }},
      {"tasks[0].name", [](Metadata& m) { m.tasks[0].task.name = ".."; }},
      {"tasks[0].name", [](Metadata& m) { m.tasks[0].task.name = "a/b"; }},
      {"tasks[0].name", [](Metadata& m) { m.tasks[0].task.name = "a b"; }},
      {"tasks[0].name", [](Metadata& m) { m.tasks[0].task.name = "a\n"; }},
      {"tasks[0].name", [](Metadata& m) { m.tasks[0].task.name = "caf\u00e9"; }},
      {"tasks[0].name", [](Metadata& m) { m.tasks[0].task.name = std::string(129, 'a'); }},
      {"tasks[1].name", [](Metadata& m) { m.tasks[1].task.name = "duplicate"; }},
      {"tasks[0].labels", [](Metadata& m) { m.tasks[0].task.labels.clear(); }},
      {"tasks[0].labels", [](Metadata& m) { m.tasks[0].task.labels = {"a", "b"}; }},
      {"tasks[1].labels", [](Metadata& m) { m.tasks[1].task.labels = {"a"}; }},
      {"tasks[1].labels[1]", [](Metadata& m) { m.tasks[1].task.labels[1] = ""; }},
      {"tasks[1].labels[1]", [=](Metadata& m) { m.tasks[1].task.labels[1] = bad_utf8; }},
      {"tasks[2].labels", [](Metadata& m) { m.tasks[2].task.labels = {"a"}; }},
      {"tasks[2].labels",
       [](Metadata& m) {
         m.tasks[2].task.kind = TaskKind::regression;
         m.tasks[2].task.normalize = false;
         m.tasks[2].task.labels = {"a"};
       }},
      {"tasks[0].input", [](Metadata& m) { m.spec.token_types = 1; }},
      {"tasks[0].max_tokens", [](Metadata& m) { m.tasks[0].task.max_tokens = 2; }},
      {"tasks[0].max_tokens", [](Metadata& m) { m.tasks[0].task.max_tokens = 17; }},
      {"tasks[1].max_tokens", [](Metadata& m) { m.tasks[1].task.max_tokens = 1; }},
      {"tasks[1].truncation",
       [](Metadata& m) { m.tasks[1].task.truncation = model::Truncation::only_second; }},
      {"tasks[0].template.fields[0]",
       [](Metadata& m) { m.tasks[0].task.record_template.fields[0].name = ""; }},
      {"tasks[0].template.fields[0]",
       [=](Metadata& m) { m.tasks[0].task.record_template.fields[0].prefix = bad_utf8; }},
      {"tasks[0].template.fields[1]",
       [](Metadata& m) { m.tasks[0].task.record_template.fields.push_back({"title", "again "}); }},
      {"tasks[0].template.separator",
       [](Metadata& m) { m.tasks[0].task.record_template.separator = std::string(4097, ' '); }},
      {"tasks[0].threshold", [=](Metadata& m) { m.tasks[0].task.threshold = kNan; }},
      {"tasks[0].threshold", [=](Metadata& m) { m.tasks[0].task.threshold = -kInfinity; }},
      {"tasks[1].threshold", [](Metadata& m) { m.tasks[1].task.threshold = 0.0f; }},
      {"tasks[0].temperature", [](Metadata& m) { m.tasks[0].task.temperature = 0; }},
      {"tasks[0].temperature", [](Metadata& m) { m.tasks[0].task.temperature = -1; }},
      {"tasks[0].temperature", [=](Metadata& m) { m.tasks[0].task.temperature = kInfinity; }},
      {"tasks[0].temperature", [=](Metadata& m) { m.tasks[0].task.temperature = kNan; }},
      {"tasks[1].out_of_scope.below",
       [=](Metadata& m) { m.tasks[1].task.out_of_scope->below = kNan; }},
      {"tasks[0].out_of_scope",
       [](Metadata& m) { m.tasks[0].task.out_of_scope = model::OutOfScope{}; }},
      {"tasks[0].normalize", [](Metadata& m) { m.tasks[0].task.normalize = true; }},
      {"tasks[2].dense", [](Metadata& m) { m.tasks[2].has_dense = true; }},
      {"numerics[0].operators", [](Metadata& m) { m.numerics[0].operators = ""; }},
      {"numerics[1].stored_as",
       [](Metadata& m) { m.numerics[1].stored_as = std::string(257, 'a'); }},
      {"provenance.architecture", [=](Metadata& m) { m.provenance.architecture = bad_utf8; }},
      {"provenance.sources[0].file", [](Metadata& m) { m.provenance.sources[0].file = "/a"; }},
      {"provenance.sources[0].file", [](Metadata& m) { m.provenance.sources[0].file = "a/../b"; }},
      {"provenance.sources[0].sha256",
       [](Metadata& m) { m.provenance.sources[0].sha256.pop_back(); }},
      {"provenance.sources[0].sha256",
       [](Metadata& m) { m.provenance.sources[0].sha256[0] = 'A'; }},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    Metadata metadata = golden_metadata();
    cases[i].change(metadata);
    const Status status = validate(metadata);
    EXPECT_EQ(status.code(), StatusCode::invalid_input) << "case " << i << ", " << cases[i].field;
    EXPECT_EQ(status.problem().where, cases[i].field) << "case " << i;
    EXPECT_NE(status.problem().expected, "") << "case " << i;
    EXPECT_NE(status.problem().found, "") << "case " << i;
  }
}

TEST(MetadataTest, EveryRangeOfTheEncoderOfVersion3IsChecked) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const std::vector<Wrong> cases = {
      {"encoder.embedding_size", [](Metadata& m) { m.spec.embedding_size = -1; }},
      {"encoder.embedding_size", [](Metadata& m) { m.spec.embedding_size = m.spec.hidden; }},
      {"encoder.hidden / encoder.heads", [](Metadata& m) { m.spec.heads = 4; }},
      {"encoder.rotary_base", [](Metadata& m) { m.spec.rotary_base = 1; }},
      {"encoder.rotary_base", [](Metadata& m) { m.spec.rotary_base = kInfinity; }},
      {"encoder.rotary_base", [](Metadata& m) { m.spec.positions = model::Positions::learned; }},
      {"encoder.rotary_base_local", [](Metadata& m) { m.spec.rotary_base_local = 0; }},
      {"encoder.rotary_base_local",
       [](Metadata& m) {
         m.spec.window = 0;
         m.spec.global_every = 1;
       }},
      {"encoder.window", [](Metadata& m) { m.spec.window = -1; }},
      {"encoder.global_every", [](Metadata& m) { m.spec.global_every = 1; }},
      {"encoder.global_every",
       [](Metadata& m) {
         m.spec.window = 0;
         m.spec.rotary_base_local = 0;
       }},
      {"encoder.relative_buckets", [](Metadata& m) { m.spec.relative_buckets = 6; }},
      {"encoder.relative_buckets", [](Metadata& m) { m.spec.relative_buckets = -4; }},
      {"encoder.relative_distance", [](Metadata& m) { m.spec.relative_distance = 2; }},
      {"encoder.relative_distance", [](Metadata& m) { m.spec.relative_buckets = 0; }},
      {"tasks[1].dense_norm", [](Metadata& m) { m.tasks[1].dense_norm = true; }},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    Metadata metadata = golden_exits_metadata();
    cases[i].change(metadata);
    const Status status = validate(metadata);
    EXPECT_EQ(status.code(), StatusCode::invalid_input) << "case " << i << ", " << cases[i].field;
    EXPECT_EQ(status.problem().where, cases[i].field) << "case " << i;
  }
}

TEST(MetadataTest, EveryRangeOfExitsIsChecked) {
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const auto first = [](Metadata& m) -> model::Exit& { return m.tasks[1].task.exits[0]; };
  const std::vector<Wrong> cases = {
      {"tasks[1].exits[0].after_layer", [=](Metadata& m) { first(m).after_layer = 0; }},
      {"tasks[1].exits[0].after_layer", [=](Metadata& m) { first(m).after_layer = 3; }},
      {"tasks[1].exits[1].after_layer", [=](Metadata& m) { first(m).after_layer = 2; }},
      {"tasks[0].exits[0].after_layer", [](Metadata& m) { m.spec.layers = 1; }},
      {"tasks[1].exits[0].confidence", [=](Metadata& m) { first(m).confidence = 0.5f; }},
      {"tasks[1].exits[0].confidence", [=](Metadata& m) { first(m).confidence = 1.0001f; }},
      {"tasks[1].exits[0].confidence", [=](Metadata& m) { first(m).confidence = kNan; }},
      {"tasks[0].exits[0].confidence",
       [](Metadata& m) { m.tasks[0].task.exits[0].confidence = 0.5f; }},
      {"tasks[1].exits[0].temperature", [=](Metadata& m) { first(m).temperature = 0; }},
      {"tasks[1].exits[0].temperature", [=](Metadata& m) { first(m).temperature = kInfinity; }},
      {"tasks[1].exits[0].below", [=](Metadata& m) { first(m).below = kNan; }},
      {"tasks[1].exits[0].below", [=](Metadata& m) { first(m).below.reset(); }},
      {"tasks[0].exits[0].below", [](Metadata& m) { m.tasks[0].task.exits[0].below = 1.0f; }},
      {"tasks[2].exits",
       [](Metadata& m) { m.tasks[2].task.exits = {{.after_layer = 1, .confidence = 0.9f}}; }},
      {"tasks[2].exits",
       [](Metadata& m) {
         m.tasks[2].task.kind = TaskKind::regression;
         m.tasks[2].task.normalize = false;
         m.tasks[2].task.exits = {{.after_layer = 1, .confidence = 0.9f}};
       }},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    Metadata metadata = golden_exits_metadata();
    cases[i].change(metadata);
    const Status status = validate(metadata);
    EXPECT_EQ(status.code(), StatusCode::invalid_input) << "case " << i << ", " << cases[i].field;
    EXPECT_EQ(status.problem().where, cases[i].field) << "case " << i;
  }
  Metadata metadata = golden_exits_metadata();
  metadata.tasks[1].task.labels = {"a", "b", "c", "d"};
  metadata.tasks[1].task.exits[0].confidence = 0.2501f;
  EXPECT_TRUE(validate(metadata).ok());
  metadata.tasks[1].task.exits[0].confidence = 0.25f;
  EXPECT_FALSE(validate(metadata).ok());
}

TEST(MetadataTest, EveryRangeOfInt8IsChecked) {
  using enum model::Precision;
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  const std::vector<Wrong> cases = {
      {"linears", [](Metadata& m) { m.linears.pop_back(); }},
      {"linears", [](Metadata& m) { m.linears.push_back(m.linears[0]); }},
      {"linears[0].layer", [](Metadata& m) { std::swap(m.linears[0], m.linears[2]); }},
      {"linears[3].layer", [](Metadata& m) { m.linears[3].layer = "layers.0.qkv"; }},
      {"linears[2].precision", [](Metadata& m) { m.linears[2].precision = fp32; }},
      {"linears[3].precision", [](Metadata& m) { m.spec.intermediate = 65537; }},
      {"linears[1]", [](Metadata& m) { m.linears[1].is_smoothed = true; }},
      {"linears[1]", [](Metadata& m) { m.linears[1].input_floor = 0.0f; }},
      {"linears[3].input_floor", [=](Metadata& m) { m.linears[3].input_floor = kNan; }},
      {"linears[0].error", [](Metadata& m) { m.linears[0].error = -0.1f; }},
      {"linears[0].error", [=](Metadata& m) { m.linears[0].error = kNan; }},
      {"calibration[1].task", [](Metadata& m) { m.calibration[1].task = "intent"; }},
      {"calibration[1].task", [](Metadata& m) { m.calibration[1].task = "nothing"; }},
      {"calibration[0].rows", [](Metadata& m) { m.calibration[0].rows = 0; }},
      {"calibration[0].sha256", [](Metadata& m) { m.calibration[0].sha256 = "0"; }},
      {"calibration[0].error", [=](Metadata& m) { m.calibration[0].error = kNan; }},
  };
  for (size_t i = 0; i < cases.size(); ++i) {
    Metadata metadata = golden_int8_metadata();
    cases[i].change(metadata);
    const Status status = validate(metadata);
    EXPECT_EQ(status.code(), StatusCode::invalid_input) << "case " << i << ", " << cases[i].field;
    EXPECT_EQ(status.problem().where, cases[i].field) << "case " << i;
  }
  Metadata metadata = golden_int8_metadata();
  metadata.spec.intermediate = 65536;
  EXPECT_TRUE(validate(metadata).ok());
}

}  // namespace
}  // namespace tilewise::artifact
