// Models of the real-time service: what they share, how long they live, and how they are loaded.
#include <algorithm>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/service.h"
#include "service_fixture.h"

namespace tilewise::engine {
namespace {

using testing::HasSubstr;

TEST_F(ServiceTest, ModelsOfOneBackboneShareItsWeights) {
  const auto service = start();
  const auto first = load(*service, path());
  EXPECT_EQ(first->loaded().shared_bytes(), 0);
  const auto second = load(*service, other_path());
  int64_t shared = 0;
  for (const auto& tensor : second->loaded().artifact().tensors()) {
    if (!tensor.name.starts_with("heads.")) shared += static_cast<int64_t>(tensor.data.size());
  }
  EXPECT_EQ(second->loaded().shared_bytes(), shared);
  EXPECT_GT(shared, static_cast<int64_t>(second->loaded().artifact().file_bytes()) / 2);
}

TEST_F(ServiceTest, ALenderStaysInMemoryAsLongAsItLends) {
  const auto service = start();
  const auto inputs = random_texts(5, 11);
  auto first = load(*service, path());
  const std::weak_ptr<ServedModel> gone = first;
  const auto second = load(*service, other_path());
  first.reset();
  EXPECT_TRUE(gone.expired());
  const auto third = load(*service, path());  // borrows what the second has borrowed
  EXPECT_GT(third->loaded().shared_bytes(), 0);
  for (const auto& [model, file] : {std::pair{second, other_path()}, {third, path()}}) {
    Call call(model, "intent", inputs);
    ASSERT_TRUE(call.run(*service).status.ok());
    expect_same_bits(call.values(), alone(inputs, "intent", file));
  }
}

TEST_F(ServiceTest, AModelIsGivenUpAfterItsLastRequest) {
  clock_ = &fake_;
  Gate gate;
  const auto service = start({.observer = &gate});
  auto model = load(*service, path());
  gate.close();
  Call first(model, "intent", {text("refund")});
  first.run(*service);
  first.request.model.reset();
  gate.wait_for_passes(1);
  auto waits = std::make_unique<Call>(model, "intent", random_texts(4, 12));
  const std::weak_ptr<ServedModel> watched = model;
  waits->submit(*service);
  model.reset();
  EXPECT_FALSE(watched.expired());
  gate.open();
  waits->wait();
  EXPECT_TRUE(waits->request.status.ok());
  expect_same_bits(waits->values(), alone(waits->request.inputs, "intent"));
  waits.reset();
  EXPECT_TRUE(watched.expired());
}

TEST_F(ServiceTest, LoadingDoesNotDisturbRequests) {
  ServiceOptions options;
  options.replicas.replicas = 2;
  const auto service = start(options);
  const auto model = load(*service, path());
  const auto inputs = random_texts(10, 13);
  const auto expected = alone(inputs, "intent");
  std::atomic<bool> is_done = false;
  std::thread loader([&] {
    for (int i = 0; i < 5; ++i) load(*service, i % 2 == 0 ? other_path() : path());
    is_done = true;
  });
  do {
    Call call(model, "intent", inputs);
    ASSERT_TRUE(call.run(*service).status.ok());
    expect_same_bits(call.values(), expected);
  } while (!is_done);
  loader.join();
}

TEST_F(ServiceTest, WhatIsNoArtifactIsNotLoaded) {
  const auto service = start();
  EXPECT_EQ(service->load("/nonexistent/model.tw").status().code(), StatusCode::not_found);
  std::string bytes = folder_->read("model.tw");
  bytes[bytes.size() - 100] = static_cast<char>(bytes[bytes.size() - 100] ^ 1);
  const Status status = service->load(folder_->write("broken.tw", bytes)).status();
  EXPECT_EQ(status.code(), StatusCode::invalid_input) << status.message();
}

TEST_F(ServiceTest, PassesAreReportedAndTimed) {
  Gate gate;
  const auto service = start({.observer = &gate});
  Call call(load(*service, path()), "intent", random_texts(4, 14));
  call.run(*service);
  gate.wait_for_passes(1);
  const PassReport report = gate.passes()[0];
  EXPECT_EQ(report.replica, 0);
  EXPECT_EQ(report.sequences, 4);
  EXPECT_EQ(report.tokens, call.request.tokens);
  EXPECT_GT(report.predicted_seconds, 0) << "fitted when the model was loaded";
  EXPECT_GT(report.seconds, 0);
  EXPECT_GE(call.request.times.compute, report.seconds);
  ASSERT_EQ(service->busy_seconds().size(), 1U);
  EXPECT_DOUBLE_EQ(service->busy_seconds()[0], report.seconds);
}

}  // namespace
}  // namespace tilewise::engine
