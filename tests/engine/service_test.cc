// Requests through the real-time service: every way of asking gives the bits that the engine gives
// to one input alone, and what cannot be answered says why.
#include "engine/service.h"

#include <algorithm>
#include <cstring>
#include <optional>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/topology.h"
#include "compiled_models.h"
#include "runtime/allocation_count.h"
#include "service_call.h"

namespace tilewise::engine {
namespace {

using model::Input;
using model::PairInput;
using model::Record;
using testing::HasSubstr;

class ServiceTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = std::make_unique<TemporaryFolder>();
    compile_to(path());
    compile_to(other_path(), [](model::Model& model) { scale_heads(model, 2); });
  }
  static void TearDownTestSuite() { folder_.reset(); }

  static std::string path() { return *folder_ / "model.tw"; }
  /// The same backbone with other heads.
  static std::string other_path() { return *folder_ / "other.tw"; }

  std::unique_ptr<Service> start(ServiceOptions options = {}) {
    options.replicas.pin = false;
    if (options.replicas.replicas == 0) options.replicas.replicas = 1;
    auto service = Service::start(options, *clock_);
    EXPECT_TRUE(service.ok()) << service.status().message();
    return *std::move(service);
  }

  static std::shared_ptr<ServedModel> load(Service& service, const std::string& path) {
    auto model = service.load(path);
    EXPECT_TRUE(model.ok()) << model.status().message();
    return model.ok() ? *model : nullptr;
  }

  /// What the engine says of each input alone.
  static std::vector<float> alone(const std::vector<Input>& inputs, const std::string& task,
                                  const std::string& file = path()) {
    const auto engine = Engine::open(file, {.replicas = 1, .pin = false});
    EXPECT_TRUE(engine.ok()) << engine.status().message();
    const TaskSet tasks = (*engine)->find_tasks(task).value();
    std::vector<float> all;
    for (const Input& input : inputs) {
      const auto outcomes = (*engine)->predict({&input, 1}, tasks, {});
      EXPECT_TRUE(outcomes[0].status.ok()) << outcomes[0].status.message();
      const auto& logits = outcomes[0].predictions[0].logits;
      all.insert(all.end(), logits.begin(), logits.end());
    }
    return all;
  }

  /// The ids of texts, as the model's own tokenizer makes them.
  static std::vector<TokenInput> tokenize(const ServedModel& model,
                                          const std::vector<Input>& inputs,
                                          const std::string& task) {
    text::InputEncoder encoder(model.loaded().tokenizer());
    const int32_t index = model.loaded().find_tasks(task).value().front();
    std::vector<TokenInput> tokens;
    for (const Input& input : inputs) {
      text::PackedTokens packed;
      EXPECT_TRUE(encoder.append(model.metadata().tasks[index].task, input, packed).ok());
      tokens.push_back({packed.ids, packed.types});
    }
    return tokens;
  }

  inline static std::unique_ptr<TemporaryFolder> folder_;
  SteadyClock steady_;
  FakeClock fake_;
  const Clock* clock_ = &steady_;
};

void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(float)));
}

std::vector<Input> some_pairs() {
  return {PairInput{Record{{{"title", "red shoes"}, {"price", "12"}}},
                    Record{{{"title", "blue shoes"}, {"brand", "acme"}}}},
          PairInput{std::string("a parcel"), std::string("the refund")},
          PairInput{std::string("where is my parcel"), std::string("")}};
}

// ---- numbers

TEST_F(ServiceTest, OneRequestGivesTheBitsOfTheEngine) {
  const auto service = start();
  const auto model = load(*service, path());
  const auto inputs = random_texts(30, 1);
  for (const char* task : {"intent", "tags", "urgency"}) {
    Call call(model, task, inputs);
    ASSERT_TRUE(call.run(*service).status.ok()) << call.request.status.message();
    expect_same_bits(call.values(), alone(inputs, task));
    EXPECT_EQ(call.times_done, 1);
  }
}

