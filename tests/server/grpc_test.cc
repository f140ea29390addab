// A gRPC server in this process and a client beside it, over a real socket: every call, every kind
// of end, and answers bit for bit as the engine gives them.
#include <cstring>
#include <fstream>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/security/credentials.h>
#include <gtest/gtest.h>
#include <health.grpc.pb.h>
#include <inference.grpc.pb.h>

#include "../engine/compiled_models.h"
#include "engine/engine.h"
#include "server/access_log.h"
#include "server/app.h"
#include "server/errands.h"
#include "server/grpc/grpc_server.h"

namespace tilewise::server {
namespace {

using grpc::health::v1::Health;
using grpc::health::v1::HealthCheckRequest;
using grpc::health::v1::HealthCheckResponse;
using inference::GRPCInferenceService;
using inference::ModelInferRequest;
using inference::ModelInferResponse;
using testing::HasSubstr;
using namespace std::chrono_literals;

/// So long that no test depends on how busy the machine is.
constexpr auto kPatience = 60s;

std::vector<float> floats_of(const ModelInferResponse& response, int output) {
  if (response.raw_output_contents_size() == 0) {
    const auto& floats = response.outputs(output).contents().fp32_contents();
    return {floats.begin(), floats.end()};
  }
  const std::string& raw = response.raw_output_contents(output);
  std::vector<float> floats(raw.size() / sizeof(float));
  std::memcpy(floats.data(), raw.data(), raw.size());
  return floats;
}

ModelInferRequest ask(const std::string& model, const std::vector<std::string>& texts,
                      bool is_raw = false) {
  ModelInferRequest request;
  request.set_model_name(model);
  auto& input = *request.add_inputs();
  input.set_name("text");
  input.set_datatype("BYTES");
  input.add_shape(static_cast<int64_t>(texts.size()));
  std::string raw;
  for (const std::string& text : texts) {
    const auto size = static_cast<uint32_t>(text.size());
    raw.append(reinterpret_cast<const char*>(&size), sizeof size).append(text);
    if (!is_raw) input.mutable_contents()->add_bytes_contents(text);
  }
  if (is_raw) request.add_raw_input_contents(raw);
  return request;
}

class GrpcTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    engine::compile_to(path());
  }
  static void TearDownTestSuite() { folder_.reset(); }
  static std::string path() { return *folder_ / "model.tw"; }

  GrpcTest() {
    settings_.address = "127.0.0.1";
    settings_.grpc_port = 0;
    settings_.deadline = kPatience;
    settings_.bulk_deadline = kPatience;
    settings_.service.replicas = {.replicas = 1, .pin = false};
  }

  void start_service() {
    auto service = engine::Service::start(settings_.service, clock_);
    ASSERT_TRUE(service.ok()) << service.status().message();
    service_ = *std::move(service);
    ASSERT_TRUE(errands_.start().ok());
    app_.reset(new App{settings_, clock_, *service_, metrics_, errands_});
  }

  void listen() {
    auto server = GrpcServer::start(*app_);
    ASSERT_TRUE(server.ok()) << server.status().message();
    server_ = *std::move(server);
    channel_ = grpc::CreateChannel("127.0.0.1:" + std::to_string(server_->port()),
                                   grpc::InsecureChannelCredentials());
    stub_ = GRPCInferenceService::NewStub(channel_);
    health_ = Health::NewStub(channel_);
  }

  void become_ready() {
    auto repository = engine::Repository::open(*service_, path());
    ASSERT_TRUE(repository.ok()) << repository.status().message();
    repository_ = *std::move(repository);
    app_->repository = repository_.get();
    enter(Phase::ready);
  }

  void start() {
    ASSERT_NO_FATAL_FAILURE(start_service());
    ASSERT_NO_FATAL_FAILURE(listen());
    ASSERT_NO_FATAL_FAILURE(become_ready());
  }

  void enter(Phase phase) {
    app_->phase = phase;
    server_->update_health();
  }

  grpc::Status infer(const ModelInferRequest& request, ModelInferResponse& response) {
    grpc::ClientContext context;
    return stub_->ModelInfer(&context, request, &response);
  }

