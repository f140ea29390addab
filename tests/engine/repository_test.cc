// Models by name, and a directory that changes while it is served.
#include "engine/repository.h"

#include <algorithm>
#include <atomic>
#include <cstring>
#include <filesystem>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "compiled_models.h"
#include "service_call.h"

namespace tilewise::engine {
namespace {

namespace fs = std::filesystem;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;
using testing::UnorderedElementsAre;

/// Looks only when a test says so.
const RepositoryOptions kNoPoll = {.poll_interval = std::chrono::milliseconds(0)};

class RepositoryTest : public testing::Test {
 protected:
  // Models 1 to 3 have one backbone and heads of their own; `single` has only the task "intent".
  static void SetUpTestSuite() {
    models_ = std::make_unique<TemporaryFolder>();
    for (int i = 1; i <= 3; ++i) {
      compile_to(model_file(i),
                 [&](model::Model& model) { scale_heads(model, static_cast<float>(i)); });
    }
    compile_to(*models_ / "single.tw", [](model::Model& model) {
      std::erase_if(model.tasks, [](const auto& task) { return task.task.name != "intent"; });
    });
  }
  static void TearDownTestSuite() { models_.reset(); }

  static std::string model_file(int i) { return *models_ / ("model" + std::to_string(i) + ".tw"); }

  RepositoryTest() {
    auto service = Service::start({.replicas = {.replicas = 1, .pin = false}}, clock_);
    EXPECT_TRUE(service.ok()) << service.status().message();
    service_ = *std::move(service);
  }

  /// As the compiler puts a file in place.
  void put(const std::string& from, const std::string& name) const {
    const fs::path file = folder_ / name;
    fs::create_directories(file.parent_path());
    fs::copy_file(from, file.string() + ".part", fs::copy_options::overwrite_existing);
    fs::rename(file.string() + ".part", file);
  }

  void open(RepositoryOptions options = kNoPoll) {
    options.on_swap = [this](std::string_view model, bool ok) {
      const std::lock_guard lock(swaps_mutex_);
      swaps_.emplace_back(model, ok);
    };
    auto repository = Repository::open(*service_, folder_.path(), options);
    ASSERT_TRUE(repository.ok()) << repository.status().message();
    repository_ = *std::move(repository);
  }

  /// A change is seen at the first look and taken at the second, when it is unchanged.
  void look_twice() {
    repository_->look();
    repository_->look();
  }

  std::string version(std::string_view name = "search") {
    const auto target = repository_->find(name);
    return target.ok() ? target->version : target.status().message();
  }

  RepositoryEntry entry(const std::string& name) const {
    for (const RepositoryEntry& found : repository_->index()) {
      if (found.name == name) return found;
    }
    ADD_FAILURE() << name;
    return {};
  }

  /// The first logit of a fixed text: i times that of model 1 for model i, but for rounding.
  float ask(const Target& target) {
    Call call(target.model, "intent", {text("where is my parcel")});
    EXPECT_TRUE(call.run(*service_).status.ok()) << call.request.status.message();
    return call.values()[0];
  }

