#include "server/kserve/model_json.h"

#include <gtest/gtest.h>

namespace tilewise::server::kserve {
namespace {

ModelDescription sample() {
  return {.name = "m.intent",
          .versions = {"3"},
          .inputs = {{"text", "BYTES", {-1, 1}}, {"input_ids", "INT64", {-1, -1}}},
          .outputs = {{"logits", "FP32", {-1, 5}}, {"label", "BYTES", {-1}}}};
}

TEST(ModelJson, Metadata) {
  EXPECT_EQ(metadata_json(sample()),
            R"({"name":"m.intent","versions":["3"],"platform":"tilewise","inputs":[)"
            R"({"name":"text","datatype":"BYTES","shape":[-1,1]},)"
            R"({"name":"input_ids","datatype":"INT64","shape":[-1,-1]}],"outputs":[)"
            R"({"name":"logits","datatype":"FP32","shape":[-1,5]},)"
            R"({"name":"label","datatype":"BYTES","shape":[-1]}]})");
}

TEST(ModelJson, ConfigurationLeavesTheBatchDimensionOut) {
  EXPECT_EQ(
      config_json(sample(), 256, 2),
      R"({"name":"m.intent","platform":"tilewise","backend":"tilewise",)"
      R"("version_policy":{"latest":{"num_versions":1}},"max_batch_size":256,"input":[)"
      R"({"name":"text","data_type":"TYPE_STRING","dims":[1],"optional":true},)"
      R"({"name":"input_ids","data_type":"TYPE_INT64","dims":[-1],"optional":true}],"output":[)"
      R"({"name":"logits","data_type":"TYPE_FP32","dims":[5]},)"
      R"({"name":"label","data_type":"TYPE_STRING","dims":[1],"reshape":{"shape":[]}}],)"
      R"("instance_group":[{"name":"replicas","kind":"KIND_CPU","count":2}]})");
}

TEST(ModelJson, Statistics) {
  const Metrics::Totals totals = {.success = 3,
                                  .failure = 1,
                                  .inputs = 12,
                                  .passes = 2,
                                  .cache_hits = 4,
                                  .success_seconds = 0.006,
                                  .failure_seconds = 1e-6,
                                  .queue_seconds = 0.001,
                                  .tokenize_seconds = 0.0005,
                                  .compute_seconds = 0.004};
  EXPECT_EQ(statistics_json({{"m", "3", totals}}),
            R"({"model_stats":[{"name":"m","version":"3","inference_count":12,)"
            R"("execution_count":2,"inference_stats":{"success":{"count":3,"ns":6000000},)"
            R"("fail":{"count":1,"ns":1000},"queue":{"count":3,"ns":1000000},)"
            R"("compute_input":{"count":3,"ns":500000},"compute_infer":{"count":3,"ns":4000000},)"
            R"("compute_output":{"count":3,"ns":0},"cache_hit":{"count":4,"ns":0}},)"
            R"("batch_stats":[]}]})");
}

TEST(ModelJson, Index) {
  std::vector<engine::RepositoryEntry> entries(2);
  entries[0] = {.name = "a",
                .version = "2",
                .path = "a/2.tw",
                .is_ready = true,
                .reason = "",
                .model = nullptr};
  entries[1] = {.name = "b",
                .version = "1",
                .path = "b/1.tw",
                .is_ready = false,
                .reason = "it is broken",
                .model = nullptr};
  const std::string a = R"({"name":"a","version":"2","state":"READY","reason":"","tasks":[]})";
  const std::string b =
      R"({"name":"b","version":"1","state":"UNAVAILABLE","reason":"it is broken","tasks":[]})";
  EXPECT_EQ(index_json(entries, false), "[" + a + "," + b + "]");
  EXPECT_EQ(index_json(entries, true), "[" + a + "]");
}

TEST(ModelJson, BodiesOfTheRepositoryExtension) {
  EXPECT_FALSE(*parse_only_ready(""));
  EXPECT_FALSE(*parse_only_ready("{}"));
  EXPECT_TRUE(*parse_only_ready(R"({"ready": true})"));
  for (const char* body : {"[", "[]", R"({"ready": 1})", "{\"a\":\"\xFF\"}"}) {
    EXPECT_EQ(parse_only_ready(body).status().code(), StatusCode::invalid_argument) << body;
  }
  for (const char* body : {"", "{}", R"({"parameters": {"unload_dependents": true}})"}) {
    EXPECT_TRUE(check_repository_parameters(body).ok()) << body;
  }
  for (const char* name : {"config", "file:1/model.tw"}) {
    const Status status =
        check_repository_parameters(R"({"parameters": {")" + std::string(name) + R"(": "x"}})");
    EXPECT_EQ(status.code(), StatusCode::unsupported) << name;
  }
}

}  // namespace
}  // namespace tilewise::server::kserve