  void expect_error(const ModelInferRequest& request, grpc::StatusCode code,
                    const std::string& says) {
    ModelInferResponse response;
    const grpc::Status status = infer(request, response);
    EXPECT_EQ(status.error_code(), code) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(says));
  }

  /// What the engine says of each text alone.
  static std::vector<std::vector<float>> alone(const std::vector<std::string>& texts,
                                               const std::string& task) {
    const auto engine = engine::Engine::open(path(), {.replicas = 1, .pin = false});
    EXPECT_TRUE(engine.ok());
    const engine::TaskSet tasks = (*engine)->find_tasks(task).value();
    std::vector<std::vector<float>> all;
    for (const std::string& text : texts) {
      const model::Input input = engine::text(text);
      all.push_back((*engine)->predict({&input, 1}, tasks, {})[0].predictions[0].logits);
    }
    return all;
  }

  HealthCheckResponse::ServingStatus health(const std::string& service = "") {
    grpc::ClientContext context;
    HealthCheckRequest request;
    HealthCheckResponse response;
    request.set_service(service);
    const grpc::Status status = health_->Check(&context, request, &response);
    return status.ok() ? response.status() : HealthCheckResponse::SERVICE_UNKNOWN;
  }

  static std::unique_ptr<TemporaryFolder> folder_;
  Settings settings_;
  SteadyClock clock_;
  Metrics metrics_;
  std::unique_ptr<engine::Service> service_;
  std::unique_ptr<engine::Repository> repository_;
  Errands errands_;
  std::unique_ptr<App> app_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<GRPCInferenceService::Stub> stub_;
  std::unique_ptr<Health::Stub> health_;
};

std::unique_ptr<TemporaryFolder> GrpcTest::folder_;

const std::vector<std::string> kTexts = {"where is my parcel", "refund", "", "the red shoes !"};

TEST_F(GrpcTest, AnswersAreThoseOfTheEngine) {
  start();
  const auto expected = alone(kTexts, "intent");
  for (const bool is_raw : {true, false}) {
    ModelInferRequest request = ask("intent", kTexts, is_raw);
    request.set_id("a7");
    ModelInferResponse response;
    const grpc::Status status = infer(request, response);
    ASSERT_TRUE(status.ok()) << status.error_message();
    EXPECT_EQ(response.id(), "a7");
    EXPECT_EQ(response.model_name(), "intent");
    EXPECT_EQ(response.model_version(), "1");
    ASSERT_EQ(response.outputs_size(), 3);
    EXPECT_EQ(response.outputs(0).name(), "logits");
    EXPECT_EQ(response.raw_output_contents_size(), is_raw ? 3 : 0);
    std::vector<float> all;
    for (const auto& logits : expected) all.insert(all.end(), logits.begin(), logits.end());
    EXPECT_EQ(floats_of(response, 0), all);
  }
}

TEST_F(GrpcTest, ManyAtOnce) {
  start();
  constexpr int kCalls = 500;
  const auto expected = alone(kTexts, "intent");
  struct Call {
    grpc::ClientContext context;
    ModelInferResponse response;
    grpc::Status status;
    std::unique_ptr<grpc::ClientAsyncResponseReader<ModelInferResponse>> reader;
  };
  grpc::CompletionQueue queue;
  std::vector<Call> calls(kCalls);
  for (int i = 0; i < kCalls; ++i) {
    calls[i].reader =
        stub_->AsyncModelInfer(&calls[i].context, ask("intent", {kTexts[i % 4]}, true), &queue);
    calls[i].reader->Finish(&calls[i].response, &calls[i].status, &calls[i]);
  }
  void* tag = nullptr;
  bool ok = false;
  for (int i = 0; i < kCalls; ++i) ASSERT_TRUE(queue.Next(&tag, &ok));
  for (int i = 0; i < kCalls; ++i) {
    ASSERT_TRUE(calls[i].status.ok()) << calls[i].status.error_message();
    EXPECT_EQ(floats_of(calls[i].response, 0), expected[i % 4]);
  }
  EXPECT_EQ(metrics_.totals("model", "intent").success, kCalls);
}