  inline static std::unique_ptr<TemporaryFolder> models_;
  SteadyClock clock_;
  TemporaryFolder folder_;
  std::unique_ptr<Service> service_;
  std::mutex swaps_mutex_;
  std::vector<std::pair<std::string, bool>> swaps_;
  std::unique_ptr<Repository> repository_;
};

// ---- names

TEST_F(RepositoryTest, OneArtifactHasTheNameOfItsFile) {
  auto repository = Repository::open(*service_, model_file(1), kNoPoll);
  ASSERT_TRUE(repository.ok()) << repository.status().message();
  repository_ = *std::move(repository);
  EXPECT_THAT(repository_->names(), ElementsAre("duplicate", "intent", "model1", "model1.duplicate",
                                                "model1.intent", "model1.tags", "model1.urgency",
                                                "model1.vector", "tags", "urgency", "vector"));
  std::vector<std::string> tasks;
  for (const TaskEntry& entry : *repository_->tasks()) {
    tasks.push_back(entry.name);
    EXPECT_EQ(entry.name, "model1." + entry.task->name);
    EXPECT_EQ(entry.target.tasks, repository_->find(entry.name)->tasks);
  }
  EXPECT_THAT(tasks, UnorderedElementsAre("model1.duplicate", "model1.intent", "model1.tags",
                                          "model1.urgency", "model1.vector"));
  const auto whole = repository_->find("model1");
  ASSERT_TRUE(whole.ok());
  EXPECT_TRUE(whole->tasks.empty());
  EXPECT_EQ(whole->version, "1");
  for (const char* name : {"intent", "model1.intent"}) {
    const auto task = repository_->find(name, "1");
    ASSERT_TRUE(task.ok()) << task.status().message();
    EXPECT_EQ(task->model_name, "model1");
    EXPECT_EQ(task->tasks, Repository::find_tasks(*whole, "intent").value());
  }
  EXPECT_EQ(Repository::find_tasks(*whole, "tags,urgency")->size(), 2U);
  EXPECT_EQ(Repository::find_tasks(*whole, "nope").status().code(), StatusCode::not_found);
}

TEST_F(RepositoryTest, AModelOfOneTaskNeedsNoTask) {
  put(*models_ / "single.tw", "only/1.tw");
  open();
  EXPECT_EQ(repository_->find("only")->tasks, TaskSet{0});
}

TEST_F(RepositoryTest, NamesThatDoNotAnswerSayWhy) {
  put(model_file(1), "a/1.tw");
  put(*models_ / "single.tw", "b/7.tw");
  open();
  const Status ambiguous = repository_->find("intent").status();
  EXPECT_EQ(ambiguous.code(), StatusCode::invalid_argument);
  EXPECT_THAT(ambiguous.message(), HasSubstr("a.intent, b.intent"));
  EXPECT_TRUE(repository_->find("b.intent").ok());
  EXPECT_TRUE(repository_->find("tags").ok());

  const Status unknown = repository_->find("c").status();
  EXPECT_EQ(unknown.code(), StatusCode::not_found);
  EXPECT_THAT(unknown.message(), HasSubstr("b.intent"));
  EXPECT_EQ(repository_->find("b.tags").status().code(), StatusCode::not_found);
  EXPECT_EQ(repository_->find("").status().code(), StatusCode::not_found);

  EXPECT_TRUE(repository_->find("b", "7").ok());
  const Status version = repository_->find("b", "1").status();
  EXPECT_EQ(version.code(), StatusCode::not_found);
  EXPECT_THAT(version.message(), HasSubstr("version 7"));
}

// ---- what a directory may hold

TEST_F(RepositoryTest, TheHighestVersionIsServedAndOtherFilesArePassedOver) {
  put(model_file(1), "search/9.tw");
  put(model_file(2), "search/10.tw");
  put(model_file(3), "search/011.tw");
  put(model_file(3), "search/12.tw.part");
  put(model_file(3), "search/notes.tw");
  put(model_file(3), ".hidden/1.tw");
  put(model_file(3), "loose.tw");
  fs::create_directories(folder_ / "search/13.tw");
  fs::create_directories(folder_ / "empty");
  open();
  EXPECT_EQ(version(), "10");
  ASSERT_EQ(repository_->index().size(), 1U);
  EXPECT_EQ(entry("search").path, folder_ / "search/10.tw");
  EXPECT_TRUE(entry("search").is_ready);
}

TEST_F(RepositoryTest, WhatCannotBeServedAtAllIsAnError) {
  EXPECT_EQ(Repository::open(*service_, "/nonexistent", kNoPoll).status().code(),
            StatusCode::not_found);
  EXPECT_EQ(Repository::open(*service_, folder_.path(), kNoPoll).status().code(),
            StatusCode::invalid_input);
  const std::string broken = folder_.write("search/1.tw", "no artifact");
  const Status in_folder = Repository::open(*service_, folder_.path(), kNoPoll).status();
  EXPECT_EQ(in_folder.code(), StatusCode::invalid_input);
  EXPECT_THAT(in_folder.message(), HasSubstr("search/1.tw"));
  EXPECT_EQ(Repository::open(*service_, broken, kNoPoll).status().message(),
            service_->load(broken).status().message());
}

TEST_F(RepositoryTest, ABrokenModelDoesNotKeepGoodOnesFromBeingServed) {
  put(model_file(1), "search/1.tw");
  folder_.write("search/2.tw", "no artifact");
  folder_.write("ill/1.tw", "no artifact");
  open();
  EXPECT_EQ(version(), "1");
  EXPECT_THAT(entry("search").reason, HasSubstr("search/2.tw"));
  EXPECT_FALSE(entry("ill").is_ready);
  EXPECT_THAT(entry("ill").reason, HasSubstr("ill/1.tw"));
  for (const char* name : {"ill", "ill.intent"}) {
    EXPECT_EQ(repository_->find(name).status().code(), StatusCode::unavailable) << name;
  }
}

// ---- changes

TEST_F(RepositoryTest, ANewVersionIsSwappedInOnceItNoLongerChanges) {
  put(model_file(1), "search/1.tw");
  open();
  const float first = ask(*repository_->find("search"));
  put(model_file(2), "search/2.tw");
  repository_->look();
  EXPECT_EQ(version(), "1") << "it may still be being written";
  repository_->look();
  EXPECT_EQ(version(), "2");
  EXPECT_NE(ask(*repository_->find("search")), first);
  EXPECT_THAT(swaps_, ElementsAre(std::pair("search", true)));
  EXPECT_GT(repository_->find("search")->model->loaded().shared_bytes(), 0);
}

TEST_F(RepositoryTest, AnotherFileOfTheSameVersionIsSwappedIn) {
  put(model_file(1), "search/1.tw");
  open();
  const float first = ask(*repository_->find("search"));
  put(model_file(2), "search/1.tw");
  look_twice();
  EXPECT_EQ(version(), "1");
  EXPECT_NE(ask(*repository_->find("search")), first);
  const auto model = repository_->find("search")->model;
  look_twice();
  EXPECT_EQ(repository_->find("search")->model, model) << "nothing new";
}

TEST_F(RepositoryTest, ABrokenVersionIsRefusedOnceAndTriedAgainWhenItChanges) {
  put(model_file(1), "search/1.tw");
  open();
  std::string bytes = models_->read("model2.tw");
  bytes[bytes.size() - 100] = static_cast<char>(bytes[bytes.size() - 100] ^ 1);
  folder_.write("search/2.tw", bytes);
  look_twice();
  look_twice();
  EXPECT_EQ(version(), "1");
  EXPECT_TRUE(entry("search").is_ready);
  EXPECT_THAT(entry("search").reason, HasSubstr("corrupted"));
  EXPECT_THAT(swaps_, ElementsAre(std::pair("search", false)));
  put(model_file(2), "search/2.tw");
  look_twice();
  EXPECT_EQ(version(), "2");
  EXPECT_EQ(entry("search").reason, "");
}

TEST_F(RepositoryTest, WhatWasServedServesOnWhileItsSuccessorIsBroken) {
  put(model_file(1), "search/1.tw");
  put(model_file(2), "search/2.tw");
  open();
  folder_.write("search/3.tw", "no artifact");
  fs::remove(folder_ / "search/2.tw");
  look_twice();
  EXPECT_EQ(version(), "2") << "not back to 1";
  fs::remove(folder_ / "search/3.tw");
  look_twice();
  EXPECT_EQ(version(), "1") << "rolled back";
}

TEST_F(RepositoryTest, ModelsComeAndGo) {
  put(model_file(1), "search/1.tw");
  open();
  put(model_file(2), "other/1.tw");
  look_twice();
  EXPECT_EQ(version("other"), "1");
  EXPECT_EQ(repository_->find("intent").status().code(), StatusCode::invalid_argument);
  const std::weak_ptr<ServedModel> other = repository_->find("other")->model;
  fs::remove_all(folder_ / "other");
  look_twice();
  EXPECT_EQ(repository_->find("other").status().code(), StatusCode::not_found);
  EXPECT_TRUE(repository_->find("intent").ok()) << "unique again";
  EXPECT_TRUE(other.expired());
  // A directory that cannot be read is no directory without models.
  fs::rename(folder_.path(), folder_.path() + ".away");
  look_twice();
  EXPECT_EQ(version(), "1");
  fs::rename(folder_.path() + ".away", folder_.path());
}

TEST_F(RepositoryTest, UnloadedStaysUnloadedUntilItIsLoaded) {
  put(model_file(1), "search/1.tw");
  put(model_file(1), "other/1.tw");
  open();
  ASSERT_TRUE(repository_->unload("search").ok());
  const Status gone = repository_->find("search.intent").status();
  EXPECT_EQ(gone.code(), StatusCode::unavailable);
  EXPECT_THAT(gone.message(), HasSubstr("unloaded"));
  EXPECT_THAT(repository_->names(), Not(Contains("search")));
  EXPECT_FALSE(entry("search").is_ready);
  put(model_file(2), "search/2.tw");
  look_twice();
  EXPECT_FALSE(repository_->find("search").ok());
  ASSERT_TRUE(repository_->load("search").ok());
  EXPECT_EQ(version(), "2") << "the highest";
  const auto model = repository_->find("search")->model;
  ASSERT_TRUE(repository_->load("search").ok());
  EXPECT_EQ(repository_->find("search")->model, model) << "it was served already";

  EXPECT_EQ(repository_->load("nope").code(), StatusCode::not_found);
  EXPECT_EQ(repository_->unload("nope").code(), StatusCode::not_found);
  folder_.write("search/3.tw", "no artifact");
  EXPECT_EQ(repository_->load("search").code(), StatusCode::invalid_input);
  EXPECT_EQ(version(), "2");
}

// The poll swaps while requests run: each is answered by one of the models as a whole, none fails,
// and the models that were replaced are given up.
TEST_F(RepositoryTest, SwapsUnderLoadFailNoRequest) {
  put(model_file(1), "search/1.tw");
  open({.poll_interval = std::chrono::milliseconds(1)});
  std::vector<float> answers;
  for (int i = 1; i <= 3; ++i) {
    answers.push_back(ask({service_->load(model_file(i)).value(), {}, "", ""}));
  }
  const std::weak_ptr<ServedModel> first = repository_->find("search")->model;

  std::atomic<bool> is_done = false;
  std::vector<std::thread> callers;
  for (int caller = 0; caller < 2; ++caller) {
    callers.emplace_back([&] {
      while (!is_done) {
        const auto target = repository_->find("search.intent");
        ASSERT_TRUE(target.ok()) << target.status().message();
        EXPECT_THAT(answers, Contains(ask(*target)));
        std::this_thread::yield();
      }
    });
  }
  for (int swap = 2; swap <= 7; ++swap) {
    put(model_file(swap % 3 + 1), "search/" + std::to_string(swap) + ".tw");
    while (version() != std::to_string(swap)) std::this_thread::yield();
  }
  is_done = true;
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(ask(*repository_->find("search")), answers[7 % 3]);
  repository_.reset();
  EXPECT_TRUE(first.expired());
  EXPECT_EQ(swaps_.size(), 6U);
}

}  // namespace
}  // namespace tilewise::engine