TEST_F(ServiceTest, APredictionIsThatOfTheEngine) {
  const auto service = start();
  const auto model = load(*service, path());
  const auto engine = Engine::open(path(), {.replicas = 1, .pin = false}).value();
  const auto inputs = random_texts(10, 2);
  for (const char* task : {"intent", "tags", "urgency", "vector"}) {
    Call call(model, task, inputs);
    call.run(*service);
    const auto outcomes = engine->predict(inputs, engine->find_tasks(task).value(), {.top = 3});
    for (size_t i = 0; i < inputs.size(); ++i) {
      model::Prediction prediction;
      call.request.predict(i, 0, {.top = 3}, prediction);
      const model::Prediction& expected = outcomes[i].predictions[0];
      EXPECT_EQ(prediction.value, expected.value);
      EXPECT_EQ(prediction.embedding, expected.embedding);
      EXPECT_EQ(prediction.out_of_scope, expected.out_of_scope);
      ASSERT_EQ(prediction.labels.size(), expected.labels.size());
      for (size_t l = 0; l < prediction.labels.size(); ++l) {
        EXPECT_EQ(prediction.labels[l].label, expected.labels[l].label);
        EXPECT_EQ(prediction.labels[l].score, expected.labels[l].score);
      }
    }
  }
}

// Requests of several threads, with different tasks and models, fall into passes as they come; none
// may change another.
TEST_F(ServiceTest, ManyCallersOfManyTasksDoNotChangeEachOther) {
  const std::vector<Input> texts = random_texts(40, 3);
  const std::vector<Input> pairs = some_pairs();
  const std::vector<std::string> tasks = {"intent", "tags", "urgency", "duplicate"};
  for (const int32_t replicas : {1, 2}) {
    ServiceOptions options;
    options.replicas.replicas = replicas;
    const auto service = start(options);
    const std::vector<std::shared_ptr<ServedModel>> models = {load(*service, path()),
                                                              load(*service, other_path())};
    std::vector<std::vector<std::vector<float>>> expected(2);
    for (const auto& task : tasks) {
      const auto& inputs = task == "duplicate" ? pairs : texts;
      expected[0].push_back(alone(inputs, task));
      expected[1].push_back(alone(inputs, task, other_path()));
    }
    std::vector<std::thread> threads;
    for (uint32_t caller = 0; caller < 4; ++caller) {
      threads.emplace_back([&, caller] {
        std::mt19937 random(caller);
        for (int round = 0; round < 25; ++round) {
          const size_t m = random() % 2;
          const size_t t = random() % tasks.size();
          const auto& inputs = tasks[t] == "duplicate" ? pairs : texts;
          const size_t first = random() % inputs.size();
          const size_t count = 1 + random() % (inputs.size() - first);
          Call call(models[m], tasks[t],
                    {inputs.begin() + static_cast<std::ptrdiff_t>(first),
                     inputs.begin() + static_cast<std::ptrdiff_t>(first + count)});
          ASSERT_TRUE(call.run(*service).status.ok()) << call.request.status.message();
          const auto width = expected[m][t].size() / inputs.size();
          const float* from = expected[m][t].data() + first * width;
          expect_same_bits(call.values(), {from, from + count * width});
        }
      });
    }
    for (std::thread& thread : threads) thread.join();
  }
}

TEST_F(ServiceTest, SeveralTasksOfOneRequestEqualEachAlone) {
  const auto service = start();
  const auto model = load(*service, path());
  const auto inputs = random_texts(12, 4);
  Call call(model, "urgency,intent,tags", inputs);
  ASSERT_TRUE(call.run(*service).status.ok());
  expect_same_bits(call.values(0), alone(inputs, "urgency"));
  expect_same_bits(call.values(1), alone(inputs, "intent"));
  expect_same_bits(call.values(2), alone(inputs, "tags"));
}

