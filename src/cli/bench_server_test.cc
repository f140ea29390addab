#include "cli/bench_server.h"

#include <cmath>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cli/bench_requests.h"
#include "cli/child_server.h"
#include "cli/cpu_list.h"

namespace tilewise::cli {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

const RequestForm kForm = {
    .url = {.host = "h", .port = "80"}, .model = "intent", .output = "label"};

std::string body(const client::PreparedRequest& request) {
  return request.bytes.substr(request.bytes.find("\r\n\r\n") + 4);
}

TEST(BenchRequests, AText) {
  const auto request = make_request(kForm, model::TextInput{std::string("say \"hi\"")}, false);
  EXPECT_EQ(body(request),
            R"({"inputs":[{"name":"text","shape":[1],"datatype":"BYTES","data":["say \"hi\""]}],)"
            R"("outputs":[{"name":"label"}]})");
  EXPECT_THAT(request.bytes, testing::StartsWith("POST /v2/models/intent/infer HTTP/1.1\r\n"
                                                 "Host: h:80\r\n"));
  EXPECT_THAT(request.bytes,
              HasSubstr("\r\nContent-Length: " + std::to_string(body(request).size()) + "\r\n"));
  EXPECT_THAT(request.bytes, Not(HasSubstr("deadline")));
}

TEST(BenchRequests, APairOfRecordsAndAll) {
  RequestForm form = kForm;
  form.url.path = "/there";
  form.both_orders = true;
  form.deadline_ms = 12.5;
  const model::Record record = {{{"title", "a \"b\""}, {"price", "3"}}};
  const auto request = make_request(form, model::PairInput{record, std::string("c")}, true);
  EXPECT_THAT(request.bytes, HasSubstr("POST /there/v2/models/intent/infer "));
  EXPECT_THAT(request.bytes, HasSubstr("\r\nx-deadline-ms: 12.5\r\n"));
  EXPECT_EQ(
      body(request),
      R"({"parameters":{"truncate":true,"both_orders":true},"inputs":[)"
      R"({"name":"left","shape":[1],"datatype":"BYTES","data":["{\"title\":\"a \\\"b\\\"\",\"price\":\"3\"}"]},)"
      R"({"name":"right","shape":[1],"datatype":"BYTES","data":["c"]}],"outputs":[{"name":"label"}]})");
}

TEST(BenchRequests, AnswersAreRead) {
  const char* good =
      R"({"model_name":"m","outputs":[{"name":"x","data":[1]},{"name":"label","shape":[1],"data":["play"]}]})";
  const auto answer = read_answer({200, good}, "label");
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_THAT(answer->texts, ElementsAre("play"));
  EXPECT_THAT(read_answer({200, good}, "x")->numbers, ElementsAre(1.0F));
  EXPECT_FALSE(read_answer({200, good}, "scores").ok());
  EXPECT_FALSE(read_answer({500, good}, "label").ok());
  EXPECT_FALSE(read_answer({200, "<html>"}, "label").ok());
  EXPECT_FALSE(read_answer({200, R"({"outputs":[{"name":"label","data":[null]}]})"}, "label").ok());
}

TEST(BenchRequests, AnswersAreCompared) {
  const Answer one{.numbers = {1, 2}}, near{.numbers = {1, 2.05}}, longer{.numbers = {1, 2, 3}};
  EXPECT_TRUE(agree(one, one, 0));
  EXPECT_FALSE(agree(one, near, 0));
  EXPECT_TRUE(agree(one, near, 0.1));
  EXPECT_FALSE(agree(one, longer, 0.1));
  EXPECT_FALSE(agree({.texts = {"a"}}, {.texts = {"b"}}, 1));
  EXPECT_FALSE(agree({.numbers = {NAN}}, {.numbers = {NAN}}, 1)) << "no number is right";
}

TEST(BenchRequests, WhatATaskIsAskedFor) {
  model::Task task;
  task.kind = model::TaskKind::multiclass;
  task.labels = {"a", "b"};
  EXPECT_EQ(output_for(task), "label");
  EXPECT_THAT(expected_answer(task, {.labels = {{1, 0.9F}}}).texts, ElementsAre("b"));
  EXPECT_THAT(expected_answer(task, {.labels = {{1, 0.9F}}, .out_of_scope = true}).texts,
              ElementsAre(""));
  task.kind = model::TaskKind::binary;
  EXPECT_EQ(output_for(task), "scores");
  EXPECT_THAT(expected_answer(task, {.score = 0.25F}).numbers, ElementsAre(0.25));
  task.kind = model::TaskKind::regression;
  EXPECT_EQ(output_for(task), "logits");
  EXPECT_THAT(expected_answer(task, {.logits = {-3}}).numbers, ElementsAre(-3.0));
}

