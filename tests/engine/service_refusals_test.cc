// What the real-time service refuses, and what it drops: bad calls, and deadlines that cannot be
// kept.
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

TEST_F(ServiceTest, ABadInputCostsOnlyItselfWhereThatIsAsked) {
  const auto service = start();
  const auto model = load(*service, path());
  std::string words;
  for (int i = 0; i < 50; ++i) words += "parcel ";
  for (const bool both_orders : {false, true}) {
    const Input pair = PairInput{"a parcel", "the refund"};
    Call call(model, "duplicate", {pair, text("no pair"), PairInput{words, words}, pair});
    call.request.bad_inputs_alone = true;
    call.request.overlong = Overlong::refuse;
    call.request.both_orders = both_orders;
    ASSERT_TRUE(call.run(*service).status.ok()) << call.request.status.message();
    Call good(model, "duplicate", {pair});
    good.request.both_orders = both_orders;
    ASSERT_TRUE(good.run(*service).status.ok());
    ASSERT_EQ(call.request.input_statuses.size(), 4U);
    for (const size_t bad : {1, 2}) {
      EXPECT_EQ(call.request.input_statuses[bad].code(), StatusCode::invalid_input) << bad;
    }
    for (const size_t each : {0, 3}) {
      EXPECT_TRUE(call.request.input_statuses[each].ok()) << each;
      EXPECT_EQ(call.request.values(each, 0)[0], good.request.values(0, 0)[0]) << each;
    }
  }
  Call none(model, "duplicate", {text("no pair")});
  none.request.bad_inputs_alone = true;
  ASSERT_TRUE(none.run(*service).status.ok());
  EXPECT_EQ(none.request.tokens, 0);
  EXPECT_FALSE(none.request.input_statuses.front().ok());
}

}  // namespace
}  // namespace tilewise::engine