// While the only replica is held, requests with different tasks come together; then one pass
// answers them all.
TEST_F(ServiceTest, OnePassHoldsRequestsOfDifferentTasks) {
  clock_ = &fake_;
  Gate gate;
  const auto service = start({.observer = &gate});
  const auto model = load(*service, path());
  const auto inputs = random_texts(6, 5);
  gate.close();
  Call first(model, "intent", {inputs[0]});
  first.run(*service);
  gate.wait_for_passes(1);
  Call intent(model, "intent", {inputs[1], inputs[2]});
  Call tags(model, "tags", {inputs[3]});
  Call both(model, "urgency,tags", {inputs[4], inputs[5]});
  for (Call* call : {&intent, &tags, &both}) call->submit(*service);
  EXPECT_EQ(service->backlog().sequences, 5);
  gate.open();
  for (Call* call : {&intent, &tags, &both}) call->wait();
  gate.wait_for_passes(2);
  ASSERT_EQ(gate.passes().size(), 2U);
  EXPECT_EQ(gate.passes()[1].sequences, 5);
  expect_same_bits(intent.values(), alone({inputs[1], inputs[2]}, "intent"));
  expect_same_bits(tags.values(), alone({inputs[3]}, "tags"));
  expect_same_bits(both.values(0), alone({inputs[4], inputs[5]}, "urgency"));
  expect_same_bits(both.values(1), alone({inputs[4], inputs[5]}, "tags"));
}

TEST_F(ServiceTest, BothOrdersIsTheMeanOfTheOutputs) {
  const auto service = start({.cache_bytes = 1 << 20});
  const auto model = load(*service, path());
  std::vector<Input> pairs = some_pairs();
  std::vector<Input> swapped;
  for (const Input& input : pairs) {
    const auto& pair = std::get<PairInput>(input);
    swapped.push_back(PairInput{pair.right, pair.left});
  }
  const auto a = alone(pairs, "duplicate");
  const auto b = alone(swapped, "duplicate");
  std::vector<float> mean;
  for (size_t i = 0; i < a.size(); ++i) mean.push_back((a[i] + b[i]) / 2);
  Call one_order(model, "duplicate", pairs);
  expect_same_bits((one_order.run(*service), one_order.values()), a);
  for (int round = 0; round < 2; ++round) {  // half of it, then all of it from the cache
    Call call(model, "duplicate", pairs);
    call.request.both_orders = true;
    ASSERT_TRUE(call.run(*service).status.ok());
    expect_same_bits(call.values(), mean);
    EXPECT_EQ(call.request.cached_inputs, round == 0 ? 0 : 3);
    EXPECT_EQ(call.request.truncated.size(), 3U);
  }
}

TEST_F(ServiceTest, TokensGiveTheBitsOfTheirText) {
  const auto service = start();
  const auto model = load(*service, path());
  const auto texts = random_texts(10, 6);
  Call by_text(model, "intent", texts);
  by_text.run(*service);
  Call by_tokens(model, "intent");
  by_tokens.request.token_inputs = tokenize(*model, texts, "intent");
  for (size_t i = 0; i < texts.size(); i += 2) by_tokens.request.token_inputs[i].types.clear();
  ASSERT_TRUE(by_tokens.run(*service).status.ok()) << by_tokens.request.status.message();
  expect_same_bits(by_tokens.values(), by_text.values());
  EXPECT_EQ(by_tokens.request.tokens, by_text.request.tokens);

  Call pairs(model, "duplicate");
  pairs.request.token_inputs = tokenize(*model, some_pairs(), "duplicate");
  ASSERT_TRUE(pairs.run(*service).status.ok());
  expect_same_bits(pairs.values(), alone(some_pairs(), "duplicate"));
}