TEST(BenchRequests, OrderIsTheSeeds) {
  const auto order = shuffled(100, 1);
  EXPECT_EQ(order, shuffled(100, 1));
  EXPECT_NE(order, shuffled(100, 2));
  auto sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (size_t i = 0; i < sorted.size(); ++i) EXPECT_EQ(sorted[i], i);
}

TEST(ChildServer, ReadsItsAddress) {
  EXPECT_EQ(address_in("10:00:00 info: listening on http://127.0.0.1:8080; 1 replica"),
            "http://127.0.0.1:8080");
  EXPECT_EQ(address_in("listening on http://[::1]:80 and grpc://[::1]:81; x"), "http://[::1]:80");
  EXPECT_EQ(address_in("listening on nothing"), "");
  EXPECT_EQ(address_in("error"), "");
  EXPECT_EQ(describe_end(0), "exit code 0");
  EXPECT_EQ(describe_end(9), "signal 9 (Killed)");
}

TEST(CpuList, ParsesAndRefuses) {
  const std::vector<int32_t> allowed = allowed_cpus();
  ASSERT_FALSE(allowed.empty());
  const std::string first = std::to_string(allowed.front());
  EXPECT_EQ(*parse_cpus(first + "," + first + "-" + first, "--x"),
            std::vector<int32_t>{allowed.front()});
  for (const char* text : {"", "a", "1-", "3-1", "0,", "-1", "0 1", "99999"}) {
    EXPECT_FALSE(parse_cpus(text, "--x").ok()) << text;
  }
  {
    const OnCpus there({allowed.back()});
    EXPECT_EQ(allowed_cpus(), std::vector<int32_t>{allowed.back()});
  }
  EXPECT_EQ(allowed_cpus(), allowed);
}

ServerBenchReport example() {
  ServerBenchReport report;
  report.common.scenario = "server";
  report.common.task = "intent";
  report.common.measured.rows = 3;
  report.common.measured.seconds = 2;
  report.common.measured.latencies = {0.001, 0.002, 0.012};
  report.connections = 8;
  report.checked = "3 answers equal the engine's";
  client::LoadResult& load = report.load.emplace();
  load.rate = 100;
  load.seconds = 2;
  load.sent = 5;
  load.accepted = {0.001, 0.002, 0.012};
  load.refused = {0.003};
  load.statuses = {{200, 3}, {429, 1}};
  load.failures = 1;
  load.in_time = 2;
  report.offline_rate = 125;
  report.cost = ServerCost{.cpu_seconds = 150e-6, .model_seconds = 120e-6, .end = "exit code 0"};
  return report;
}

TEST(ServerBenchReport, Numbers) {
  const std::string json = to_json(example());
  EXPECT_THAT(json, HasSubstr("\"rows\":3,"));
  EXPECT_THAT(json, HasSubstr("\"rows_per_s\":1.5,"));
  EXPECT_THAT(json, HasSubstr("\"latency_ms\":{\"p50\":2,\"p90\":12,\"p99\":12,\"max\":12}"));
  EXPECT_THAT(json, HasSubstr("\"offline_rows_per_s\":125,\"share_of_offline\":0.8,"));
  EXPECT_THAT(json, HasSubstr("\"goodput_per_s\":1,\"refused_share\":0.2,"));
  EXPECT_THAT(json, HasSubstr("\"refused_ms\":{\"p50\":3,\"p99\":3,\"max\":3}"));
  EXPECT_THAT(json, HasSubstr("\"statuses\":{\"200\":3,\"429\":1}"));
  EXPECT_THAT(json, HasSubstr("\"cpu_us_per_request\":150,\"model_us_per_request\":120,"
                              "\"outside_us_per_request\":30,"));
  EXPECT_THAT(describe(example()), HasSubstr("80.0 %"));
  EXPECT_THAT(describe(example()), HasSubstr("30.0 us outside"));
}

TEST(ServerBenchReport, AGeneratorThatIsTooLateSaysSo) {
  ServerBenchReport report = example();
  report.load->send_lag_p99 = 0.9e-3;
  EXPECT_FALSE(report.is_worthless());
  EXPECT_THAT(to_json(report), HasSubstr("\"generator_too_late\":false"));
  report.load->send_lag_p99 = 1.1e-3;
  EXPECT_TRUE(report.is_worthless());
  EXPECT_THAT(to_json(report), HasSubstr("\"generator_too_late\":true"));
  EXPECT_THAT(describe(report), HasSubstr("TOO LATE"));
}

TEST(ServerBenchReport, NothingHeldAndNothingKnown) {
  ServerBenchReport report;
  report.url = "http://h:1";
  report.common.measured.seconds = 1;
  EXPECT_THAT(to_json(report), HasSubstr("\"rate\":0,"));
  EXPECT_THAT(to_json(report), HasSubstr("\"precision\":null,"));
  EXPECT_THAT(to_json(report), Not(HasSubstr("\"server\":")));
  EXPECT_THAT(describe(report), HasSubstr("none was found"));
}

}  // namespace
}  // namespace tilewise::cli
