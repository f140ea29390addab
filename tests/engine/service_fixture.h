// What the tests of the real-time service share: services of small compiled models, and what the
// engine says of the same inputs.
#pragma once

#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "compiled_models.h"
#include "engine/service.h"
#include "service_call.h"

namespace tilewise::engine {

using model::Input;
using model::PairInput;
using model::Record;

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

inline void expect_same_bits(const std::vector<float>& a, const std::vector<float>& b) {
  ASSERT_EQ(a.size(), b.size());
  EXPECT_EQ(0, std::memcmp(a.data(), b.data(), a.size() * sizeof(float)));
}

inline std::vector<Input> some_pairs() {
  return {PairInput{Record{{{"title", "red shoes"}, {"price", "12"}}},
                    Record{{{"title", "blue shoes"}, {"brand", "acme"}}}},
          PairInput{std::string("a parcel"), std::string("the refund")},
          PairInput{std::string("where is my parcel"), std::string("")}};
}

}  // namespace tilewise::engine