TEST_F(ServiceTest, CoresShareAReplicaWithoutChangingIt) {
  const auto topology = read_topology();
  if (!topology.ok() || topology->default_replicas() < 2) GTEST_SKIP() << "one core only";
  ServiceOptions options;
  options.replicas.cores_per_replica = 2;
  const auto service = start(options);
  EXPECT_EQ(service->cores_per_replica(), 2);
  const auto inputs = random_texts(20, 7);
  const auto model = load(*service, path());
  const auto other = load(*service, other_path());  // on the same team
  Call call(model, "intent", inputs);
  ASSERT_TRUE(call.run(*service).status.ok());
  expect_same_bits(call.values(), alone(inputs, "intent"));
  Call second(other, "intent", inputs);
  ASSERT_TRUE(second.run(*service).status.ok());
  expect_same_bits(second.values(), alone(inputs, "intent", other_path()));
}

// ---- the response cache

TEST_F(ServiceTest, TheCacheGivesTheSameBitsAndOnlyTheRestIsComputed) {
  Gate gate;
  const auto service = start({.cache_bytes = 1 << 20, .observer = &gate});
  const auto model = load(*service, path());
  const auto inputs = random_texts(8, 8, 30);
  const auto expected = alone(inputs, "intent");
  Call some(model, "intent", {inputs.begin(), inputs.begin() + 5});
  some.run(*service);
  EXPECT_EQ(some.request.cached_inputs, 0);
  gate.wait_for_passes(1);

  Call rest(model, "intent", inputs);
  ASSERT_TRUE(rest.run(*service).status.ok());
  expect_same_bits(rest.values(), expected);
  EXPECT_EQ(rest.request.cached_inputs, 5);
  gate.wait_for_passes(2);
  EXPECT_EQ(gate.passes()[1].sequences, 3);

  Call all(model, "intent", inputs);
  ASSERT_TRUE(all.run(*service).status.ok());
  expect_same_bits(all.values(), expected);
  EXPECT_EQ(all.request.cached_inputs, 8);
  EXPECT_EQ(all.thread, std::this_thread::get_id());
  EXPECT_EQ(gate.passes().size(), 2U);
  EXPECT_EQ(service->cache().hits, 5 + 8);
  EXPECT_EQ(service->cache().misses, 5 + 3);

  // Another task is another answer; tokens are the same question as their text.
  Call other_task(model, "urgency", inputs);
  other_task.run(*service);
  EXPECT_EQ(other_task.request.cached_inputs, 0);
  expect_same_bits(other_task.values(), alone(inputs, "urgency"));
  Call tokens(model, "intent");
  tokens.request.token_inputs = tokenize(*model, inputs, "intent");
  tokens.run(*service);
  EXPECT_EQ(tokens.request.cached_inputs, 8);
  expect_same_bits(tokens.values(), expected);
}

TEST_F(ServiceTest, AnotherModelNeverAnswersFromTheCacheOfTheFirst) {
  const auto service = start({.cache_bytes = 1 << 20});
  const auto inputs = random_texts(5, 9);
  auto model = load(*service, path());
  Call first(model, "intent", inputs);
  first.run(*service);
  for (const std::string& next : {other_path(), path()}) {  // also the same file once more
    first.request.model = nullptr;
    model = load(*service, next);
    Call call(model, "intent", inputs);
    call.run(*service);
    EXPECT_EQ(call.request.cached_inputs, 0);
    expect_same_bits(call.values(), alone(inputs, "intent", next));
  }
}

TEST_F(ServiceTest, WithoutACacheNothingIsCounted) {
  const auto service = start();
  Call call(load(*service, path()), "intent", random_texts(3, 10));
  call.run(*service);
  EXPECT_EQ(service->cache().hits + service->cache().misses + service->cache().entries, 0);
}

// ---- what is refused

