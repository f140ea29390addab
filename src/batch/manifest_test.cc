#include "batch/manifest.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/temporary_folder.h"

namespace tilewise::batch {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

const std::string kHash = "00112233445566778899aabbccddeeff";
const std::string kSha = kHash + kHash;

PartRecord part(int64_t index) {
  return {.input = {.index = index, .rows = 10, .hash = kHash},
          .rows = 9,
          .rejected = 2,
          .tokens = 70,
          .reused = 1,
          .answers = {.bytes = 123, .hash = kHash}};
}

Manifest example() {
  Manifest manifest;
  manifest.complete = true;
  manifest.settings = Settings({{"model", "\"abc\""}, {"top", "1"}, {"threshold", "null"}});
  manifest.inputs = {{.path = "a \"b\".jsonl", .bytes = 77, .sha256 = kSha}};
  manifest.catalogs = CatalogInfo{.records = 5, .rejected = 1, .files = manifest.inputs};
  manifest.since = "yesterday";
  manifest.seconds = 1.5;
  manifest.price = 0.36;
  manifest.parts = {part(0), part(2)};
  manifest.parts[1].rejections = {.bytes = 9, .hash = kHash};
  manifest.parts[1].scores = {.bytes = 0, .hash = kHash};
  manifest.parts[0].depths = {{"a", 1234567.5}, {"b", 14}};
  manifest.parts[1].depths = {{"b", 28}, {"a", 2}};
  return manifest;
}

TEST(Manifest, ReadsBackAsItWasWritten) {
  const auto read = parse_manifest(to_json(example()), "m");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_TRUE(read->complete);
  EXPECT_EQ(read->settings, example().settings);
  EXPECT_EQ(read->parts, example().parts);
  EXPECT_EQ(read->since, "yesterday");
  EXPECT_EQ(read->seconds, 1.5);
  EXPECT_EQ(read->price, 0.36);
  ASSERT_EQ(read->inputs.size(), 1u);
  EXPECT_EQ(read->inputs[0].path, "a \"b\".jsonl");
  EXPECT_EQ(read->inputs[0].sha256, kSha);
  ASSERT_TRUE(read->catalogs);
  EXPECT_EQ(read->catalogs->records, 5);
  EXPECT_EQ(to_json(*read), to_json(example()));
}

TEST(Manifest, SaysWhatWasDoneInAll) {
  // Two parts of 9 rows with 2 rejected each: 14 answers for 1.5 seconds of 0.36 USD an hour.
  const std::string json = to_json(example());
  EXPECT_THAT(json, HasSubstr("\"rows\":18,\"rejected\":4,\"tokens\":140,\"reused\":2"));
  EXPECT_THAT(json, HasSubstr("\"rows_per_s\":12,"));
  // 42 layers of 14 answers, and all digits of what is still to be added up.
  EXPECT_THAT(json, HasSubstr("\"depth\":{\"a\":88183.5,\"b\":3},"));
  EXPECT_THAT(json, HasSubstr("\"layers\":{\"a\":1234567.5,\"b\":14},"));
  EXPECT_THAT(json, HasSubstr("\"usd\":0.00015,\"usd_per_million\":10.7143"));
}

TEST(Manifest, NothingDoneIsStillJson) {
  Manifest empty;
  empty.price = 1;
  const auto read = parse_manifest(to_json(empty), "m");
  EXPECT_TRUE(read.ok()) << read.status().message();
}

TEST(Manifest, PathsNeedNotBeUtf8) {
  Manifest manifest = example();
  manifest.inputs[0].path = "\xFFx";
  const auto read = parse_manifest(to_json(manifest), "m");
  ASSERT_TRUE(read.ok()) << read.status().message();
  EXPECT_EQ(read->inputs[0].path, "\xEF\xBF\xBDx");
}

TEST(Manifest, PartsLieInOrderAndAreReplaced) {
  Manifest manifest;
  for (const int64_t index : {3, 1, 2}) manifest.set(part(index));
  PartRecord again = part(2);
  again.tokens = 5;
  manifest.set(again);
  ASSERT_EQ(manifest.parts.size(), 3u);
  EXPECT_EQ(manifest.parts[0].input.index, 1);
  EXPECT_EQ(manifest.parts[2].input.index, 3);
  ASSERT_NE(manifest.find(2), nullptr);
  EXPECT_EQ(manifest.find(2)->tokens, 5);
  EXPECT_EQ(manifest.find(0), nullptr);
  EXPECT_EQ(manifest.find(4), nullptr);
}

struct Damage {
  const char* from;
  const char* to;
  const char* where;
  const char* expected;
};

TEST(Manifest, DamageIsNamed) {
  const Damage cases[] = {
      {"\"version\":1", "\"version\":\"1\"", "m, version", "whole number"},
      {"\"status\":\"complete\"", "\"status\":\"done\"", "m, status", "complete or running"},
      {"\"settings\":{", "\"settings\":[],\"x\":{", "m, settings", "an object"},
      {"\"seconds\":1.5", "\"seconds\":-1", "m, seconds", "not negative"},
      {"\"inputs\":[", "\"inputs\":7,\"x\":[", "m, inputs", "an array"},
      {"\"bytes\":77", "\"bytes\":1e30", "m, inputs[0].bytes", "whole number"},
      {"\"part\":2", "\"part\":0", "m, parts", "rising"},
      {"\"part\":0", "\"part\":-1", "m, parts[0].part", "whole number from 0"},
      {"\"input_rows\":10", "\"input_rows\":0", "m, parts[0].input_rows", "from 1"},
      {"\"rows\":9", "\"rows\":11", "m, parts[0].rows", "at most input_rows"},
      {"\"rejected\":2", "\"rejected\":10", "m, parts[0].rejected", "at most rows"},
      {"\"answers\":{", "\"other\":{", "m, parts[0].answers", "a value"},
      {"\"input_xxh3\":\"00", "\"input_xxh3\":\"G0", "m, parts[0].input_xxh3", "32 hexadecimal"},
      {"\"reused\":1,", "", "m, parts[0].reused", "a value"},
      {"\"layers\":{", "\"layers\":[],\"x\":{", "m, parts[0].layers", "an object"},
      {"\"b\":14", "\"b\":-14", "m, parts[0].layers.b", "not negative"},
  };
  for (const Damage& damage : cases) {
    std::string json = to_json(example());
    // The totals have keys of the same names: what is meant stands in the parts.
    const size_t parts = json.find("\"parts\"");
    size_t at = json.find(damage.from, parts);
    if (at == std::string::npos) at = json.find(damage.from);
    ASSERT_NE(at, std::string::npos) << damage.from;
    json.replace(at, std::string(damage.from).size(), damage.to);
    const Status status = parse_manifest(json, "m").status();
    EXPECT_EQ(status.code(), StatusCode::invalid_input) << damage.to;
    EXPECT_THAT(status.problem().where, damage.where);
    EXPECT_THAT(status.problem().expected, HasSubstr(damage.expected)) << damage.to;
    EXPECT_THAT(status.message(), HasSubstr("--overwrite"));
  }
}

TEST(Manifest, NoJsonAndNewerVersionsAreRefused) {
  for (const char* text : {"", "{", "[]", "null", "{\"version\":1}", "\xFF"}) {
    EXPECT_EQ(parse_manifest(text, "m").status().code(), StatusCode::invalid_input) << text;
  }
  const Status newer = parse_manifest(R"({"version":2})", "m").status();
  EXPECT_EQ(newer.code(), StatusCode::unsupported);
  EXPECT_THAT(newer.message(), AllOf(HasSubstr("newer version"), HasSubstr("m")));
}

TEST(Manifest, ADirectoryWithoutOneHasNone) {
  const TemporaryFolder folder;
  const auto none = read_manifest(folder.path());
  ASSERT_TRUE(none.ok());
  EXPECT_FALSE(none->has_value());
  folder.write("_manifest.json", "{");
  EXPECT_THAT(read_manifest(folder.path()).status().problem().where, HasSubstr("/_manifest.json"));
}

TEST(Settings, DifferencesAreNamed) {
  const Settings a({{"model", "\"x\""}, {"top", "1"}, {"old", "true"}});
  const Settings b({{"model", "\"x\""}, {"top", "2"}, {"new", "null"}});
  EXPECT_THAT(a.differences(a), ElementsAre());
  EXPECT_THAT(a.differences(b), ElementsAre("top", "old", "new"));
  const std::vector<std::string> names = a.differences(b);
  EXPECT_EQ(a.describe(names), "top 1, old true, new not set");
}

TEST(Settings, InstructionSetsAddUp) {
  const auto isa = [](const char* name) { return Settings(std::vector<Setting>{{"isa", name}}); };
  Settings now = isa("\"avx2\"");
  now.add_isa_of(isa("\"avx2\""));
  EXPECT_EQ(now.find("isa"), "\"avx2\"");
  now.add_isa_of(isa("\"avx512\""));
  EXPECT_EQ(now.find("isa"), "\"avx512+avx2\"");
  Settings third = isa("\"avx512\"");
  third.add_isa_of(now);
  EXPECT_EQ(third.find("isa"), "\"avx512+avx2\"");
}

}  // namespace
}  // namespace tilewise::batch