TEST_F(GrpcTest, EveryErrorHasItsCode) {
  settings_.limits.batch_inputs = 4;
  settings_.limits.body_bytes = 10'000;
  start();
  expect_error(ask("nothing", {"a"}), grpc::NOT_FOUND, "nothing");
  expect_error(ask("model", {"a"}), grpc::INVALID_ARGUMENT, "several tasks");
  expect_error(ask("intent", {}), grpc::INVALID_ARGUMENT, "text");
  expect_error(ask("duplicate", {"a"}), grpc::INVALID_ARGUMENT, "left and right");
  expect_error(ask("intent", {"a", "b", "c", "d", "e"}), grpc::RESOURCE_EXHAUSTED, "batch");
  expect_error(ask("intent", {std::string(20'000, 'a')}), grpc::RESOURCE_EXHAUSTED, "");
  ModelInferRequest request = ask("intent", {"a"});
  request.mutable_inputs(0)->set_shape(0, 7);
  expect_error(request, grpc::INVALID_ARGUMENT, "7 elements");
  request = ask("intent", {"a"});
  (*request.mutable_parameters())["timeout"].set_int64_param(1);  // a microsecond
  expect_error(request, grpc::DEADLINE_EXCEEDED, "deadline");
  request = ask("intent", {"a"});
  (*request.mutable_inputs(0)->mutable_parameters())["shared_memory_region"].set_string_param("r");
  expect_error(request, grpc::UNIMPLEMENTED, "shared memory");
  ModelInferResponse response;
  EXPECT_TRUE(infer(ask("intent", {"a"}), response).ok());  // in good health after all of it
}

TEST_F(GrpcTest, LongMessagesOfErrorsReachTheClient) {
  start();
  expect_error(ask(std::string(9'000, 'n') + "\xc3\xa4", {"a"}), grpc::NOT_FOUND, "no such");
}

TEST_F(GrpcTest, PhasesAndHealth) {
  start_service();
  listen();
  EXPECT_EQ(health(), HealthCheckResponse::NOT_SERVING);
  expect_error(ask("intent", {"a"}), grpc::UNAVAILABLE, "starting");
  grpc::ClientContext watch_context;
  const auto watch = health_->Watch(&watch_context, HealthCheckRequest());
  HealthCheckResponse seen;
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), HealthCheckResponse::NOT_SERVING);

  become_ready();
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), HealthCheckResponse::SERVING);
  EXPECT_EQ(health(), HealthCheckResponse::SERVING);
  EXPECT_EQ(health("inference.GRPCInferenceService"), HealthCheckResponse::SERVING);
  EXPECT_EQ(health("another"), HealthCheckResponse::SERVICE_UNKNOWN);
  {
    grpc::ClientContext context;
    inference::ServerReadyResponse ready;
    ASSERT_TRUE(stub_->ServerReady(&context, {}, &ready).ok());
    EXPECT_TRUE(ready.ready());
  }

  enter(Phase::draining);
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), HealthCheckResponse::NOT_SERVING);
  expect_error(ask("intent", {"a"}), grpc::UNAVAILABLE, "stopping");
  server_->stop(kPatience);  // does not wait for the one who watches
  EXPECT_FALSE(watch->Read(&seen));
  EXPECT_EQ(watch->Finish().error_code(), grpc::UNAVAILABLE);
}

TEST_F(GrpcTest, WatchOfAnUnknownService) {
  start();
  grpc::ClientContext context;
  HealthCheckRequest request;
  request.set_service("another");
  const auto watch = health_->Watch(&context, request);
  HealthCheckResponse seen;
  ASSERT_TRUE(watch->Read(&seen));
  EXPECT_EQ(seen.status(), HealthCheckResponse::SERVICE_UNKNOWN);
  context.TryCancel();
  EXPECT_FALSE(watch->Read(&seen));
}

TEST_F(GrpcTest, Keys) {
  settings_.api_keys = {"first", "second"};
  start();
  expect_error(ask("intent", {"a"}), grpc::UNAUTHENTICATED, "API key");
  const auto with_key = [&](const std::string& key) {
    grpc::ClientContext context;
    ModelInferResponse response;
    context.AddMetadata("authorization", "Bearer " + key);
    return stub_->ModelInfer(&context, ask("intent", {"a"}), &response).error_code();
  };
  EXPECT_EQ(with_key("second"), grpc::OK);
  EXPECT_EQ(with_key("secon"), grpc::UNAUTHENTICATED);
  EXPECT_EQ(health(), HealthCheckResponse::SERVING);
  grpc::ClientContext live_context, index_context, stream_context;
  inference::ServerLiveResponse live;
  EXPECT_TRUE(stub_->ServerLive(&live_context, {}, &live).ok());
  inference::RepositoryIndexResponse index;
  EXPECT_EQ(stub_->RepositoryIndex(&index_context, {}, &index).error_code(), grpc::UNAUTHENTICATED);
  EXPECT_EQ(stub_->ModelStreamInfer(&stream_context)->Finish().error_code(), grpc::UNAUTHENTICATED);
}

/// Of calls whose model nobody knows, as refused ones.
int64_t failures(Metrics& metrics) { return metrics.totals({}, {}).failure; }

TEST_F(GrpcTest, TheLogHasEveryCall) {
  const std::string file = *folder_ / "access.log";
  auto log = AccessLog::open(file);
  ASSERT_TRUE(log.ok()) << log.status().message();
  settings_.api_keys = {"key"};
  start();
  app_->access_log = log->get();
  const auto call = [&](const std::string& key, const std::string& priority) {
    grpc::ClientContext context;
    ModelInferResponse response;
    context.AddMetadata("x-api-key", key);
    context.AddMetadata("x-priority", priority);
    context.AddMetadata("traceparent", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
    ModelInferRequest request = ask("intent", {"a", "b"});
    request.set_id("mine");
    return stub_->ModelInfer(&context, request, &response).error_code();
  };
  EXPECT_EQ(call("key", "bulk"), grpc::OK);
  EXPECT_EQ(call("wrong", "bulk"), grpc::UNAUTHENTICATED);
  EXPECT_EQ(call("key", "now"), grpc::INVALID_ARGUMENT);
  grpc::ClientContext stream_context;
  EXPECT_EQ(stub_->ModelStreamInfer(&stream_context)->Finish().error_code(), grpc::UNAUTHENTICATED);
  EXPECT_EQ(failures(metrics_), 3);
  (*log)->flush();
  std::ifstream stream(file);
  std::vector<std::string> lines;
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  ASSERT_EQ(lines.size(), 4u);
  for (const char* part :
       {R"("request_id":"mine")", R"("trace_id":"4bf92f3577b34da6a3ce929d0e0e4736")",
        R"("peer":"127.0.0.1:)", R"("path":"/inference.GRPCInferenceService/ModelInfer")",
        R"("protocol":"grpc","model":"model","task":"intent","status":0,)", R"("inputs":2,)"}) {
    EXPECT_THAT(lines[0], HasSubstr(part));
  }
  EXPECT_THAT(lines[1], HasSubstr(R"("status":16,)"));
  EXPECT_THAT(lines[2], HasSubstr(R"("status":3,)"));
  EXPECT_THAT(lines[3], HasSubstr(R"(ModelStreamInfer")"));
  server_.reset();  // before the log
}

TEST_F(GrpcTest, MetadataComeBack) {
  start();
  grpc::ClientContext context;
  ModelInferResponse response;
  context.AddMetadata("x-request-id", "r-17");
  context.AddMetadata("x-priority", "bulk");
  ASSERT_TRUE(stub_->ModelInfer(&context, ask("intent", {"a"}), &response).ok());
  const auto& trailers = context.GetServerTrailingMetadata();
  const auto found = trailers.find("x-request-id");
  ASSERT_NE(found, trailers.end());
  EXPECT_EQ(std::string(found->second.data(), found->second.size()), "r-17");
  grpc::ClientContext bad;
  bad.AddMetadata("x-priority", "now");
  EXPECT_EQ(stub_->ModelInfer(&bad, ask("intent", {"a"}), &response).error_code(),
            grpc::INVALID_ARGUMENT);
}

TEST_F(GrpcTest, WhatThereIs) {
  start();
  inference::ServerMetadataResponse server;
  inference::ModelMetadataResponse metadata;
  inference::ModelConfigResponse config;
  inference::ModelStatisticsResponse statistics;
  inference::RepositoryIndexResponse index;
  inference::ModelReadyResponse ready;
  const auto call = [&](auto method, const auto& request, auto& response) {
    grpc::ClientContext context;
    return (stub_.get()->*method)(&context, request, &response).error_code();
  };
  using Stub = GRPCInferenceService::Stub;
  EXPECT_EQ(call(&Stub::ServerMetadata, inference::ServerMetadataRequest(), server), grpc::OK);
  EXPECT_EQ(server.name(), "tilewise");
  inference::ModelMetadataRequest model;
  model.set_name("model.duplicate");
  ASSERT_EQ(call(&Stub::ModelMetadata, model, metadata), grpc::OK);
  EXPECT_EQ(metadata.inputs(0).name(), "left");
  EXPECT_EQ(metadata.inputs(0).datatype(), "BYTES");
  EXPECT_EQ(metadata.versions(0), "1");
  inference::ModelConfigRequest config_request;
  config_request.set_name("intent");
  ASSERT_EQ(call(&Stub::ModelConfig, config_request, config), grpc::OK);
  EXPECT_EQ(config.config().max_batch_size(), settings_.limits.batch_inputs);
  inference::ModelReadyRequest ready_request;
  ready_request.set_name("intent");
  ASSERT_EQ(call(&Stub::ModelReady, ready_request, ready), grpc::OK);
  EXPECT_TRUE(ready.ready());
  ready_request.set_name("nothing");
  EXPECT_EQ(call(&Stub::ModelReady, ready_request, ready), grpc::NOT_FOUND);
  ModelInferResponse response;
  ASSERT_TRUE(infer(ask("intent", kTexts), response).ok());
  inference::ModelStatisticsRequest of_intent;
  of_intent.set_name("intent");
  ASSERT_EQ(call(&Stub::ModelStatistics, of_intent, statistics), grpc::OK);
  EXPECT_EQ(statistics.model_stats(0).inference_count(), 4u);
  EXPECT_EQ(statistics.model_stats(0).inference_stats().success().count(), 1u);
  ASSERT_EQ(call(&Stub::RepositoryIndex, inference::RepositoryIndexRequest(), index), grpc::OK);
  EXPECT_EQ(index.models(0).name(), "model");
  EXPECT_EQ(index.models(0).state(), "READY");
}

TEST_F(GrpcTest, UnloadAndLoad) {
  start();
  inference::RepositoryModelUnloadRequest unload;
  inference::RepositoryModelUnloadResponse unloaded;
  unload.set_model_name("model");
  grpc::ClientContext first, second, third;
  ASSERT_TRUE(stub_->RepositoryModelUnload(&first, unload, &unloaded).ok());
  expect_error(ask("model", {"a"}), grpc::UNAVAILABLE, "");
  inference::RepositoryModelLoadRequest load;
  inference::RepositoryModelLoadResponse loaded;
  load.set_model_name("model");
  ASSERT_TRUE(stub_->RepositoryModelLoad(&second, load, &loaded).ok());
  ModelInferResponse response;
  EXPECT_TRUE(infer(ask("intent", {"a"}), response).ok());
  load.set_model_name("nothing");
  EXPECT_EQ(stub_->RepositoryModelLoad(&third, load, &loaded).error_code(), grpc::NOT_FOUND);
}

TEST_F(GrpcTest, AStreamAnswersEachMessage) {
  start();
  constexpr int kMessages = 600;  // more than are read ahead
  const auto expected = alone(kTexts, "intent");
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  std::thread writer([&] {
    for (int i = 0; i < kMessages; ++i) {
      ModelInferRequest request = ask(i == 7 ? "nothing" : "intent", {kTexts[i % 4]}, i % 2 == 0);
      request.set_id(std::to_string(i));
      ASSERT_TRUE(stream->Write(request));
    }
    stream->WritesDone();
  });
  std::map<int, int> seen;
  inference::ModelStreamInferResponse response;
  while (stream->Read(&response)) {
    const int id = std::stoi(response.infer_response().id());
    ++seen[id];
    EXPECT_EQ(response.error_message().empty(), id != 7) << response.error_message();
    if (id != 7) {
      EXPECT_EQ(floats_of(response.infer_response(), 0), expected[id % 4]);
    }
  }
  writer.join();
  EXPECT_TRUE(stream->Finish().ok());
  EXPECT_EQ(seen.size(), static_cast<size_t>(kMessages));
}

TEST_F(GrpcTest, AnOpenStreamDoesNotHoldUpTheEnd) {
  start();
  grpc::ClientContext context;
  const auto stream = stub_->ModelStreamInfer(&context);
  inference::ModelStreamInferResponse response;
  ASSERT_TRUE(stream->Write(ask("intent", {"a"})));
  ASSERT_TRUE(stream->Read(&response));
  const Time start = clock_.now();
  enter(Phase::draining);
  server_->stop(kPatience);
  EXPECT_LT(clock_.now() - start, kPatience);
  EXPECT_FALSE(stream->Read(&response));
  EXPECT_EQ(stream->Finish().error_code(), grpc::UNAVAILABLE);
}

TEST_F(GrpcTest, ClientsThatGo) {
  start();
  const ModelInferRequest large =
      ask("intent", std::vector<std::string>(200, "where is my parcel"), true);
  for (int round = 0; round < 20; ++round) {
    struct Call {
      grpc::ClientContext context;
      ModelInferResponse response;
      grpc::Status status;
      std::unique_ptr<grpc::ClientAsyncResponseReader<ModelInferResponse>> reader;
    };
    grpc::CompletionQueue queue;
    std::vector<Call> calls(16);
    for (Call& call : calls) {
      call.reader = stub_->AsyncModelInfer(&call.context, large, &queue);
      call.reader->Finish(&call.response, &call.status, &call);
    }
    if (round % 2 == 0) std::this_thread::sleep_for(1ms);
    for (Call& call : calls) call.context.TryCancel();
    grpc::ClientContext stream_context;
    const auto stream = stub_->ModelStreamInfer(&stream_context);
    stream->Write(large);
    stream->Write(large);
    stream_context.TryCancel();
    EXPECT_FALSE(stream->Finish().ok());
    void* tag = nullptr;
    bool ok = false;
    for (size_t i = 0; i < calls.size(); ++i) ASSERT_TRUE(queue.Next(&tag, &ok));
  }
  ModelInferResponse response;
  EXPECT_TRUE(infer(ask("intent", {"a"}), response).ok());
}

TEST_F(GrpcTest, RefusedWithATimeToComeBack) {
  settings_.service.batcher.most_waiting = 200;
  start();
  const ModelInferRequest large =
      ask("intent", std::vector<std::string>(200, "where is my parcel"), true);
  bool was_refused = false;
  for (const Time end = clock_.now() + kPatience; !was_refused && clock_.now() < end;) {
    std::vector<std::thread> clients;
    std::atomic<bool> refused = false;
    for (int i = 0; i < 8; ++i) {
      clients.emplace_back([&] {
        grpc::ClientContext context;
        ModelInferResponse response;
        const grpc::Status status = stub_->ModelInfer(&context, large, &response);
        if (status.ok()) return;
        EXPECT_EQ(status.error_code(), grpc::RESOURCE_EXHAUSTED) << status.error_message();
        EXPECT_EQ(context.GetServerTrailingMetadata().count("grpc-retry-pushback-ms"), 1u);
        refused = true;
      });
    }
    for (std::thread& client : clients) client.join();
    was_refused = refused;
  }
  EXPECT_TRUE(was_refused);
}

TEST_F(GrpcTest, StopUnderLoad) {
  start();
  std::atomic<bool> is_over = false;
  std::vector<std::thread> clients;
  for (int i = 0; i < 4; ++i) {
    clients.emplace_back([&] {
      while (!is_over) {
        ModelInferResponse response;
        const grpc::Status status = infer(ask("intent", kTexts, true), response);
        if (status.ok()) continue;
        EXPECT_THAT(status.error_code(), testing::AnyOf(grpc::UNAVAILABLE, grpc::CANCELLED));
        return;
      }
    });
  }
  std::this_thread::sleep_for(20ms);
  server_->stop(0ms);
  is_over = true;
  for (std::thread& client : clients) client.join();
}

TEST_F(GrpcTest, APortThatIsTaken) {
  start();
  settings_.grpc_port = server_->port();
  const auto second = GrpcServer::start(*app_);
  ASSERT_FALSE(second.ok());
  EXPECT_EQ(second.status().code(), StatusCode::io_error);
}

TEST_F(GrpcTest, BadTlsFiles) {
  settings_.tls = {.certificate = path(), .key = path()};
  start_service();
  const auto server = GrpcServer::start(*app_);
  ASSERT_FALSE(server.ok());
  EXPECT_EQ(server.status().code(), StatusCode::invalid_input) << server.status().message();
}

}  // namespace
}  // namespace tilewise::server