TEST_F(ServiceTest, OverlongTextIsRefusedByNameOrCutAsAsked) {
  const auto service = start();
  const auto model = load(*service, path());
  std::string words;
  for (int i = 0; i < 50; ++i) words += i < 25 ? "parcel " : "refund ";
  const std::vector<Input> inputs = {text("refund"), text(words)};

  Call refused(model, "intent", inputs);
  refused.request.overlong = Overlong::refuse;
  const Status status = refused.run(*service).status;
  EXPECT_EQ(status.code(), StatusCode::invalid_input);
  EXPECT_THAT(status.message(), HasSubstr("inputs[1]"));
  EXPECT_THAT(status.message(), HasSubstr("at most 40 tokens"));
  EXPECT_THAT(status.message(), HasSubstr("52 tokens"));
  EXPECT_EQ(refused.thread, std::this_thread::get_id());

  for (const auto overlong : {Overlong::cut_right, Overlong::cut_left}) {
    Call call(model, "intent", inputs);
    call.request.overlong = overlong;
    ASSERT_TRUE(call.run(*service).status.ok());
    EXPECT_EQ(call.request.truncated, (std::vector<bool>{false, true}));
    // 38 words stay: 25 parcels and 13 refunds, or the other way round.
    std::string kept;
    for (int i = 0; i < 38; ++i) {
      kept += i < (overlong == Overlong::cut_right ? 25 : 13) ? "parcel " : "refund ";
    }
    expect_same_bits(call.values(), alone({text("refund"), text(kept)}, "intent"));
    model::Prediction prediction;
    call.request.predict(1, 0, {}, prediction);
    EXPECT_TRUE(prediction.truncated);
  }
}

struct BadCall {
  const char* name;
  void (*spoil)(Request&);
  StatusCode code;
  const char* says;
};

class BadCalls : public ServiceTest, public testing::WithParamInterface<BadCall> {};

TEST_P(BadCalls, AreRefusedAtOnce) {
  const auto service = start();
  Call call(load(*service, path()), "intent", {text("refund"), text("parcel")});
  GetParam().spoil(call.request);
  const Status status = call.run(*service).status;
  EXPECT_EQ(status.code(), GetParam().code) << status.message();
  EXPECT_THAT(status.message(), HasSubstr(GetParam().says));
  EXPECT_EQ(call.thread, std::this_thread::get_id());
  EXPECT_EQ(call.times_done, 1);
}

void to_tokens(Request& request, TokenInput second) {
  request.inputs.clear();
  request.token_inputs = {{{101, 7, 102}, {}}, std::move(second)};
}

INSTANTIATE_TEST_SUITE_P(
    Service, BadCalls,
    testing::Values(BadCall{"NoModel", [](Request& r) { r.model = nullptr; },
                            StatusCode::invalid_argument, "no model"},
                    BadCall{"NoTask", [](Request& r) { r.tasks.clear(); },
                            StatusCode::invalid_argument, "no task"},
                    BadCall{"NoSuchTask", [](Request& r) { r.tasks = {99}; },
                            StatusCode::invalid_argument, "found 99"},
                    BadCall{"TasksThatReadDifferently", [](Request& r) { r.tasks = {0, 1}; },
                            StatusCode::invalid_argument, "duplicate and intent"},
                    BadCall{"NoInput", [](Request& r) { r.inputs.clear(); },
                            StatusCode::invalid_argument, "no input"},
                    BadCall{"TextAndTokens",
                            [](Request& r) { r.token_inputs = {{{101, 102}, {}}}; },
                            StatusCode::invalid_argument, "both"},
                    BadCall{"APair", [](Request& r) { r.inputs[1] = PairInput{"a", "b"}; },
                            StatusCode::invalid_input, "inputs[1]"},
                    BadCall{"NoTokens", [](Request& r) { to_tokens(r, {}); },
                            StatusCode::invalid_argument, "inputs[1]"},
                    BadCall{"TooManyTokens",
                            [](Request& r) { to_tokens(r, {std::vector<int32_t>(41, 5), {}}); },
                            StatusCode::invalid_argument, "1 to 40 tokens"},
                    BadCall{"UnknownId",
                            [](Request& r) { to_tokens(r, {{101, 1 << 30, 102}, {}}); },
                            StatusCode::invalid_argument, "inputs[1].ids[1]"},
                    BadCall{"NegativeId", [](Request& r) { to_tokens(r, {{-1}, {}}); },
                            StatusCode::invalid_argument, "found -1"},
                    BadCall{"UnknownType", [](Request& r) { to_tokens(r, {{101, 102}, {0, 2}}); },
                            StatusCode::invalid_argument, "inputs[1].types[1]"},
                    BadCall{"TooFewTypes", [](Request& r) { to_tokens(r, {{101, 102}, {0}}); },
                            StatusCode::invalid_argument, "inputs[1].types"},
                    BadCall{"TokensInBothOrders",
                            [](Request& r) {
                              to_tokens(r, {{101, 102}, {}});
                              r.both_orders = true;
                            },
                            StatusCode::invalid_argument, "both_orders"}),
    [](const auto& bad) { return std::string(bad.param.name); });

// ---- deadlines

class HeldReplica : public ServiceTest {
 protected:
  HeldReplica() { clock_ = &fake_; }

  /// A service whose only replica stands still, with a request of one input each that wait for it.
  void hold(runtime::BatcherOptions batcher = {}) {
    service_ = start({.batcher = batcher, .observer = &gate_});
    model_ = load(*service_, path());
    gate_.close();
    Call first(model_, "intent", {text("refund")});
    first.run(*service_);
    gate_.wait_for_passes(1);
  }
  ~HeldReplica() override { gate_.open(); }

  Gate gate_;
  std::unique_ptr<Service> service_;
  std::shared_ptr<ServedModel> model_;
};

TEST_F(HeldReplica, ACancelledRequestCostsNothing) {
  hold();
  Call gone(model_, "intent", {text("parcel"), text("refund")});
  Call stays(model_, "intent", {text("shoes")});
  gone.submit(*service_);
  stays.submit(*service_);
  service_->cancel(gone.request);
  EXPECT_EQ(gone.times_done, 1) << "at once";
  EXPECT_EQ(gone.request.status.code(), StatusCode::cancelled);
  EXPECT_EQ(service_->backlog().sequences, 1);
  gate_.open();
  stays.wait();
  EXPECT_TRUE(stays.request.status.ok());
  gate_.wait_for_passes(2);
  EXPECT_EQ(gate_.passes()[1].sequences, 1);
  service_->cancel(stays.request);  // too late: nothing happens
  EXPECT_EQ(stays.times_done, 1);
  EXPECT_TRUE(stays.request.status.ok());
}

TEST_F(HeldReplica, AnExpiredRequestCostsNothing) {
  hold();
  Call late(model_, "intent", {text("parcel")});
  late.request.deadline = fake_.now() + std::chrono::milliseconds(10);
  Call patient(model_, "intent", {text("shoes")});
  late.submit(*service_);
  patient.submit(*service_);
  fake_.advance(std::chrono::milliseconds(11));
  gate_.open();
  late.wait();
  patient.wait();
  EXPECT_EQ(late.request.status.code(), StatusCode::deadline_exceeded);
  EXPECT_DOUBLE_EQ(late.request.times.queue, 0.011);
  EXPECT_EQ(late.request.times.compute, 0);
  EXPECT_TRUE(patient.request.status.ok());
  EXPECT_DOUBLE_EQ(patient.request.times.queue, 0.011);
  gate_.wait_for_passes(2);
  EXPECT_EQ(gate_.passes()[1].sequences, 1);
}

TEST_F(HeldReplica, AFullQueueRefusesWithAHintWhenToComeBack) {
  hold({.most_waiting = 2});
  Call waits(model_, "intent", {text("parcel"), text("refund")});
  waits.submit(*service_);
  Call refused(model_, "intent", {text("shoes")});
  refused.request.deadline = fake_.now() + std::chrono::seconds(1);
  refused.run(*service_);
  EXPECT_EQ(refused.request.status.code(), StatusCode::overloaded);
  EXPECT_GT(refused.request.retry_after_seconds, 0);
  EXPECT_EQ(refused.thread, std::this_thread::get_id());
  EXPECT_TRUE(service_->refuses(runtime::Priority::interactive, refused.request.deadline));
  gate_.open();
  waits.wait();
  EXPECT_TRUE(waits.request.status.ok());
}

TEST_F(ServiceTest, ADeadlineThatNobodyCouldKeepSaysSo) {
  clock_ = &fake_;
  const auto service = start();
  Call call(load(*service, path()), "intent", {text("parcel")});
  call.request.deadline = fake_.now() + std::chrono::microseconds(100);  // less than reply_margin
  call.run(*service);
  EXPECT_EQ(call.request.status.code(), StatusCode::deadline_exceeded);
  EXPECT_THAT(call.request.status.message(), HasSubstr("predicted"));
  call.request.deadline = fake_.now();
  call.request.inputs = {PairInput{"not", "read"}};
  call.run(*service);
  EXPECT_EQ(call.request.status.code(), StatusCode::deadline_exceeded);
  EXPECT_THAT(call.request.status.message(), HasSubstr("over before"));
}

TEST_F(ServiceTest, ItEndsWhenWhatItAdmittedIsAnswered) {
  auto service = start();
  const auto model = load(*service, path());
  std::vector<std::unique_ptr<Call>> calls;
  for (int i = 0; i < 50; ++i) {
    calls.push_back(std::make_unique<Call>(model, "intent", random_texts(3, 20)));
    calls.back()->submit(*service);
  }
  service.reset();
  for (const auto& call : calls) {
    EXPECT_EQ(call->times_done, 1);
    EXPECT_TRUE(call->request.status.ok()) << call->request.status.message();
  }
}

TEST_F(ServiceTest, ARequestIsReusedWithOtherTasksAndSizes) {
  const auto service = start();
  const auto model = load(*service, path());
  Call call(model, "intent");
  for (const size_t count : {5U, 1U, 9U}) {
    for (const char* task : {"urgency", "intent", "tags"}) {
      call.request.tasks = model->loaded().find_tasks(task).value();
      call.request.inputs = random_texts(static_cast<int>(count), 30);
      ASSERT_TRUE(call.run(*service).status.ok());
      expect_same_bits(call.values(), alone(call.request.inputs, task));
      EXPECT_EQ(call.request.truncated.size(), count);
    }
  }
  EXPECT_GT(call.request.tokens, 0);
  call.request.clear();
  EXPECT_EQ(call.request.size(), 0U);
  EXPECT_EQ(call.request.model, nullptr);
  EXPECT_EQ(call.request.tokens, 0);
}

// What a connection does all day: its request, the batcher and the replica have the memory of the
// requests before.
TEST_F(ServiceTest, AWarmRequestAllocatesNothing) {
  if (!runtime::allocations()) GTEST_SKIP() << "allocations cannot be counted in this build";
  const auto service = start();
  const auto model = load(*service, path());
  Call texts(model, "urgency,intent", random_texts(6, 31));
  Call pairs(model, "duplicate", some_pairs());
  pairs.request.both_orders = true;
  Call tokens(model, "tags");
  tokens.request.token_inputs = tokenize(*model, texts.request.inputs, "tags");
  const auto run_all = [&] {
    for (Call* call : {&texts, &pairs, &tokens}) {
      ASSERT_TRUE(call->run(*service).status.ok());
    }
  };
  for (int i = 0; i < 5; ++i) run_all();
  const auto before = runtime::allocations();
  for (int i = 0; i < 50; ++i) run_all();
  EXPECT_EQ(*runtime::allocations() - *before, 0);
}

// ---- models

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
